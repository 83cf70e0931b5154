"""What happened when: alerts, breakers, changes of the configuration and starts of servers in one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from engine.operations_views import Incident, Range
from engine.views import Check
from ui.components.health.state import HealthState
from ui.components.health.words import panel
from ui.components.safe_text import escape, short
from ui.session import Desk

KINDS = {"alert": "Alerts", "breaker": "Breakers", "change": "Changes", "server": "Servers"}
ICONS = {
    "alert": ":material/notifications:",
    "breaker": ":material/electrical_services:",
    "change": ":material/tune:",
    "server": ":material/dns:",
}
COLORS = {"bad": "red", "good": "green", "note": "gray"}
WORDS = {"bad": "trouble", "good": "better", "note": "note"}
SHOWN = 200


def timeline_section(desk: Desk, state: HealthState, range_: Range, checks: Sequence[Check]) -> None:
    """Draw the timeline of the range, newest first."""
    with panel("Timeline", "timeline"):
        found = desk.call(desk.workbench.incidents, range_)
        kinds = st.pills(
            "Kinds", list(KINDS), selection_mode="multi", key="health_kinds", format_func=lambda kind: KINDS[kind],
            label_visibility="collapsed",
        )  # fmt: skip
        rows = [one for one in found if not kinds or one.kind in kinds]
        if not rows:
            st.info(
                f"Nothing of this kind happened in the last {range_.value}. Choose a longer range above to look further back."
                if kinds
                else f"Nothing happened in the last {range_.value}: no alert, no breaker that opened, no change, no start. "
                "Choose a longer range above to look further back.",
                icon=":material/inbox:",
            )
        for day, entries in groupby(rows[:SHOWN], key=lambda one: f"{one.at:%A, %d %B %Y}"):
            with st.container(border=True, gap="small"):
                st.markdown(f"**{day}**")
                st.markdown("  \n".join(line(one) for one in entries))
        if len(rows) > SHOWN:
            st.caption(f"And {len(rows) - SHOWN:,} more. A shorter range shows fewer.")


def line(one: Incident) -> str:
    """Return an entry as Markdown."""
    color, icon = COLORS.get(one.state, "gray"), ICONS.get(one.kind, ":material/circle:")
    detail = f" — {escape(short(one.detail, 200))}" if one.detail else ""
    who = f" :gray[by {escape(short(one.by, 40))}]" if one.by else ""
    word = WORDS.get(one.state, "note")
    return f":gray[{one.at:%H:%M}] :{color}[{icon} {word}] **{escape(short(one.title, 120))}**{detail}{who}"
