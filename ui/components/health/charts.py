"""A chart with its title and, on demand, its numbers as a table.

Streamlit 1.67 makes a Plotly chart anew, zoom and all, whenever a number in it changes, whatever its key or `uirevision`. So
charts end with the last complete step, change once a step and not once a refresh, and can be held while somebody looks closely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import streamlit as st

from ui.components.health.figures import CONFIG
from ui.components.health.state import HealthState

Rows = Sequence[dict[str, object]]
HEIGHT = 250
HOLD = "health_hold"
COLUMNS = {"Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=150)}


class Point(Protocol):
    """A step of a chart."""

    @property
    def at(self) -> datetime:
        """When it begins."""


P = TypeVar("P", bound=Point)


def complete(points: Sequence[P], step_seconds: int) -> list[P]:
    """Return the steps that are over; all of them while none is."""
    now, step = datetime.now(UTC), timedelta(seconds=step_seconds)
    return [one for one in points if one.at + step <= now] or list(points)


def hold_switch(state: HealthState) -> None:
    """Draw the switch that keeps the charts as they are."""
    held = st.toggle(
        "Hold the charts",
        key=HOLD,
        help="Drag across a chart to look closer, double-click to go back. New numbers would reset that; held charts wait.",
    )
    if not held:
        state.held.clear()


def chart(
    state: HealthState, title: str, key: str, figure: Any, rows: Callable[[], Rows], *, height: int = HEIGHT, note: str = ""
) -> None:
    """Draw the chart; the table is only made while it is open."""
    if st.session_state.get(HOLD):
        figure = state.held.setdefault(f"{key} {figure.layout.uirevision}", figure)
    with st.container(border=True, height="stretch", gap="small", key=f"health_chart_{key}"):
        st.markdown(f"**{title}**", help=note or None)
        st.plotly_chart(figure, height=height, key=f"health_figure_{key}", config=CONFIG, alt=f"{title}, as a chart")
        opened = st.expander("As a table", key=f"health_table_{key}", on_change="rerun", type="compact")
        if opened.open:
            with opened:
                st.dataframe(rows(), hide_index=True, height=HEIGHT, column_config=COLUMNS, alt=f"{title}, as a table")
