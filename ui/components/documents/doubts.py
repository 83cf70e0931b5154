"""Files that are known already, or that cost much: one line each with what was found and what shall become of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.ingestion_views import OnDuplicate, UploadForecast
from ui.components.documents.state import DocumentsState, Doubt
from ui.components.documents.verdicts import estimate
from ui.components.documents.words import size
from ui.components.safe_text import counted, escape, short

CHOICES = {
    OnDuplicate.SKIP: "Skip it",
    OnDuplicate.VERSION: "Add as a new version",
    OnDuplicate.REPLACE: "Replace, and remove the old content",
    OnDuplicate.ASK: "Add it",
}
KNOWN = (OnDuplicate.SKIP, OnDuplicate.VERSION, OnDuplicate.REPLACE)
NEW = (OnDuplicate.ASK, OnDuplicate.SKIP)
SHOWN = 30


def finding(seen: UploadForecast) -> str:
    """Return what was found about a file, as Markdown."""
    if seen.same_as_id and seen.same_as == seen.name:
        return "is there already, with exactly this content"
    if seen.same_as_id:
        return f"has exactly the content of **{escape(short(seen.same_as))}**"
    return "is there with other content: this would be its next version" if seen.same_name_id else "is new"


def doubts_box(state: DocumentsState) -> list[Doubt] | None:
    """Draw the files and their choices; return those to hand over once it is decided (none = all are skipped), else None."""
    doubts = state.doubts
    if not doubts:
        return None
    with st.container(border=True, key="documents_doubts", gap="small"):
        known = sum(bool(one.forecast.same_as_id or one.forecast.same_name_id) for one in doubts)
        what = f"{counted(known, 'file')} {'is' if known == 1 else 'are'} known here" if known else "This is a large upload"
        st.markdown(f":orange[:material/help:] **{what}. What shall become of {'it' if len(doubts) == 1 else 'them'}?**")
        if len(doubts) > 1:
            _for_all(doubts)
        for position, one in enumerate(doubts[:SHOWN]):
            _row(position, one)
        if len(doubts) > SHOWN:
            st.caption(f"and {len(doubts) - SHOWN:,} more: choose for all of them above")
        wanted = [one for one in doubts if one.choice is not OnDuplicate.SKIP]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            label = f"Add {counted(len(wanted), 'file')}" if wanted else "Skip all"
            pressed = st.button(label, key="documents_decide", type="primary", icon=":material/check:")
            st.caption(estimate([one.forecast for one in wanted]), width="stretch")
            if st.button("Forget these files", key="documents_forget", type="tertiary"):
                state.doubts = []
                st.rerun()
    if not pressed:
        return None
    state.doubts = []
    return wanted


def _for_all(doubts: Sequence[Doubt]) -> None:
    chosen = st.menu_button("For all of them", list(KNOWN), format_func=CHOICES.__getitem__, key="documents_for_all")
    if chosen:
        for one in doubts:
            one.choice = chosen if chosen in _options(one.forecast) else OnDuplicate.ASK


def _options(seen: UploadForecast) -> tuple[OnDuplicate, ...]:
    return KNOWN if seen.same_as_id or seen.same_name_id else NEW


def _row(position: int, one: Doubt) -> None:
    seen = one.forecast
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"documents_doubt_{position}"):
        with st.container(gap=None, width="stretch"):
            st.markdown(f"**{escape(short(seen.name))}** {finding(seen)}.")
            st.caption(" · ".join(filter(None, [escape(seen.kind), size(seen.size_bytes), estimate([seen])])))
        options = _options(seen)
        one.choice = st.selectbox(
            f"What shall become of {seen.name}", options, options.index(one.choice) if one.choice in options else 0,
            format_func=CHOICES.__getitem__, key=f"documents_choice_{position}_{seen.name}_{one.choice}", width=260,
            label_visibility="collapsed",
        )  # fmt: skip
