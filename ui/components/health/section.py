"""What refreshes itself: the overall state, the firing alerts, and the chosen section. Only that one is asked for and drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from engine.operations_views import Range
from engine.views import Check
from ui.components.health.alerts import alerts_section, firing_bar
from ui.components.health.now import now_section, overall
from ui.components.health.state import HealthState, notice_bar
from ui.components.health.timeline import timeline_section
from ui.components.health.traffic import traffic_section
from ui.components.health.usage import usage_section
from ui.failures import friendly_errors
from ui.session import Desk

Section = Callable[[Desk, HealthState, Range, Sequence[Check]], None]
KEY = "health_section"
SECTIONS: dict[str, Section] = {
    "Now": now_section,
    "Traffic": traffic_section,
    "Usage": usage_section,
    "Alerts": alerts_section,
    "Timeline": timeline_section,
}


def refreshing(desk: Desk, state: HealthState, range_: Range, every: float | None) -> None:
    """Draw all of it as one fragment: its refresh leaves dialogs, open menus and what is half typed alone."""
    st.fragment(_live, run_every=every)(desk, state, range_)


def _live(desk: Desk, state: HealthState, range_: Range) -> None:
    with friendly_errors():
        _ = desk.principal  # a session that has ended is told once, not in every part
        checks = overall(desk, state)
        notice_bar(state)
        firing_bar(desk, state)
        SECTIONS[_chosen()](desk, state, range_, checks)


def _chosen() -> str:
    if KEY not in st.session_state and KEY not in st.query_params:
        st.session_state[KEY] = "Now"
    chosen = st.segmented_control(
        "Section", list(SECTIONS), required=True, key=KEY, label_visibility="collapsed", bind="query-params"
    )
    return chosen or "Now"
