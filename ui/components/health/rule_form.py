"""The form of a rule: what to watch, the limit, how patient to be, whom to tell."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import AlertChannel, AlertMetric, AlertRule
from ui.components.health.rules import condition, names
from ui.components.health.state import HealthState, Notice, failure_box
from ui.components.health.words import bold
from ui.session import Desk

STARTS = {"%": 5.0, "ms": 10_000.0, "s": 600.0, "US$": 10.0}  # by unit: limits that are worth a look
ALL = "all together"
ABOVE, BELOW = "above", "below"


def rule_form(
    desk: Desk, state: HealthState, rule: AlertRule | None, metrics: Sequence[AlertMetric], channels: Sequence[AlertChannel]
) -> None:
    """Draw the form; `rule` is None for a new one."""
    if not metrics:
        st.info("There is nothing that a rule could watch yet.", icon=":material/inbox:")
        return
    wanted = _fields(state, rule, metrics, channels)
    metric = next((one for one in metrics if one.name == wanted.metric), None)
    st.caption(f"Fires when: {condition(wanted, metric)}.")
    failure_box(state)
    if st.button("Save", key="health_rule_save", type="primary", icon=":material/save:", disabled=not wanted.name):
        method = desk.workbench.save_alert_rule
        state.attempt(lambda: desk.call(method, wanted), Notice(f"The rule {bold(wanted.name)} was saved."))
        st.rerun()


def _fields(
    state: HealthState, rule: AlertRule | None, metrics: Sequence[AlertMetric], channels: Sequence[AlertChannel]
) -> AlertRule:
    n = state.number
    name = st.text_input(
        "Name", rule.name if rule else "", key=f"health_rule_name_{n}", max_chars=100, autocomplete="off", live="200ms",
        placeholder="for example: too many failures",
    )  # fmt: skip
    metric, label = _what(n, rule, metrics)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control(
            "Fires when it is", [ABOVE, BELOW], default=BELOW if rule and not rule.above else ABOVE, required=True,
            key=f"health_rule_side_{n}",
        )  # fmt: skip
        kept = rule is not None and rule.metric == metric.name
        threshold = st.number_input(
            f"Limit ({metric.unit})".replace("$", "\\$") if metric.unit else "Limit",
            value=float(rule.threshold) if rule and kept else STARTS.get(metric.unit, 1.0),
            key=f"health_rule_limit_{n}_{metric.name}",
            width=180,
        )
    with st.container(horizontal=True):
        lasting = st.number_input(
            "For minutes", 0.0, 1440.0, float(rule.for_minutes) if rule else 5.0, 1.0, key=f"health_rule_for_{n}", width=180,
            help="It must stay beyond the limit so long. 0 = fire at once.",
        )  # fmt: skip
        cooldown = st.number_input(
            "Rest, minutes", 0.0, 1440.0, float(rule.cooldown_minutes) if rule else 10.0, 1.0, key=f"health_rule_rest_{n}",
            width=180, help="After it ended it does not fire again so soon.",
        )  # fmt: skip
    known = {one.id: one.name for one in channels}
    told = st.multiselect(
        "Tell", list(known), names(rule.channels, known) if rule else list(known), format_func=lambda key: known[key],
        key=f"health_rule_channels_{n}", disabled=not known,
        placeholder="only here, on the page" if known else "no channels yet: only here, on the page",
    )  # fmt: skip
    enabled = st.toggle("On", rule.enabled if rule else True, key=f"health_rule_on_{n}")
    return AlertRule(
        id=rule.id if rule else "",
        name=(name or "").strip(),
        metric=metric.name,
        label=label,
        above=side != BELOW,
        threshold=float(threshold),
        for_minutes=float(lasting),
        cooldown_minutes=float(cooldown),
        enabled=enabled,
        channels=tuple(told),
        silenced_until=rule.silenced_until if rule else None,
    )


def _what(n: int, rule: AlertRule | None, metrics: Sequence[AlertMetric]) -> tuple[AlertMetric, str]:
    by_name = {one.name: one for one in metrics}
    start = list(by_name).index(rule.metric) if rule and rule.metric in by_name else 0
    chosen = st.selectbox(
        "Watches", list(by_name), start, format_func=lambda name: by_name[name].label, key=f"health_rule_metric_{n}"
    )
    metric = by_name[chosen]
    kept = rule.label if rule and rule.metric == metric.name else ""
    labels = list(dict.fromkeys(["", *metric.labels, kept]))
    if len(labels) == 1:
        return metric, ""
    label = st.selectbox(
        "Of", labels, labels.index(kept), format_func=lambda one: one or ALL, key=f"health_rule_label_{n}_{metric.name}"
    )
    return metric, label
