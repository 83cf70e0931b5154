"""A tile for each check, the worst first: what it is, how it is, what that means for users, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import BreakerInfo, Measurements, Timing
from engine.types import Role
from engine.views import Check
from ui.components.health.state import HealthState
from ui.components.health.words import BREAKERS, CHECKS, UNKNOWN, ago, bold, duration, facts, panel, percent, stamp
from ui.components.safe_text import escape, short
from ui.session import Desk

DOCUMENTS, PROVIDERS = "../pages/documents.py", "../pages/providers.py"
RANKS = {"failed": 0, "degraded": 1}
OF_DOCUMENTS = ("worker", "ingest", "disk", "queue", "ocr")
POINTS = 60  # as many points as a tile is wide enough to show


def check_tiles(
    desk: Desk, state: HealthState, checks: Sequence[Check], measured: Measurements | None, board: Sequence[BreakerInfo]
) -> None:
    """Draw the tiles: wide ones for what needs attention, so that their words do not stretch the others."""
    breakers = {str(one.dependency): one for one in board}
    ordered = list(enumerate(sorted(checks, key=lambda check: RANKS.get(check.state, 2))))
    bad, fine = [row for row in ordered if row[1].state in RANKS], [row for row in ordered if row[1].state not in RANKS]
    for key, width, rows in (("health_tiles_bad", 420, bad), ("health_tiles", 250, fine)):
        if not rows:
            continue
        with st.grid(min_column_width=width, key=key):
            for position, one in rows:
                with st.container(border=True, height="stretch", key=f"health_tile_{position}", gap="small"):
                    _tile(desk, state, position, one, measured, breakers.get(one.dependency))


def _tile(
    desk: Desk, state: HealthState, position: int, one: Check, measured: Measurements | None, breaker: BreakerInfo | None
) -> None:
    color, icon = CHECKS.get(one.state, UNKNOWN)
    timing = timing_of(one, measured)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(bold(one.name, 60), width="stretch")
        st.badge(escape(one.state), icon=icon, color=color)
    st.markdown(escape(short(one.detail, 200)))
    if timing:
        series = sparkline(one, measured)
        st.metric(
            "Latency, p95",
            duration(timing.p95_ms),
            chart_data=series if len(series) > 1 else None,
            chart_type="line",
            delta_color="off",
        )
    if one.effect:
        st.markdown(f"**Effect:** {escape(one.effect)}")
    if one.hint:
        st.markdown(f"**Next step:** {escape(one.hint)}")
    told = {
        "last OK": ago(one.last_ok_at) if one.last_ok_at else "not since the start" if one.state in RANKS else "",
        "breaker": escape(breaker.state.value) if breaker else "",
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(facts(told), width="content")
        if st.button("Details", key=f"health_check_{position}", type="tertiary", icon=":material/info:"):
            state.open("check", one.name)
            st.rerun()
        if one.state in RANKS:
            _ways(desk, state, position, one, breaker)


def _ways(desk: Desk, state: HealthState, position: int, one: Check, breaker: BreakerInfo | None) -> None:
    if breaker and st.button(
        "Breaker", key=f"health_to_breaker_{position}", type="tertiary", icon=":material/electrical_services:"
    ):
        state.open("breaker", breaker.id)
        st.rerun()
    ways = [
        ("Providers", ":material/hub:", PROVIDERS, one.dependency and desk.principal.role is Role.ADMIN),
        ("Documents", ":material/folder_open:", DOCUMENTS, any(word in one.name.lower() for word in OF_DOCUMENTS)),
    ]
    for label, icon, page, fits in ways:
        key = f"health_to_{label.lower()}_{position}"
        if fits and st.button(label, key=key, type="tertiary", icon=icon):
            st.switch_page(page)


def timing_of(one: Check, measured: Measurements | None) -> Timing | None:
    """Return how long calls of what the check is about took in the range; None where nothing was measured."""
    known = measured.dependencies if measured and one.dependency else ()
    return next((timing for timing in known if timing.label == one.dependency and timing.count), None)


def sparkline(one: Check, measured: Measurements | None) -> list[float]:
    """Return p95 over time, thinned out to what a tile can show."""
    points = measured.stage_points if measured and one.dependency else ()
    series = [point.timing.p95_ms for point in points if point.timing.label == one.dependency]
    return series[:: max(1, len(series) // POINTS)]


def check_details(one: Check, measured: Measurements | None, breaker: BreakerInfo | None) -> None:
    """Draw everything about a check."""
    color, icon = CHECKS.get(one.state, UNKNOWN)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(bold(one.name, 200), width="stretch")
        st.badge(escape(one.state), icon=icon, color=color)
    st.markdown(escape(one.detail))
    told = {
        "Effect": escape(one.effect),
        "Next step": escape(one.hint),
        "Checked": f"{stamp(one.checked_at)}, {ago(one.checked_at)}" if one.checked_at else "",
        "Took": duration(one.elapsed_ms) if one.elapsed_ms else "",
        "Last OK": f"{stamp(one.last_ok_at)}, {ago(one.last_ok_at)}" if one.last_ok_at else "not since the start",
        "About": escape(one.dependency),
    }
    st.markdown("  \n".join(f":gray[{name}] {value}" for name, value in told.items() if value))
    timing = timing_of(one, measured)
    if measured and timing:
        with panel("Latency", "check_latency"):
            shown = {"p50": timing.p50_ms, "p95": timing.p95_ms, "p99": timing.p99_ms, "mean": timing.mean_ms}
            st.markdown(facts({name: duration(value) for name, value in shown.items()}))
            st.markdown(facts({"calls": f"{timing.count:,}", "failed": f"{timing.errors:,}", "range": measured.range.value}))
    if breaker:
        color, icon = BREAKERS[breaker.state]
        with panel("Breaker", "check_breaker"):
            st.badge(escape(breaker.state.value), icon=icon, color=color)
            st.markdown(facts({"since": ago(breaker.since), "failed": percent(breaker.failure_rate)}))
