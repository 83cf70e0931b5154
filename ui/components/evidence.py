"""The evidence panel: the picture of the cited page with the passage marked, beside the answer that cites it."""

from __future__ import annotations

import streamlit as st

from engine.errors import EngineError
from engine.types import Support
from ui.components.colors import Color
from ui.components.page_part import around_marks
from ui.components.passages import Passage, passages
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors, show_failure
from ui.session import Desk, Opened

# What is shown of the page, and the key of the container that style.py makes wider.
ZOOMS = {"Passage": "evidence_page_0", "Page": "evidence_page_0", "150 %": "evidence_page_1", "200 %": "evidence_page_2"}
RENDER_WIDTH = 1200
SCORES = {
    "relevance": ("relevance", "How well the passage fits the question, from 0 to 1: meaning and words taken together."),
    "dense": (
        "by meaning",
        "Cosine similarity of the embeddings of question and passage: 1 is the same meaning, 0 is unrelated.",
    ),
    "lexical": ("by words", "BM25: rare words that question and passage share count most. It has no upper bound; 0 is none."),
}
SUPPORT: dict[Support | None, tuple[str, Color, str]] = {
    Support.SUPPORTED: ("supported by this passage", "green", ":material/check:"),
    Support.PARTLY: ("partly supported by this passage", "orange", ":material/contrast:"),
}
QUOTED: tuple[str, Color, str] = ("quoted from the document", "green", ":material/format_quote:")
BEFORE, AFTER, FOLDED = 350, 700, 20_000  # characters; few before, so that the passage is in sight without scrolling
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
        _facts(passage, state, quoted=bool(answer and answer.provider == "extractive"))
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


def _facts(passage: Passage, state: str, *, quoted: bool) -> None:
    label, color, icon = STATES.get(state, (escape(state), "gray", ":material/help:"))
    st.markdown(f":material/description: **{escape(short(passage.document, 70))}**, page {passage.page}")
    with st.container(horizontal=True, gap="xsmall"):
        st.badge(label, icon=icon, color=color)
        if passage.support in SUPPORT:
            mark, shade, sign = QUOTED if quoted and passage.support is Support.SUPPORTED else SUPPORT[passage.support]
            st.badge(mark, icon=sign, color=shade)
        if passage.recognised:
            recognised_badge()
        st.badge(f"version {passage.version}", color="gray")
        for name, score in {"relevance": passage.score, **passage.scores}.items():
            if name in SCORES:
                st.badge(f"{SCORES[name][0]} {score:.2f}", color="gray", help=SCORES[name][1])
    for reason in passage.findings:
        st.markdown(f":orange[:material/gpp_maybe:] A passage here {escape(reason)}; this was not followed.")
    if passage.section:
        st.caption(" › ".join(escape(part) for part in passage.section))
    with st.container(key="quote_evidence"):
        # A PDF breaks its lines anywhere; the picture below shows them as they are.
        st.text(" ".join(passage.text.split()))


def recognised_badge() -> None:
    """Say that a text is what a machine read on a picture."""
    st.badge(
        "recognised text",
        icon=":material/document_scanner:",
        color="orange",
        help="This page is a picture. Its text was recognised from it (OCR) and may hold mistakes: compare it with the page.",
    )


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
        "Size of the page",
        list(ZOOMS),
        default="Passage",
        required=True,
        key="chat_evidence_zoom",
        label_visibility="collapsed",
    )
    with st.container(key=ZOOMS[zoom]):
        alt = f"Page {passage.page} of {passage.document} with the cited passage marked"
        # Streamlit cannot scroll to a place, so what matters is put at the top: the part of the page around the passage.
        st.image(around_marks(picture) if zoom == "Passage" else picture.png, width="stretch", alt=alt)


def page_text(desk: Desk, document_id: str, number: int, start: int, end: int, *, version: int | None = None) -> None:
    """Draw a page that has no picture as plain text: the passage set off, its surroundings, and the rest folded in."""
    text = desk.call(desk.workbench.page, document_id, number, version=version).text
    st.caption("This kind of document has no page pictures; this is its text.")
    if end <= start:
        st.text(text[:FOLDED])
        _folded("Later on this page", text[FOLDED : 2 * FOLDED], left_out=len(text) - 2 * FOLDED)
        return
    first, last = _near(text, start - BEFORE, start), _near(text, end + AFTER, len(text))
    _folded("Earlier on this page", text[max(0, first - FOLDED) : first], left_out=first - FOLDED)
    _plain(text[first:start])
    with st.container(key="quote_page_text"):
        st.text(text[start:end])
    _plain(text[end:last])
    _folded("Later on this page", text[last : last + FOLDED], left_out=len(text) - last - FOLDED)


def _near(text: str, wanted: int, limit: int) -> int:
    """Return `wanted`, moved to the next space so that no word is torn; a text without spaces is cut where it is."""
    wanted = min(max(0, wanted), len(text))
    space = text.find(" ", wanted, min(limit, wanted + 40)) if wanted else 0
    return wanted if space < 0 else space


def _plain(text: str) -> None:
    if text.strip():
        st.text(text.strip("\n"))


def _folded(label: str, text: str, *, left_out: int) -> None:
    if text.strip():
        with st.expander(label, type="compact"):
            if left_out > 0:
                st.caption(f"{left_out:,} more characters are not shown here; the original can be downloaded under Documents.")
            st.text(text.strip("\n"))
