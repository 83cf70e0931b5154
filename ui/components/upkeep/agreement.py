"""Whether indexes, stores and originals hold what the database says, and mending them."""

from __future__ import annotations

import streamlit as st

from engine.keeping_views import Difference, ReconcileReport
from ui.components.people.state import PageState
from ui.components.safe_text import counted, escape, short
from ui.failures import friendly_errors
from ui.session import Desk

WHAT = (
    "The database is the truth; vectors, words and originals lie beside it. A crash, a lost volume or a restored backup can"
    " leave them behind. They are compared at the start and from time to time; here you can do it at once. Mending asks no"
    " provider for anything."
)
PLACES = {
    "vectors": "vectors",
    "words": "word index",
    "originals": "original files",
    "rows": "rows in the database",
    "unfinished": "temporary files",
}


def agreement_section(desk: Desk, state: PageState) -> None:
    """Draw the two buttons and what was found."""
    st.caption(WHAT)
    with st.container(horizontal=True):
        look = st.button("Compare", key="upkeep_compare", icon=":material/compare_arrows:")
        mend = st.button("Compare and mend", key="upkeep_mend", icon=":material/healing:")
    if look or mend:
        with st.spinner("Comparing every collection"), friendly_errors():
            report = desk.call(desk.workbench.reconcile, check=look)
            st.session_state["upkeep_report"] = (state.session_id, report)
    session_id, found = st.session_state.get("upkeep_report", ("", None))
    if found and session_id == state.session_id:
        _report(found)


def _report(found: ReconcileReport) -> None:
    looked = f"{counted(found.collections, 'collection')}, {counted(found.entries, 'passage')}, {found.seconds:.1f} s"
    when = f"{found.at:%d %b %Y %H:%M}"
    if not found.differences:
        st.success(f"Everything agrees: {looked} ({when}).", icon=":material/check_circle:")
        return
    if found.clean:
        st.success(f"What differed is mended: {looked} ({when}).", icon=":material/healing:")
    else:
        st.warning(f"{counted(len(found.differences), 'difference')}: {looked} ({when}).", icon=":material/difference:")
    for one in found.differences:
        st.markdown(_line(one))


def _line(one: Difference) -> str:
    mark = ":green[:material/check:]" if one.mended else ":orange[:material/error:]"
    where = (
        f"**{escape(short(one.collection, 60))}**, {PLACES.get(one.place, escape(one.place))}"
        if one.collection
        else (f"**{PLACES.get(one.place, escape(one.place)).capitalize()}**")
    )
    numbers = f"{one.found:,} of {one.expected:,} there, {one.missing:,} missing, {one.orphans:,} too many"
    return f"{mark} {where}: {numbers}" + (f". {escape(one.detail)}" if one.detail else "")
