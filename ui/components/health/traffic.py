"""How long answers take and what they wait for; how many questions, and what becomes of them; who is called for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from engine.operations_views import Measurements, Range, Timing
from engine.views import Check
from ui.components.health import figures
from ui.components.health.charts import Rows, chart, complete, hold_switch
from ui.components.health.first_run import first_run
from ui.components.health.state import HealthState
from ui.components.health.words import NONE, duration, panel, percent
from ui.session import Desk

TOTAL = "total"
NAMES = {"first_token": "first word", "total": "whole answer"}
MEANINGS = {
    "Failed": "Questions that ended with an error.",
    "Refused": "Questions that the documents hold no answer to, so none was made up.",
    "From the cache": "Answers that were kept from the same question before.",
    "Fallback": "Answers that another model wrote than the first of the order. Refused questions do not count.",
    "Answer, p95": "95 of 100 answers took at most this long, from the question to the last word.",
}
STACK = "Mean times of the stages one upon the other: the height is how long an answer took. Look at the stage that grew."


def traffic_section(desk: Desk, state: HealthState, range_: Range, checks: Sequence[Check]) -> None:
    """Draw charts and tables."""
    measured = desk.call(desk.workbench.measurements, range_)
    if measured.empty:
        first_run()
        return
    revision = measured.range.value
    with panel("Traffic", "traffic"):
        _sums(measured)
        hold_switch(state)
        with st.grid(min_column_width=380):
            points = complete(measured.traffic, measured.step_seconds)
            chart(
                state,
                "Questions per minute",
                "questions",
                figures.questions(points, measured.step_seconds, revision),
                lambda: traffic_rows(measured),
            )
            chart(state, "What became of them", "shares", figures.shares(points, revision), lambda: traffic_rows(measured))
    with panel("Latency", "latency"):
        _latency(state, measured, revision)
    with panel("Models and stores", "dependencies"):
        st.dataframe(timing_rows(measured.dependencies, "Dependency"), hide_index=True, alt="Calls of models and stores")
    if measured.errors:
        with panel("Errors by kind", "errors"):
            st.dataframe(
                [{"Error": name, "Count": count} for name, count in measured.errors],
                hide_index=True,
                width="content",
                alt="Errors",
            )


def _sums(measured: Measurements) -> None:
    points = measured.traffic
    asked = sum(one.questions for one in points)
    total = next((one for one in measured.stages if one.label == TOTAL), None)

    def share(count: int) -> str:
        return percent(min(1.0, count / asked) if asked else None)

    shown = {
        "Questions": f"{asked:,}",
        "Failed": share(sum(one.failed for one in points)),
        "Refused": share(sum(one.refused for one in points)),
        "From the cache": share(sum(one.cached for one in points)),
        "Fallback": share(sum(one.fallback for one in points)),
        "Answer, p95": duration(total.p95_ms) if total else NONE,
    }
    with st.grid(6, min_column_width=130, key="health_sums"):
        for name, value in shown.items():
            st.metric(name, value, border=True, help=MEANINGS.get(name))


def _latency(state: HealthState, measured: Measurements, revision: str) -> None:
    stages = [one.label for one in measured.stages]
    if not stages:
        st.info("No answer was written in this range.", icon=":material/inbox:")
        return
    start = TOTAL if TOTAL in stages else stages[0]
    if st.session_state.get("health_stage") not in stages:
        st.session_state["health_stage"] = start
    stage = st.selectbox("Stage", stages, key="health_stage", format_func=lambda one: NAMES.get(one, one), width=220) or start
    points = complete(measured.stage_points, measured.step_seconds)
    with st.grid(min_column_width=380):
        chart(
            state,
            f"Percentiles of: {NAMES.get(stage, stage)}" if stage in KNOWN else "Percentiles of the chosen stage",
            "percentiles",
            over(figures.percentiles(points, stage, revision), measured),
            lambda: percentile_rows(measured, stage),
        )
        chart(
            state,
            "What the time goes to",
            "stages",
            over(figures.stacked_stages(points, measured.step_seconds, revision), measured),
            lambda: stage_rows(measured),
            note=STACK,
        )
    st.dataframe(timing_rows(measured.stages, "Stage"), hide_index=True, alt="Stages of an answer")


def over(figure: Any, measured: Measurements) -> Any:
    """Let a chart reach over the whole range, also where little of it was measured."""
    last = measured.traffic[-1].at if measured.traffic else measured.since
    step = timedelta(seconds=measured.step_seconds)
    figure.update_xaxes(range=[measured.since, max(last, measured.since) + step])
    return figure


KNOWN = {*figures.STAGE_COLORS, *NAMES}


def timing_rows(timings: Sequence[Timing], first: str) -> Rows:
    """Return the cells of a table of timings. Cells of a data frame are plain text: nothing in them is interpreted."""
    return [
        {
            first: NAMES.get(one.label, one.label),
            "Calls": one.count,
            "Failed": one.errors,
            "Mean ms": round(one.mean_ms, 1),
            "p50 ms": round(one.p50_ms, 1),
            "p95 ms": round(one.p95_ms, 1),
            "p99 ms": round(one.p99_ms, 1),
        }
        for one in timings
    ]


def percentile_rows(measured: Measurements, stage: str) -> Rows:
    """Return the cells of a stage over time."""
    return [
        {
            "Time": one.at,
            "Answers": one.timing.count,
            "p50 ms": round(one.timing.p50_ms, 1),
            "p95 ms": round(one.timing.p95_ms, 1),
            "p99 ms": round(one.timing.p99_ms, 1),
        }
        for one in measured.stage_points
        if one.timing.label == stage
    ]


def stage_rows(measured: Measurements) -> Rows:
    """Return the cells of the mean milliseconds of all stages over time."""
    times: dict[datetime, dict[str, object]] = {}
    for one in measured.stage_points:
        if one.timing.label in KNOWN:
            name = NAMES.get(one.timing.label, one.timing.label)
            times.setdefault(one.at, {"Time": one.at})[name] = round(one.timing.mean_ms, 1)
    return list(times.values())


def traffic_rows(measured: Measurements) -> Rows:
    """Return the cells of the traffic over time."""
    return [
        {
            "Time": one.at,
            "Questions": one.questions,
            "Failed": one.failed,
            "Refused": one.refused,
            "From the cache": one.cached,
            "Fallback": one.fallback,
        }
        for one in measured.traffic
    ]
