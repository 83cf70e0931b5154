"""The rules of alerts: what each watches, how it stands, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from engine.operations_views import AlertMetric, AlertRule
from ui.components.colors import Color
from ui.components.health.state import HealthState, Notice
from ui.components.health.words import bold, quantity, span
from ui.components.safe_text import escape, short
from ui.session import Desk

SILENCES = {"15 minutes": 15, "1 hour": 60, "8 hours": 480}
LIFT = "End the silence"
EMPTY = "Nobody is told yet when something goes wrong. A good first rule: failed questions above 5 % for 5 minutes."


def rules_panel(desk: Desk, state: HealthState) -> None:
    """Draw the rules."""
    rules = desk.call(desk.workbench.alert_rules)
    metrics = {one.name: one for one in desk.call(desk.workbench.alert_metrics)}
    if st.button("New rule", key="health_rule_new", icon=":material/add:", type="secondary" if rules else "primary"):
        state.open("rule")
        st.rerun()
    if not rules:
        st.info(EMPTY, icon=":material/notifications_off:")
    for one in sorted(rules, key=lambda rule: rule.name.lower()):
        with st.container(border=True, gap="small", key=f"health_rule_{one.id}"):
            _rule(desk, state, one, metrics)


def _rule(desk: Desk, state: HealthState, one: AlertRule, metrics: Mapping[str, AlertMetric]) -> None:
    word, color, icon = standing(one)
    metric = metrics.get(one.metric)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        now = f" :gray[Now] {escape(quantity(one.value, metric.unit if metric else ''))}" if one.value is not None else ""
        st.markdown(f"{bold(one.name)}  \n{condition(one, metric)}.{now}", width="stretch")
        st.badge(word, icon=icon, color=color)
        with st.container(horizontal=True, gap="small", width="content"):
            _buttons(desk, state, one)


def _buttons(desk: Desk, state: HealthState, one: AlertRule) -> None:
    if st.button("Edit", key=f"health_rule_edit_{one.id}", type="tertiary", icon=":material/edit:"):
        state.open("rule", one.id)
        st.rerun()
    st.menu_button(
        "Silence",
        [*SILENCES, *([LIFT] if silenced(one) else [])],
        key=f"health_silence_{one.id}",
        type="tertiary",
        icon=":material/notifications_paused:",
        on_click=_silence,
        args=(desk, state, one),
    )
    st.button(
        "Delete",
        key=f"health_rule_off_{one.id}",
        type="tertiary",
        icon=":material/delete:",
        on_click=_delete,
        args=(desk, state, one),
    )


def silenced(one: AlertRule) -> bool:
    """Tell whether a rule is silent now."""
    return one.silenced_until is not None and one.silenced_until > datetime.now(UTC)


def standing(one: AlertRule) -> tuple[str, Color, str]:
    """Return how a rule stands: word, colour and icon."""
    if not one.enabled:
        return "off", "gray", ":material/notifications_off:"
    if one.silenced_until and silenced(one):
        left = (one.silenced_until - datetime.now(UTC)).total_seconds()
        return f"silent for {span(left)}", "violet", ":material/notifications_paused:"
    if one.value is None:
        return "nothing measured", "gray", ":material/help:"
    if (one.value > one.threshold) if one.above else (one.value < one.threshold):
        return "beyond the limit", "red", ":material/notifications_active:"
    return "within the limit", "green", ":material/check_circle:"


def condition(one: AlertRule, metric: AlertMetric | None) -> str:
    """Return when a rule fires, as Markdown."""
    what = escape(short(metric.label if metric else one.metric, 80))
    of = f" of {escape(short(one.label, 80))}" if one.label else ""
    limit = escape(quantity(one.threshold, metric.unit if metric else ""))
    lasting = f" for {span(one.for_minutes * 60)}" if one.for_minutes else ""
    return f"{what}{of} {'above' if one.above else 'below'} {limit}{lasting}"


def _silence(desk: Desk, state: HealthState, one: AlertRule) -> None:
    chosen = st.session_state.get(f"health_silence_{one.id}")
    minutes = SILENCES.get(str(chosen), 0)
    if chosen is None:
        return
    method = desk.workbench.silence_alert_rule
    told = f"{bold(one.name)} is silent for {span(minutes * 60)}." if minutes else f"{bold(one.name)} speaks again."
    state.do(lambda: desk.call(method, one.id, minutes), Notice(told))


def _delete(desk: Desk, state: HealthState, one: AlertRule) -> None:
    ops = desk.workbench
    again = replace(one, id="", value=None)
    state.do(
        lambda: desk.call(ops.delete_alert_rule, one.id),
        Notice(
            f"The rule {bold(one.name)} was deleted.",
            undo=lambda: desk.call(ops.save_alert_rule, again),
            undone=f"The rule {bold(one.name)} is back.",
        ),
    )


def names(channels: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Return those channels of a rule that still exist."""
    return [one for one in channels if one in known]
