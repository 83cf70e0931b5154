"""The top of the page: how far back, how often anew, and everything as a file. Choices are kept per user."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import Range
from ui.components.health.export import export_menu
from ui.components.health.state import HealthState
from ui.failures import friendly_errors
from ui.session import Desk

EVERY: dict[str, float | None] = {"Off": None, "10 s": 10.0, "30 s": 30.0}


def head(desk: Desk, state: HealthState) -> tuple[Range, float | None]:
    """Draw the top; return the range of the charts and the seconds between two refreshes (None = never)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="health_head"):
        st.title("Health", width="stretch", anchor=False)
        range_ = _kept(desk, state, "health_range", "Range", [one.value for one in Range], Range.HOUR.value)
        every = _kept(desk, state, "health_refresh", "Refresh", list(EVERY), "30 s")
        export_menu(desk, state, Range(range_))
    return Range(range_), EVERY[every]


def _kept(desk: Desk, state: HealthState, name: str, label: str, options: Sequence[str], start: str) -> str:
    if name not in state.chosen:
        state.chosen[name] = start
        with friendly_errors():
            found = desk.call(desk.workbench.preference, name)
            state.chosen[name] = found if found in options else start
    if name not in st.session_state:
        st.session_state[name] = state.chosen[name]
    chosen = st.segmented_control(label, list(options), required=True, key=name) or start
    if chosen != state.chosen[name]:
        state.chosen[name] = chosen
        with friendly_errors():
            desk.call(desk.workbench.set_preference, name, chosen)
    return chosen
