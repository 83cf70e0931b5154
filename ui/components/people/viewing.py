"""Looking as somebody else: what they may read and why, and what a search finds for them. Nothing can be changed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.access_views import Reach
from engine.types import Hit, Principal
from ui.components.documents.words import status_badge
from ui.components.people.roster import page_of
from ui.components.people.state import PageState, failure_box
from ui.components.people.words import bold
from ui.components.safe_text import counted, escape, escape_lines, short
from ui.failures import friendly_errors
from ui.session import Desk

MOST_CHARS = 600
WHAT = "See what somebody may read, why, and what a search finds for them. Their conversations stay private."


def viewing_section(desk: Desk, state: PageState) -> None:
    """Draw the choice of a user, or what that user sees."""
    if state.preview is None:
        _choice(desk, state)
        return
    preview = state.preview
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="users_preview", gap="small"):
        st.markdown(
            f":orange[:material/visibility:] You are looking as {bold(preview.name)}. Nothing can be changed; "
            "this look is recorded.",
            width="stretch",
        )
        st.button("End preview", key="users_preview_end", icon=":material/close:", on_click=state.leave)
    with friendly_errors():
        _reach(preview, desk.call(desk.workbench.reach, preview.user_id))
    with friendly_errors():
        _search(desk, preview)
    with friendly_errors():
        _documents(desk, preview)


def _choice(desk: Desk, state: PageState) -> None:
    names = {one.id: one.name for one in desk.call(desk.workbench.users) if not one.disabled}
    st.caption(WHAT)
    user_id = st.selectbox(
        "User", list(names), None, format_func=names.__getitem__, placeholder="Choose a user", key=f"users_view_{state.number}",
        width=360,
    )  # fmt: skip
    pressed = st.button(
        "View as this user", key="users_view_now", type="primary", icon=":material/visibility:", disabled=not user_id
    )
    if pressed and user_id:
        state.attempt(lambda: setattr(state, "preview", desk.call(desk.workbench.view_as, user_id)))
        st.rerun()
    failure_box(state)


def _reach(preview: Principal, found: Sequence[Reach]) -> None:
    st.markdown("#### What they may read", anchors=False)
    if not found:
        st.info("Nothing: no collection is shared with them.", icon=":material/inbox:")
        return
    rows = [
        {"Collection": one.collection, "Right": one.right.value, "Why": ", ".join(one.via), "Documents": one.documents}
        for one in found
    ]
    st.dataframe(rows, hide_index=True, alt=f"What {escape(preview.name)} may read and why")


def _search(desk: Desk, preview: Principal) -> None:
    st.markdown(f"#### What would {escape(short(preview.name, 40))} find?", anchors=False)
    query = st.text_input(
        "Words or a question", type="search", key="users_view_query", max_chars=500, label_visibility="collapsed",
        placeholder="Words or a question",
    )  # fmt: skip
    if not (query or "").strip():
        return
    collections = [one.id for one in desk.call_as(preview, desk.workbench.collections)]
    hits = desk.call_as(preview, desk.workbench.search, query.strip(), collections=collections) if collections else []
    if not hits:
        st.info("They would find nothing.", icon=":material/search_off:")
    for one in hits:
        _hit(one)


def _hit(one: Hit) -> None:
    chunk = one.chunk
    with st.container(border=True, gap="xsmall"):
        st.markdown(f":material/description: {bold(chunk.document_name)} · page {chunk.page} · score {one.score:.2f}")
        st.markdown(escape_lines(chunk.text if len(chunk.text) <= MOST_CHARS else f"{chunk.text[:MOST_CHARS]}…"))


def _documents(desk: Desk, preview: Principal) -> None:
    st.markdown("#### The documents they see", anchors=False)
    found = desk.call_as(preview, desk.workbench.documents)
    st.caption(counted(len(found), "document"))
    for one in page_of(found, key="users_view_page"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f":material/description: {escape(short(one.name, 70))} · {escape(short(one.collection, 40))}", width="stretch"
            )
            status_badge(one)
