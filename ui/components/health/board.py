"""The board of breakers: what each one does, why, and the buttons that force it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import BreakerCommand, BreakerInfo, BreakerState
from ui.components.health.state import HealthState
from ui.components.health.words import BREAKERS, ago, bold, facts, percent, span, stamp
from ui.components.safe_text import escape, short

ORDER = list(BREAKERS)
OWN = (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED)
BUTTONS: dict[BreakerCommand, tuple[str, str, BreakerState | None, str]] = {
    BreakerCommand.TRIP: ("Trip", ":material/front_hand:", BreakerState.TRIPPED, "Stop all calls at once"),
    BreakerCommand.DRAIN: ("Drain", ":material/hourglass_bottom:", BreakerState.DRAINING, "Let running calls end, start none"),
    BreakerCommand.HOLD: ("Hold closed", ":material/lock:", BreakerState.HELD, "Let every call through, whatever happens"),
    BreakerCommand.RESET: ("Reset", ":material/restart_alt:", None, "Start again, closed and with nothing counted"),
}


def breaker_board(state: HealthState, board: Sequence[BreakerInfo]) -> None:
    """Draw a card for each breaker, the worst first."""
    if not board:
        st.info(
            "No model and no store was called since the start. A breaker appears here with the first call of each.",
            icon=":material/electrical_services:",
        )
        return
    for one in sorted(board, key=lambda info: (ORDER.index(info.state), str(info.dependency))):
        with st.container(border=True, gap="small", key=f"health_breaker_{one.id}"):
            breaker_card(state, one)


def breaker_card(state: HealthState, one: BreakerInfo, *, key: str = "board") -> None:
    """Draw one breaker with its buttons; pressing one opens the dialog that asks for the reason."""
    color, icon = BREAKERS[one.state]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(bold(str(one.dependency), 120), width="stretch")
        st.badge(escape(one.state.value), icon=icon, color=color)
        st.caption(f"since {ago(one.since).removesuffix(' ago')}", width="content", help=stamp(one.since))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(facts(numbers(one)), width="stretch")
        with st.container(horizontal=True, gap="small", width="content"):
            _buttons(state, one, key)
    for line in stories(one):
        st.markdown(line)


def _buttons(state: HealthState, one: BreakerInfo, key: str) -> None:
    for command, (label, symbol, forced, meaning) in BUTTONS.items():
        name, disabled = f"health_{command.value}_{key}_{one.id}", one.state is forced
        if st.button(label, icon=symbol, key=name, type="tertiary", help=meaning, disabled=disabled):
            state.open(command.value, one.id)
            st.rerun()


def numbers(one: BreakerInfo) -> dict[str, str]:
    """Return what was counted."""
    few = one.failure_rate is None
    return {
        "failed": "too few calls to judge" if few else percent(one.failure_rate),
        "slow": "" if few else percent(one.slow_rate),
        "calls in window": f"{one.calls:,}",
        "in use": f"{one.in_use:,} of {one.limit:,}",
        "let through": f"{one.permitted:,}",
        "refused": f"{one.not_permitted:,}",
        "tries again in": span(one.retry_after_seconds) if one.state is BreakerState.OPEN and one.retry_after_seconds else "",
    }


def stories(one: BreakerInfo) -> list[str]:
    """Return why it is as it is, as Markdown."""
    lines = []
    if one.state not in OWN:
        who = f" by {bold(one.forced_by)}" if one.forced_by else ""
        lines.append(f":gray[Forced]{who}" + (f": {escape(short(one.reason, 200))}" if one.reason else ""))
    elif one.reason and one.state is not BreakerState.CLOSED:
        lines.append(f":gray[Why] {escape(short(one.reason, 200))}")
    if one.shared:
        lines.append(":gray[Another process found it failing and told this one.]")
    if one.last_error:
        lines.append(f":gray[Last error] {escape(short(one.last_error, 200))}")
    return lines
