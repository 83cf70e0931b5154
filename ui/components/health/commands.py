"""Forcing a breaker: what it does to users, why it is done, and the last click."""

from __future__ import annotations

import streamlit as st

from engine.operations_views import BreakerCommand, BreakerInfo
from ui.components.health.board import BUTTONS
from ui.components.health.state import HealthState, Notice, failure_box
from ui.components.health.words import bold
from ui.session import Desk

WITHOUT = {
    "chat": "Questions go to the next model of the order. Where there is none, users read that the model is out of use.",
    "embedding": "New documents wait and are not lost. Questions that need this model for searching are refused with a reason.",
    "rerank": "Passages stay in the order of the search, so answers may rest on less fitting ones.",
    "store": "Collections in this store cannot be searched, and new documents for it wait. Nothing is lost.",
}
WHAT = {
    BreakerCommand.TRIP: "**Every call of {name} is refused from now on, and running ones are given up**: answers that it "
    "is writing end unfinished.",
    BreakerCommand.DRAIN: "**No new call of {name} begins.** Running ones may end, so no answer is cut off.",
    BreakerCommand.HOLD: "**Every call of {name} goes through, whatever fails.** While it really fails, users wait for its "
    "time limit before they get an error or another model. Meant for known, short trouble.",
    BreakerCommand.RESET: "**{name} is called again at once**, with nothing counted against it. If it still fails, users "
    "notice for a few calls, and the breaker opens again by itself.",
}
LASTS = "It stays so on every server, also after a restart, until somebody presses Reset."
DONE = {
    BreakerCommand.TRIP: "{name} is tripped: no call passes.",
    BreakerCommand.DRAIN: "{name} is draining: no new call begins.",
    BreakerCommand.HOLD: "{name} is held closed: every call passes.",
    BreakerCommand.RESET: "{name} works by itself again.",
}


def command_dialog(desk: Desk, state: HealthState, one: BreakerInfo, command: BreakerCommand) -> None:
    """Draw what the command means, ask for the reason, and do it."""
    name = bold(str(one.dependency), 120)
    label, icon, _, _ = BUTTONS[command]
    reset = command is BreakerCommand.RESET
    st.markdown(WHAT[command].format(name=name))
    if command in (BreakerCommand.TRIP, BreakerCommand.DRAIN):
        st.markdown(WITHOUT.get(one.dependency.operation, ""))
    if not reset:
        st.caption(LASTS)
    reason = st.text_input(
        "Reason (optional)" if reset else "Reason, for others to read on the board and in the audit",
        key=f"health_reason_{state.number}",
        max_chars=200,
        placeholder="for example: the vendor announced maintenance until 18:00",
        autocomplete="off",
        live="200ms",
    )
    given = (reason or "").strip()
    failure_box(state)
    if st.button(label, key="health_command_now", type="primary", icon=icon, disabled=not (given or reset)):
        method = desk.workbench.command_breaker
        state.attempt(lambda: desk.call(method, one.id, command, reason=given), Notice(DONE[command].format(name=name)))
        st.rerun()
