"""Legal holds: what is kept whatever happens, and why."""

from __future__ import annotations

import streamlit as st

from engine.keeping_views import LegalHold
from ui.components.people.state import Notice, PageState
from ui.components.safe_text import escape, short
from ui.session import Desk

WHAT = (
    "What is held can be deleted by nobody and by no rule: a collection with its documents, one document, or a user with their"
    " conversations. What was deleted less than a day ago is held, too."
)
KINDS = {"collection": "A collection", "document": "A document", "user": "A user and their conversations"}
ICONS = {"collection": ":material/folder:", "document": ":material/description:", "user": ":material/person:"}


def holds_section(desk: Desk, state: PageState) -> None:
    """Draw the holds and the form of a new one."""
    st.caption(WHAT)
    found = desk.call(desk.workbench.legal_holds)
    if not found:
        st.info("Nothing is held.", icon=":material/gavel:")
    for one in found:
        _row(desk, state, one)
    with st.expander("New hold", icon=":material/gavel:", key=f"upkeep_hold_{state.number}"):
        _form(desk, state)


def _row(desk: Desk, state: PageState, one: LegalHold) -> None:
    with st.container(border=True, key=f"upkeep_held_{one.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{ICONS[one.kind]} **{escape(short(one.name, 80))}**", width="stretch")
            if one.released_at:
                st.badge(f"released {one.released_at:%d %b %Y}", icon=":material/lock_open:", color="gray")
            else:
                with st.popover("Release", icon=":material/lock_open:", type="tertiary"):
                    st.markdown("From then on it can be deleted, and rules apply to it.")
                    if st.button("Release it", key=f"upkeep_release_{one.id}", type="primary"):
                        release = desk.workbench.release_legal_hold
                        state.attempt(lambda: desk.call(release, one.id), Notice("The hold was released."))
                        st.rerun()
        st.caption(f"{escape(one.reason)} · since {one.set_at:%d %b %Y} by {escape(one.set_by)}")


def _form(desk: Desk, state: PageState) -> None:
    n = state.number
    kind = st.segmented_control(
        "What is held", list(KINDS), format_func=KINDS.__getitem__, default="collection", required=True, key=f"upkeep_of_{n}"
    )
    names = _names(desk, kind)
    which = st.selectbox(
        "Which", list(names), format_func=lambda key: names.get(key, key), index=None, key=f"upkeep_which_{kind}_{n}",
        placeholder="Choose one",
    )  # fmt: skip
    reason = st.text_input("Why", key=f"upkeep_why_{n}", max_chars=500, placeholder="A case number, for instance", live="200ms")
    ready = which and reason.strip()
    if st.button("Hold it", key="upkeep_set_hold", type="primary", icon=":material/gavel:", disabled=not ready) and which:
        method = desk.workbench.set_legal_hold
        if state.attempt(lambda: desk.call(method, kind, which, reason), Notice("It is held from now on.")):
            state.number += 1
        st.rerun()


def _names(desk: Desk, kind: str) -> dict[str, str]:
    if kind == "user":
        return {one.id: one.name for one in desk.call(desk.workbench.users)}
    if kind == "document":
        found = sorted(desk.call(desk.workbench.documents), key=lambda one: (one.collection, one.name))
        return {one.id: f"{one.collection} / {one.name}" for one in found}
    return {one.id: one.name for one in desk.call(desk.workbench.collections)}
