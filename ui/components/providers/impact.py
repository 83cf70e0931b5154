"""Making a change of choices: who is affected first, then the change; a draft outlives a refusal and another admin."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Choices
from ui.components.providers.looks import moment
from ui.components.providers.state import Draft, PageState, Wanted
from ui.components.safe_text import escape
from ui.failures import failure_text, friendly_errors
from ui.session import Desk

DONE = dict.fromkeys(("embedding", "store"), "New collections use it from now on.")


def draft_bar(
    desk: Desk,
    state: PageState,
    job: str,
    choices: Choices,
    wanted: Wanted,
    use: Callable[[int], Choices],
    *,
    label: str,
    ready: bool = True,
) -> None:
    """Draw the buttons below a draft. `use` makes the change when given the version that was seen; `label` names it."""
    draft = state.drafts[job]
    if draft.refused:
        st.error(draft.refused, icon=":material/error:")
    if draft.version != choices.version:
        _overtaken(state, job, draft, choices)
    elif ready and draft.asked == (wanted,):
        _impact(desk, state, job, wanted, use)
    else:
        with st.container(horizontal=True):
            if st.button(label, key=f"providers_use_{job}", type="primary", disabled=not ready):
                draft.asked, draft.refused = (wanted,), ""
                st.rerun()
            st.button("Discard", key=f"providers_discard_{job}", type="tertiary", on_click=state.discard, args=(job,))


def _overtaken(state: PageState, job: str, draft: Draft, choices: Choices) -> None:
    by = escape(choices.changed_by) or "Somebody"
    at = f" at {moment(choices.changed_at)}" if choices.changed_at else ""
    st.warning(f"{by} changed the choices{at}, after you began. Your draft is kept.", icon=":material/group:")
    with st.container(horizontal=True):
        reload = f"providers_reload_{job}"
        st.button("Drop my draft, show theirs", key=reload, type="primary", on_click=state.discard, args=(job,))
        st.button(
            "Go on with my draft",
            key=f"providers_rebase_{job}",
            on_click=_rebase,
            args=(draft, choices.version),
            help="It replaces theirs when you use it",
        )


def _rebase(draft: Draft, version: int) -> None:
    draft.version, draft.refused, draft.asked = version, "", None


def _impact(desk: Desk, state: PageState, job: str, wanted: Wanted, use: Callable[[int], Choices]) -> None:
    draft = state.drafts[job]
    with st.container(border=True, key=f"providers_impact_{job}", gap="small"):
        st.markdown("**Who is affected**")
        known = False
        with friendly_errors():
            sentences = desk.call(desk.workbench.impact, "chat" if job == "chain" else job, wanted)
            st.markdown("\n".join(f"- {escape(one)}" for one in sentences) or "Nobody, as far as can be told.")
            known = True
        with st.container(horizontal=True):
            if known and st.button("Apply", key=f"providers_apply_{job}", type="primary", icon=":material/check:"):
                _apply(state, job, draft, use)
            if st.button("Not yet", key=f"providers_not_yet_{job}", type="tertiary"):
                draft.asked = None
                st.rerun()


def _apply(state: PageState, job: str, draft: Draft, use: Callable[[int], Choices]) -> None:
    try:
        made = use(draft.version)
    except EngineError as error:
        draft.asked, draft.refused = None, failure_text(str(error), error.hint)
    else:
        state.discard(job)
        for other in state.drafts.values():  # a change of one's own overtakes none of one's own drafts
            if other.version == draft.version:
                other.version = made.version
        state.changed((True, DONE.get(job, "In force from the next question on.")))
    st.rerun()
