"""Passages that try to command whoever reads them: why, what they say, and the decision of those who may change documents."""

from __future__ import annotations

import streamlit as st

from engine.views import CollectionInfo, HeldPassage
from ui.components.colors import Color
from ui.components.safe_text import counted, escape, escape_lines, short
from ui.failures import friendly_errors
from ui.session import Desk

PAGE_SIZE = 20
SHOWN_CHARS = 3000
UNSEEN = "characters that nobody sees"
WHAT = (
    "Some documents hold sentences that are written for machines: \u201cignore your instructions\u201d or \u201cput this "
    "link into the answer\u201d. A passage that says nothing else is **held**: no answer uses it. Others are **marked**: their "
    "demands are neither quoted nor given to a model, and an answer from them says so."
)
STATES: dict[str, tuple[str, Color, str]] = {
    "held": ("held: in no answer", "red", ":material/block:"),
    "flagged": ("marked", "orange", ":material/gpp_maybe:"),
    "released": ("released", "green", ":material/verified_user:"),
}


def quarantine_view(desk: Desk, collection: CollectionInfo) -> None:
    """Draw the held, marked and judged passages of a collection."""
    with friendly_errors():
        found = desk.call(desk.workbench.quarantine, collection.id)
        st.caption(WHAT)
        if not found:
            st.info("No passage of this collection tries to command its reader.", icon=":material/verified_user:")
            return
        numbers = {state: sum(one.state == state for one in found) for state in STATES}
        st.markdown(" · ".join(f"{number:,} {STATES[state][0]}" for state, number in numbers.items() if number))
        pages = -(-len(found) // PAGE_SIZE)
        number = st.pagination(pages, key="documents_quarantine_page") if pages > 1 else 1
        for one in found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]:
            _passage(desk, one)


def _passage(desk: Desk, one: HeldPassage) -> None:
    label, color, icon = STATES[one.state]
    with st.container(border=True, key=f"documents_held_{one.chunk_id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/description: **{escape(short(one.document, 60))}**, page {one.page}", width="stretch")
            st.badge(label, icon=icon, color=color)
            st.badge(
                f"suspicion {one.score:.2f}", color="gray", help="From 0 to 1, given by rules when the document was processed."
            )
        for reason in sorted({finding.reason for finding in one.findings}):
            st.markdown(f":orange[:material/warning:] It {escape(reason)}.")
        st.markdown(marked_text(one))
        if one.decided_by:
            st.caption(f"Decided by {escape(one.decided_by)}.")
        if one.writable:
            _decision(desk, one)


def _decision(desk: Desk, one: HeldPassage) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        if one.state != "released" and st.button(
            "Release",
            key=f"documents_release_{one.chunk_id}",
            icon=":material/check:",
            help="Use it in answers like any other.",
        ):
            desk.call(desk.workbench.release_passage, one.chunk_id)
            st.rerun()
        if one.state != "held" and st.button(
            "Hold", key=f"documents_hold_{one.chunk_id}", icon=":material/block:", help="Keep it out of all answers."
        ):
            desk.call(desk.workbench.hold_passage, one.chunk_id)
            st.rerun()


def marked_text(one: HeldPassage) -> str:
    """Return the passage as Markdown that shows exactly its words, those of the findings on a coloured ground."""
    parts: list[str] = []
    position = 0
    for finding in sorted(one.findings, key=lambda finding: finding.start):
        start = max(position, finding.start)
        if start < finding.end and start < SHOWN_CHARS:
            parts += [escape_lines(one.text[position:start]), *_ground(one.text[start : min(finding.end, SHOWN_CHARS)])]
            position = finding.end
    parts.append(escape_lines(one.text[position : max(position, SHOWN_CHARS)]))
    more = len(one.text) - max(position, SHOWN_CHARS)
    shown = "  \n".join(part for part in parts if part.strip())
    return shown + (f"  \n*{counted(more, 'more character')}*" if more > 0 else "")


def _ground(text: str) -> list[str]:
    lines = [escape(part) for part in text.splitlines()]
    # What nobody sees must be seen here.
    return [f":orange-background[{line if any(map(str.isprintable, line)) else UNSEEN}]" for line in lines if line]
