"""What was used and what it cost: totals, a chart by day, a table by day, user or model, and everything as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

import streamlit as st

from engine.provider_views import Usage
from ui.components.safe_text import counted
from ui.components.serving import money
from ui.session import Desk

BY: dict[str, Callable[[Usage], str]] = {
    "Model": lambda one: " · ".join(filter(None, (one.provider, one.model))),
    "User": lambda one: one.user,
    "Day": lambda one: one.day.isoformat(),
    "Job": lambda one: one.job,
}

COUNTS = ("Calls", "Failed", "Input tokens", "Output tokens", "Mean ms")
COLUMNS = {name: st.column_config.NumberColumn(format="localized") for name in COUNTS}


def usage_section(desk: Desk) -> None:
    """Draw the usage of the last days."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = st.segmented_control(
            "Days", [7, 30, 90], default=30, required=True, key="providers_days", format_func=lambda days: f"{days} days"
        )
        by = st.segmented_control("Table by", list(BY), default="Model", required=True, key="providers_by")
    rows = desk.call(desk.workbench.usage, days=days)
    if not rows:
        st.info(f"No model was called in the last {days} days. Ask a question, or test a provider.", icon=":material/inbox:")
        return
    _totals(rows)
    title, figure = chart(rows)
    st.markdown(f"**{title}**")
    st.plotly_chart(figure, height=220, key="providers_chart", config={"displayModeBar": False}, alt=f"{title} as bars")
    st.dataframe(table(rows, by), hide_index=True, column_config=COLUMNS, alt=f"Usage by {by.lower()}")
    st.download_button(
        "Download as CSV", as_csv(rows), f"usage-{days}-days.csv", "text/csv", key="providers_csv", icon=":material/download:",
        on_click="ignore",
    )  # fmt: skip


def _totals(rows: Sequence[Usage]) -> None:
    failures = sum(one.failures for one in rows)
    tokens = sum(one.input_tokens + one.output_tokens for one in rows)
    with st.grid(4, min_column_width=140, key="providers_totals"):
        st.metric("Calls", f"{sum(one.calls for one in rows):,}", border=True)
        st.metric("Failed", f"{failures:,}", border=True)
        st.metric("Tokens", f"{tokens:,}", border=True)
        st.metric("Cost", total_cost(rows).replace("$", "\\$"), border=True)
    unknown = sorted({BY["Model"](one) for one in rows if one.cost_usd is None})
    if unknown:
        st.caption(
            f"The price of {counted(len(unknown), 'model')} is unknown, so ≥ marks a lower bound. Enter it under Prices."
        )


def total_cost(rows: Iterable[Usage]) -> str:
    """Return the cost of all rows; the part that is known is a lower bound when some prices are unknown."""
    costs = [one.cost_usd for one in rows]
    known = sum(cost for cost in costs if cost is not None)
    if None not in costs:
        return money(known)
    return f"≥ {money(known)}" if known else "unknown"


def table(rows: Sequence[Usage], by: str) -> list[dict[str, str | int]]:
    """Return sums by "Model", "User", "Day" or "Job", and of everything."""
    groups: dict[str, list[Usage]] = {}
    for one in rows:
        groups.setdefault(BY[by](one), []).append(one)
    ordered = sorted(groups.items(), reverse=by == "Day")
    return [_sum(by, name, group) for name, group in [*ordered, ("Total", list(rows))]]


def _sum(by: str, name: str, group: Sequence[Usage]) -> dict[str, str | int]:
    calls = sum(one.calls for one in group)
    return {
        by: name,
        "Calls": calls,
        "Failed": sum(one.failures for one in group),
        "Input tokens": sum(one.input_tokens for one in group),
        "Output tokens": sum(one.output_tokens for one in group),
        "Cost": total_cost(group),
        "Mean ms": round(sum(one.mean_ms * one.calls for one in group) / calls) if calls else 0,
    }


def chart(rows: Sequence[Usage]) -> tuple[str, Any]:
    """Return the title and the bars: cost by day where any is known, tokens by day otherwise."""
    # Here, for it takes half a second that the other sections need not wait for.
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    costs = any(one.cost_usd for one in rows)
    # A week at least, so that a first day is a bar among days and not a wall.
    newest = max(one.day for one in rows)
    first = min(*(one.day for one in rows), newest - timedelta(days=6))
    days = {(first + timedelta(days=n)).isoformat(): 0.0 for n in range((newest - first).days + 1)}
    for one in sorted(rows, key=lambda row: row.day):
        value = (one.cost_usd or 0.0) if costs else one.input_tokens + one.output_tokens
        days[one.day.isoformat()] += value
    figure = go.Figure(go.Bar(x=list(days), y=list(days.values()), marker_color="#1f5f8b"))
    figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0}, bargap=0.3)
    figure.update_yaxes(tickprefix="$" * costs, rangemode="tozero")
    figure.update_xaxes(type="category", nticks=10)
    return ("Known cost by day, US dollars" if costs else "Tokens by day"), figure


def as_csv(rows: Sequence[Usage]) -> bytes:
    """Return every row as CSV. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    names = [one.name for one in fields(Usage)]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return file.getvalue().encode("utf-8-sig")


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
