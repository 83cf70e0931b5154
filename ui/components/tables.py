"""Tables of the admin pages. Cells of a data frame are plain text: nothing in them is interpreted."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.views import AuditEntry


def audit_table(entries: Sequence[AuditEntry]) -> None:
    """Draw audited actions, newest first."""
    rows = [
        {
            "No.": one.seq,
            "Time (UTC)": one.at,
            "Who": one.actor,
            "Action": one.action,
            "On": one.object,
            "Outcome": one.outcome,
            "Address": one.ip,
            "Details": ", ".join(f"{name} = {value}" for name, value in one.details.items()),
        }
        for one in sorted(entries, key=lambda entry: entry.seq, reverse=True)
    ]
    times = {"Time (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")}
    st.dataframe(rows, hide_index=True, column_config=times, height="auto", alt="Audited actions, newest first")
