"""The evidence panel: the picture of the cited page with the passage marked, beside the answer that cites it."""

from __future__ import annotations

import streamlit as st

from engine.errors import EngineError
from ui.components.colors import Color
from ui.components.passages import Passage, passages
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors, show_failure
from ui.session import Desk, Opened

ZOOMS = ["Fit", "150 %", "200 %"]  # made wider in style.py
RENDER_WIDTH = 1200
SCORES = {"relevance": "relevance", "dense": "by meaning", "lexical": "by words"}
STATES: dict[str, tuple[str, Color, str]] = {
    "current": ("Current version", "green", ":material/check_circle:"),
    "changed": ("The document has changed since", "orange", ":material/edit_document:"),
    "removed": ("The document was removed since", "red", ":material/delete:"),
    "no access": ("You may no longer read this document", "red", ":material/lock:"),
}


@st.fragment
def evidence_panel(desk: Desk) -> None:
    """Draw the opened passage; previous and next move within its message."""
    opened = desk.state.evidence
    if opened is None:
        return
    with st.container(key="evidence", border=True), friendly_errors():
        answer = desk.call(desk.workbench.message, opened.message_id).answer
        found = passages(answer) if answer else []
        if not found:
            desk.state.evidence = None
            st.rerun()
        opened.index %= len(found)
        passage = found[opened.index]
        _bar(desk, opened, passage, len(found))
        state = desk.call(desk.workbench.citation_states, opened.message_id).get(passage.n, "current")
        _facts(passage, state)
        _page(desk, passage, state)


def _bar(desk: Desk, opened: Opened, passage: Passage, count: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown(f"**Passage {passage.n}** of {count}", width="stretch")
        for label, icon, step in (("Previous", "chevron_left", -1), ("Next", "chevron_right", 1)):
            st.button(
                "",
                icon=f":material/{icon}:",
                help=f"{label} passage",
                key=f"chat_evidence_{label}",
                type="tertiary",
                disabled=count < 2,
                on_click=_move,
                args=(opened, step),
            )
        if st.button("Close", icon=":material/close:", key="chat_evidence_close", type="tertiary"):
            desk.state.evidence = None
            st.rerun()


def _move(opened: Opened, step: int) -> None:
    opened.index += step


def _facts(passage: Passage, state: str) -> None:
    label, color, icon = STATES.get(state, (escape(state), "gray", ":material/help:"))
    st.markdown(f":material/description: **{escape(short(passage.document, 70))}**, page {passage.page}")
    with st.container(horizontal=True, gap="xsmall"):
        st.badge(label, icon=icon, color=color)
        st.badge(f"version {passage.version}", color="gray")
        for name, score in {"relevance": passage.score, **passage.scores}.items():
            if name in SCORES:
                st.badge(f"{SCORES[name]} {score:.2f}", color="gray")
    if passage.section:
        st.caption(" › ".join(escape(part) for part in passage.section))
    with st.container(key="quote_evidence"):
        # A PDF breaks its lines anywhere; the picture below shows them as they are.
        st.text(" ".join(passage.text.split()))


def _page(desk: Desk, passage: Passage, state: str) -> None:
    if state in ("removed", "no access"):
        st.info("The page cannot be shown any more. The quoted text above was kept with the answer.", icon=":material/info:")
        return
    try:
        picture = desk.call(
            desk.workbench.page_image,
            passage.document_id,
            passage.page,
            version=passage.version,
            highlight=[(passage.start, passage.end)],
            width=RENDER_WIDTH,
        )
    except EngineError as error:
        show_failure(error)
        return
    if picture is None:
        page_text(desk, passage.document_id, passage.page, passage.start, passage.end, version=passage.version)
        return
    zoom = st.segmented_control(
        "Size of the page", ZOOMS, default=ZOOMS[0], required=True, key="chat_evidence_zoom", label_visibility="collapsed"
    )
    with st.container(key=f"evidence_page_{ZOOMS.index(zoom)}"):
        alt = f"Page {passage.page} of {passage.document} with the cited passage marked"
        st.image(picture.png, width="stretch", alt=alt)


def page_text(desk: Desk, document_id: str, number: int, start: int, end: int, *, version: int | None = None) -> None:
    """Draw a page that has no picture as plain text, the passage set off."""
    text = desk.call(desk.workbench.page, document_id, number, version=version).text
    st.caption("This kind of document has no page pictures; this is its text.")
    if text[:start].strip():
        st.text(text[:start].rstrip())
    with st.container(key="quote_page_text"):
        st.text(text[start:end] if end > start else text)
    if end > start and text[end:].strip():
        st.text(text[end:].lstrip())
