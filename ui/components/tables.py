"""Tables of the admin pages. Cells of a data frame are plain text: nothing in them is interpreted."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.access_views import UserInfo


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
