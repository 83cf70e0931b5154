"""The dialog that is open. It stands outside of what refreshes itself, so that nothing typed in it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from engine.errors import NotFound
from engine.operations_views import BreakerCommand, BreakerInfo, Range
from ui.components.health.board import breaker_card
from ui.components.health.caches import clear_dialog
from ui.components.health.channels import channel_form, delete_channel_dialog
from ui.components.health.commands import command_dialog
from ui.components.health.rule_form import rule_form
from ui.components.health.state import HealthState
from ui.components.health.tiles import check_details
from ui.failures import friendly_errors
from ui.session import Desk

Body = Callable[[Desk, HealthState, str, Range], None]
GONE = "Somebody else removed it meanwhile."


def pending_dialog(desk: Desk, state: HealthState, range_: Range) -> None:
    """Open the dialog that was asked for."""
    if state.pending is None:
        return
    action, name = state.pending
    title, position, body = DIALOGS[action]

    def safely() -> None:
        with friendly_errors():
            body(desk, state, name, range_)

    st.dialog(title, width="medium", position=position, on_dismiss=state.close)(safely)()


def _breaker(desk: Desk, breaker_id: str) -> BreakerInfo:
    for one in desk.call(desk.workbench.breakers):
        if one.id == breaker_id:
            return one
    raise NotFound("this breaker is gone", hint="It comes back with the next call of what it stands in front of.")


def _show_check(desk: Desk, state: HealthState, name: str, range_: Range) -> None:
    ops = desk.workbench
    one = next((check for check in desk.call(ops.health) if check.name == name), None)
    if one is None:
        raise NotFound("this check is gone", hint=GONE)
    measured = breaker = None
    if one.dependency:
        with friendly_errors():
            measured = desk.call(ops.measurements, range_)
            breaker = next((row for row in desk.call(ops.breakers) if str(row.dependency) == one.dependency), None)
    check_details(one, measured, breaker)


def _show_breaker(desk: Desk, state: HealthState, name: str, range_: Range) -> None:
    breaker_card(state, _breaker(desk, name), key="dialog")


def _command(command: BreakerCommand) -> Body:
    return lambda desk, state, name, range_: command_dialog(desk, state, _breaker(desk, name), command)


def _rule(desk: Desk, state: HealthState, name: str, range_: Range) -> None:
    ops = desk.workbench
    rule = next((one for one in desk.call(ops.alert_rules) if one.id == name), None) if name else None
    if name and rule is None:
        raise NotFound("this rule is gone", hint=GONE)
    rule_form(desk, state, rule, desk.call(ops.alert_metrics), desk.call(ops.alert_channels))


def _channel(desk: Desk, state: HealthState, name: str, range_: Range) -> None:
    channel = next((one for one in desk.call(desk.workbench.alert_channels) if one.id == name), None) if name else None
    if name and channel is None:
        raise NotFound("this channel is gone", hint=GONE)
    channel_form(desk, state, channel)


def _delete_channel(desk: Desk, state: HealthState, name: str, range_: Range) -> None:
    ops = desk.workbench
    channel = next((one for one in desk.call(ops.alert_channels) if one.id == name), None)
    if channel is None:
        raise NotFound("this channel is gone", hint=GONE)
    delete_channel_dialog(desk, state, channel, desk.call(ops.alert_rules))


def _clear(desk: Desk, state: HealthState, name: str, range_: Range) -> None:
    clear_dialog(desk, state)


DIALOGS: dict[str, tuple[str, Literal["center", "right"], Body]] = {
    "check": ("Check", "right", _show_check),
    "breaker": ("Breaker", "center", _show_breaker),
    BreakerCommand.TRIP.value: ("Trip this breaker?", "center", _command(BreakerCommand.TRIP)),
    BreakerCommand.DRAIN.value: ("Drain this breaker?", "center", _command(BreakerCommand.DRAIN)),
    BreakerCommand.HOLD.value: ("Hold this breaker closed?", "center", _command(BreakerCommand.HOLD)),
    BreakerCommand.RESET.value: ("Reset this breaker?", "center", _command(BreakerCommand.RESET)),
    "rule": ("Rule", "center", _rule),
    "channel": ("Channel", "center", _channel),
    "channel_off": ("Delete this channel?", "center", _delete_channel),
    "clear": ("Throw away kept answers?", "center", _clear),
}
