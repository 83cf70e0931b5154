"""The present: one word for everything, a tile for each check, the board of breakers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import BreakerInfo, Measurements, Range
from engine.views import Check
from ui.components.colors import Color
from ui.components.health.board import breaker_board
from ui.components.health.first_run import first_run
from ui.components.health.state import HealthState
from ui.components.health.tiles import check_tiles
from ui.components.health.words import ago, panel, stamp
from ui.components.safe_text import counted
from ui.failures import friendly_errors
from ui.session import Desk

WORDS: dict[str, tuple[str, Color, str, str]] = {
    "failed": ("Failing", "red", ":material/error:", "Something that users need does not work."),
    "degraded": ("Degraded", "orange", ":material/warning:", "Everything is served, some of it slower or with a part missing."),
    "ok": ("Healthy", "green", ":material/check_circle:", "Nothing needs attention."),
    "unknown": ("Unknown", "gray", ":material/help:", "Nothing was checked yet."),
}


def overall(desk: Desk, state: HealthState) -> Sequence[Check]:
    """Draw the overall state and the button that checks anew; return the checks, none when they could not be had."""
    checks: Sequence[Check] = []
    with st.container(key="health_overall"), friendly_errors():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            line = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
            again = st.button("Check now", icon=":material/refresh:", key="health_again")
        if again:
            with st.spinner("Checking"):
                checks = desk.call(desk.workbench.health, fresh=True)
        else:
            checks = desk.call(desk.workbench.health)
        with line:
            _word(checks)
    return checks


def _word(checks: Sequence[Check]) -> None:
    # One model or store that fails has others that stand in for it: answers go on, with a label.
    states = {"degraded" if one.state == "failed" and one.dependency else one.state for one in checks}
    state = next((one for one in ("failed", "degraded") if one in states), "ok" if checks else "unknown")
    word, color, icon, meaning = WORDS[state]
    bad = sum(one.state in ("failed", "degraded") for one in checks)
    times = [one.checked_at for one in checks if one.checked_at]
    when = f" · last look {ago(max(times))}" if times else ""
    needs = "needs" if bad == 1 else "need"
    count = (
        f"{bad} of {counted(len(checks), 'check')} {needs} attention"
        if bad
        else f"all {counted(len(checks), 'check')} are fine"
    )
    st.markdown(f"#### :{color}[{icon} {word}]", width="content", anchors=False, help=meaning)
    if checks:
        pace = f"Each check has a pace of its own; the oldest result is of {stamp(min(times))}." if times else None
        st.markdown(f":gray[{count}{when}]", width="content", help=pace)


def now_section(desk: Desk, state: HealthState, range_: Range, checks: Sequence[Check]) -> None:
    """Draw the tiles and the board."""
    board: Sequence[BreakerInfo] = []
    measured: Measurements | None = None
    with panel("Parts", "tiles"):
        place = st.container()
        with friendly_errors():
            measured = desk.call(desk.workbench.measurements, range_)
    with panel(
        "Breakers",
        "breakers",
        note="A breaker stands in front of each model and store. It refuses calls while most of them fail, so that nobody "
        "waits for what does not work, and tries again by itself.",
    ):
        board = desk.call(desk.workbench.breakers)
        breaker_board(state, board)
    with place:
        if measured and measured.empty:
            first_run()
        check_tiles(desk, state, checks, measured, board)
