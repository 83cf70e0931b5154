"""Tables of the admin pages. Cells of a data frame are plain text: nothing in them is interpreted."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.access_views import UserInfo
from engine.audit_views import AuditEntry


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


def user_table(users: Sequence[UserInfo]) -> None:
    """Draw the users."""
    rows = [
        {
            "Name": one.name,
            "Role": one.role.value,
            "State": "disabled" if one.disabled else "active",
            "Since": one.created_at,
            "Last seen (UTC)": one.last_seen_at,
        }
        for one in users
    ]
    times = {
        "Since": st.column_config.DatetimeColumn(format="YYYY-MM-DD"),
        "Last seen (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    }
    st.dataframe(rows, hide_index=True, column_config=times, alt="The users of this workbench")
