"""The form for a new user."""

from __future__ import annotations

import streamlit as st

from engine.types import Role
from ui.components.safe_text import escape
from ui.failures import friendly_errors
from ui.session import Desk

WHAT = {
    Role.ANALYST: "analyst: asks, and keeps documents",
    Role.OPERATOR: "operator: also sees health",
    Role.ADMIN: "admin: also users, providers and audit",
}


def new_user_form(desk: Desk) -> None:
    """Draw the form and create the user."""
    with st.form("users_new", clear_on_submit=False):
        st.markdown("#### Add a user", anchors=False)
        name = st.text_input("User name", max_chars=100, autocomplete="off", placeholder="no spaces, such as anna.berg")
        password = st.text_input(
            "Password", type="password", autocomplete="new-password", help="At least 10 characters. Hand it over in person."
        )
        role = st.selectbox("Role", list(Role), format_func=WHAT.__getitem__) or Role.ANALYST
        if st.form_submit_button("Add user", type="primary"):
            with friendly_errors():
                made = desk.call(desk.workbench.create_user, name.strip(), password, role)
                st.success(f"{escape(made.name)} can sign in now.", icon=":material/check_circle:")
