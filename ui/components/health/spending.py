"""What answers were like, and what they cost."""

from __future__ import annotations

import streamlit as st

from engine.operations_views import Quality, Spending
from ui.components.health import figures
from ui.components.health.charts import chart
from ui.components.health.state import HealthState
from ui.components.health.words import percent
from ui.components.safe_text import counted
from ui.components.serving import money


def quality_panel(quality: Quality) -> None:
    """Draw how answers were."""
    with st.grid(3, min_column_width=180, key="health_quality"):
        st.metric("Answers", f"{quality.answers:,}", border=True)
        st.metric(
            "Unsupported sentences",
            percent(quality.unsupported_rate),
            border=True,
            help="Sentences of answers that no cited passage carries; readers see them marked.",
        )
        st.metric(
            "Questions refused",
            percent(quality.refusal_rate),
            border=True,
            help="The documents held no answer, so none was made up.",
        )


def spending_panel(state: HealthState, spending: Spending, revision: str) -> None:
    """Draw sums, and who and what they are for."""
    with st.grid(3, min_column_width=180, key="health_spending"):
        st.metric("Today", _usd(spending.today), border=True)
        st.metric("This month", _usd(spending.month), border=True)
        st.metric(
            "Forecast of the month", _usd(spending.forecast), border=True, help="This month at the pace of its days so far."
        )
    if spending.unknown_calls:
        st.caption(
            f"{counted(spending.unknown_calls, 'call')} have no known price and are in no sum. An admin enters prices on the "
            "page Providers."
        )
    bars = [("This month by model", "by_model", spending.by_model), ("This month by user", "by_user", spending.by_user)]
    with st.grid(min_column_width=380):
        for title, key, rows in bars:
            if rows:
                chart(
                    state,
                    title,
                    key,
                    figures.spending(rows, revision),
                    lambda rows=rows: [{"Name": name, "US dollars": round(usd, 4)} for name, usd in rows],  # type: ignore[misc]
                    height=80 + 34 * min(10, len(rows)),
                )


def _usd(amount: float) -> str:
    return money(amount).replace("$", "\\$")
