"""Alerts: what fires now, what fired before, the rules behind it, and where they are sent."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import AlertInfo, Range
from engine.views import Check
from ui.components.health.channels import channels_panel
from ui.components.health.charts import Rows
from ui.components.health.rules import rules_panel
from ui.components.health.state import HealthState, Notice
from ui.components.health.words import ago, bold, panel, span, stamp
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk


def firing_bar(desk: Desk, state: HealthState) -> None:
    """Draw the alerts that fire now, above every section."""
    with st.container(key="health_firing", gap="small"), friendly_errors():
        for one in desk.call(desk.workbench.alerts):
            if one.firing:
                _firing(desk, state, one)


def _firing(desk: Desk, state: HealthState, one: AlertInfo) -> None:
    icon, color = (
        (":material/notifications_paused:", "orange") if one.acknowledged_at else (":material/notifications_active:", "red")
    )
    with st.container(horizontal=True, vertical_alignment="center", border=True, gap="small", key=f"health_alert_{one.id}"):
        text = f":{color}[{icon} **Firing**] {bold(one.rule)} :gray[for {ago(one.started_at).removesuffix(' ago')}]"
        if one.detail:
            text += f"  \n{escape(short(one.detail, 300))}"
        failed = [
            f"{escape(short(name, 40))}: {escape(short(result, 120))}"
            for name, result in sorted(one.deliveries.items())
            if result != "sent"
        ]
        if failed:
            text += "  \n:orange[:material/unsubscribe: not delivered] " + "; ".join(failed)
        if one.acknowledged_at:
            text += f"  \n:gray[Acknowledged by {escape(short(one.acknowledged_by, 40))} {ago(one.acknowledged_at)}]"
        st.markdown(text, width="stretch")
        if not one.acknowledged_at:
            st.button(
                "Acknowledge",
                key=f"health_acknowledge_{one.id}",
                icon=":material/done:",
                help="Tells the others that you look after it. It goes on firing until it is over.",
                on_click=_acknowledge,
                args=(desk, state, one),
            )


def _acknowledge(desk: Desk, state: HealthState, one: AlertInfo) -> None:
    method = desk.workbench.acknowledge_alert
    state.do(lambda: desk.call(method, one.id), Notice(f"You look after {bold(one.rule)} now."))


def alerts_section(desk: Desk, state: HealthState, range_: Range, checks: Sequence[Check]) -> None:
    """Draw rules, channels and history."""
    with panel("Rules", "rules", note="A rule watches one number and fires when it stays beyond a limit."):
        rules_panel(desk, state)
    with panel(
        "Channels",
        "channels",
        note="Firing alerts always show here and in the navigation. Channels tell people who are elsewhere.",
    ):
        channels_panel(desk, state)
    with panel("History", "history"):
        past = [one for one in desk.call(desk.workbench.alerts) if not one.firing]
        if past:
            st.dataframe(rows(past), hide_index=True, alt="Alerts that are over, newest first")
        else:
            st.info("No alert has ended yet.", icon=":material/inbox:")


def rows(alerts: Sequence[AlertInfo]) -> Rows:
    """Return the cells of past alerts. Cells of a data frame are plain text: nothing in them is interpreted."""
    return [
        {
            "Rule": one.rule,
            "Began": stamp(one.started_at),
            "Lasted": span((one.resolved_at - one.started_at).total_seconds()) if one.resolved_at else "",
            "Value": one.value,
            "Detail": one.detail,
            "Acknowledged by": one.acknowledged_by,
            "Deliveries": ", ".join(f"{name}: {result}" for name, result in sorted(one.deliveries.items())),
        }
        for one in alerts
    ]
