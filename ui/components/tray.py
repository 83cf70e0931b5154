"""What is on its way into the index, on every page: quiet when nothing is. The engine knows it, so a reload loses nothing."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from engine.errors import EngineError
from engine.ingestion_views import JobInfo, JobState, Tray
from ui.components.documents.progress import figures
from ui.components.documents.state import documents_state
from ui.components.documents.words import STAGES, duration
from ui.components.safe_text import counted, escape, short
from ui.session import Desk

EVERY_SECONDS = 3.0
SHOWN = 6
IDLE = 20  # looks without work after which it stops looking
PAGE = "../pages/documents.py"


def tray(desk: Desk) -> None:
    """Draw the tray. While there is work it looks for news by itself, without the page."""
    seen = _look(desk)
    if seen and not _quiet(seen):
        desk.state.tray_idle = 0
        st.fragment(_live, run_every=EVERY_SECONDS if seen.working else None)(desk)


def _look(desk: Desk) -> Tray | None:
    try:
        return desk.call(desk.workbench.tray)
    except EngineError:  # whatever is wrong, the page itself says it
        return None


def _quiet(seen: Tray) -> bool:
    return not (seen.working or seen.failed or seen.stalled)


def _live(desk: Desk) -> None:
    seen = _look(desk)
    if seen is None:
        return
    desk.state.tray_idle = 0 if seen.working else desk.state.tray_idle + 1
    if desk.state.tray_idle > IDLE:
        st.rerun()  # the only one that it asks for: a fragment cannot end its own watch
    with st.container(key="tray"), st.popover(headline(seen), icon=_icon(seen), key="tray_open", type="tertiary"):
        st.markdown(f"**{story(seen)}**")
        running = [one for one in seen.jobs if one.state is JobState.RUNNING]
        for one in running[:SHOWN]:
            _job(one)
        waiting = seen.working - len(running[:SHOWN])
        if running and waiting > 0:
            st.caption(f"and {counted(waiting, 'file')} waiting")
        if st.button("Show the documents", key="tray_documents", icon=":material/folder_open:"):
            _show(desk, seen)


def _show(desk: Desk, seen: Tray) -> NoReturn:
    """Open the documents page where these files are: their collection, and what needs somebody once nothing is on its way."""
    waiting, stuck = (JobState.QUEUED, JobState.RESTING), (JobState.FAILED, JobState.STALLED)
    wanted = (JobState.RUNNING, *waiting) if seen.working else stuck
    first = next((one for one in seen.jobs if one.state in wanted), None)
    if first:
        desk.state.collection_id, desk.state.collections_made = first.collection_id, desk.state.collections_made + 1
        documents_state(desk).section = "documents" if seen.working else "attention"
    st.switch_page(PAGE)


def headline(seen: Tray) -> str:
    """Return the tray in a few words: "7 of 40, 3 min left, 1 failed"."""
    parts = []
    if seen.working:
        parts.append(f"{max(0, seen.total - seen.working - seen.stalled):,} of {seen.total:,}")
        if seen.eta_seconds is not None:
            parts.append(f"{duration(seen.eta_seconds)} left")
    parts += [f"{seen.failed:,} failed"] * bool(seen.failed) + [f"{seen.stalled:,} stalled"] * bool(seen.stalled)
    return ", ".join(parts) or "All files are read"


def story(seen: Tray) -> str:
    """Return the tray in a sentence."""
    if seen.working:
        return f"{counted(seen.working, 'file')} of {seen.total:,} {'is' if seen.working == 1 else 'are'} on the way"
    return "Some files need attention" if seen.failed or seen.stalled else "All files are read"


def _icon(seen: Tray) -> str:
    if seen.working:
        return ":material/progress_activity:"
    return ":material/error:" if seen.failed or seen.stalled else ":material/check_circle:"


def _job(one: JobInfo) -> None:
    name = STAGES.get(one.stage, (one.stage, ""))[0]
    st.progress(min(1.0, max(0.0, one.progress)), f"{escape(short(one.document, 34))} · {name}")
    st.caption(figures(one))
