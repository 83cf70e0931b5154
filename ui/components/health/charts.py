"""A chart with its title and, on demand, its numbers as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from ui.components.health.figures import CONFIG

Rows = Sequence[dict[str, object]]
HEIGHT = 250


def chart(title: str, key: str, figure: Any, rows: Callable[[], Rows], *, height: int = HEIGHT, help: str = "") -> None:
    """Draw the chart; the table is only made while it is open."""
    with st.container(border=True, height="stretch", gap="small", key=f"health_chart_{key}"):
        st.markdown(f"**{title}**", help=help or None)
        st.plotly_chart(figure, height=height, key=f"health_figure_{key}", config=CONFIG, alt=f"{title}, as a chart")
        opened = st.expander("As a table", key=f"health_table_{key}", on_change="rerun", type="compact")
        if opened.open:
            with opened:
                st.dataframe(rows(), hide_index=True, height=HEIGHT, alt=f"{title}, as a table")
