"""Documents on their way, how answers were, what it cost, and what is kept to be quick."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import Ingestion, Measurements, Range, SlowFile
from engine.views import Check
from ui.components.health import figures
from ui.components.health.caches import caches_panel
from ui.components.health.charts import Rows, chart, complete
from ui.components.health.first_run import first_run
from ui.components.health.spending import quality_panel, spending_panel
from ui.components.health.state import HealthState, Notice
from ui.components.health.words import bold, panel, span
from ui.components.safe_text import escape
from ui.session import Desk

SHOWN = 20


def usage_section(desk: Desk, state: HealthState, range_: Range, checks: Sequence[Check]) -> None:
    """Draw all of it."""
    measured = desk.call(desk.workbench.measurements, range_)
    if measured.empty:
        first_run()
    with panel("Documents", "ingestion"):
        _ingestion(desk, state, measured)
    with panel("Answers", "quality"):
        quality_panel(measured.quality)
    with panel("Cost", "cost"):
        spending_panel(state, measured.spending, measured.range.value)
    with panel("What is kept to be quick", "caches"):
        caches_panel(desk, state, measured.caches)


def _ingestion(desk: Desk, state: HealthState, measured: Measurements) -> None:
    queue = measured.ingestion
    with st.grid(4, min_column_width=130, key="health_queue"):
        st.metric("Waiting", f"{queue.waiting:,}", border=True)
        st.metric("In work", f"{queue.running:,}", border=True)
        st.metric("Oldest waits", span(queue.oldest_seconds) if queue.waiting else "–", border=True)
        st.metric("Stalled", f"{len(queue.stalled):,}", border=True)
    with st.container(key="health_stalled"):
        _stalled(desk, state, queue)
    if not measured.empty:
        chart(
            state,
            "Documents done and failed",
            "documents",
            figures.documents(complete(measured.traffic, measured.step_seconds), measured.range.value),
            lambda: document_rows(measured),
        )
    if queue.slowest:
        st.markdown("**Slowest files of the range**")
        st.dataframe(file_rows(queue.slowest), hide_index=True, alt="The slowest files of the range")


def _stalled(desk: Desk, state: HealthState, queue: Ingestion) -> None:
    if not queue.stalled:
        return
    st.warning(
        "These documents wait although a worker could take them. Nothing is lost: what was live before stays live. Process "
        "them again, or look at the worker.",
        icon=":material/hourglass_disabled:",
    )
    for one in queue.stalled[:SHOWN]:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"{bold(one.document, 60)} · {escape(one.state)} :gray[for {span(one.seconds)}]", width="stretch")
            st.button(
                "Process again",
                key=f"health_again_{one.document_id}",
                icon=":material/replay:",
                on_click=_requeue,
                args=(desk, state, one),
            )
    if len(queue.stalled) > SHOWN:
        st.caption(f"And {len(queue.stalled) - SHOWN:,} more.")


def _requeue(desk: Desk, state: HealthState, one: SlowFile) -> None:
    method = desk.workbench.reprocess
    state.do(lambda: desk.call(method, one.document_id), Notice(f"{bold(one.document, 60)} waits to be processed again."))


def file_rows(files: Sequence[SlowFile]) -> Rows:
    """Return the cells of a table of files."""
    return [{"Document": one.document, "State": one.state, "Seconds": round(one.seconds, 1)} for one in files]


def document_rows(measured: Measurements) -> Rows:
    """Return the cells of documents over time."""
    return [{"Time": one.at, "Done": one.documents_done, "Failed": one.documents_failed} for one in measured.traffic]
