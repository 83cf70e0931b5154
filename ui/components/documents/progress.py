"""How far a file has come on its way into the index: stages, rate, time left, and the lines of its log."""

from __future__ import annotations

import streamlit as st

from engine.ingestion_views import JobInfo, JobState
from ui.components.documents.words import STAGES, duration
from ui.components.safe_text import counted, escape
from ui.failures import failure_text
from ui.session import Desk

LINES = 200
LEVELS = {"warning": ":orange[:material/warning:]", "error": ":red[:material/error:]"}


def stages(job: JobInfo) -> str:
    """Return the way of a file as Markdown: what is behind it, where it is, what lies ahead."""
    names = list(STAGES)
    here = names.index(job.stage) if job.stage in names else -1
    words = [STAGES[name][0] for name in names]
    parts = [f":green[:material/check: {word}]" for word in words[:here]] if here > 0 else []
    if here >= 0:
        parts.append(f"**{words[here]}**")
    parts += [f":gray[{word}]" for word in words[here + 1 :]]
    return " → ".join(parts)


def figures(job: JobInfo) -> str:
    """Return counts, rate, time left and time gone of a job in one line."""
    unit = STAGES.get(job.stage, ("", "step"))[1]
    parts = [f"{job.done:,} of {counted(job.total, unit)}"] * bool(job.total)
    if job.rate:
        parts.append(f"{job.rate:,.1f} {unit}s in a second")
    if job.eta_seconds is not None:
        parts.append(f"{duration(job.eta_seconds)} left")
    parts.append(f"{duration(job.elapsed_seconds)} so far")
    return " · ".join(parts + [f"try {job.attempts}"] * (job.attempts > 1))


def job_line(job: JobInfo) -> None:
    """Draw where a job is."""
    if job.state is JobState.RUNNING:
        st.progress(min(1.0, max(0.0, job.progress)))
        st.markdown(f"{stages(job)}  \n:small[{figures(job)}]")
        return
    words = {
        JobState.QUEUED: ":blue[:material/hourglass_top:] It waits for its turn.",
        JobState.RESTING: ":blue[:material/hourglass_top:] It is tried again in a moment.",
        JobState.STALLED: ":orange[:material/hourglass_disabled:] Nobody works on it any more.",
        JobState.FAILED: ":red[:material/error:] It failed.",
        JobState.CANCELLED: ":material/cancel: It was cancelled.",
    }
    st.markdown(words.get(job.state, "") + (f" {failure_text(job.reason, job.hint)}" if job.reason else ""))


def job_log(desk: Desk, document_id: str) -> None:
    """Draw the log of a document's job, read when it is unfolded."""
    if not st.toggle("Show its log", key=f"documents_log_{document_id}"):
        return
    events = desk.call(desk.workbench.job_log, document_id)
    if not events:
        st.caption("Nothing was noted yet.")
        return
    with st.container(height=180 if len(events) > 6 else "content", key="documents_log", gap=None):
        for one in events[-LINES:]:
            name = STAGES.get(one.stage, (one.stage, ""))[0]
            st.markdown(f":small[{one.at:%H:%M:%S} {LEVELS.get(one.level, '')} {escape(name)}: {escape(one.text)}]")
