"""Changing the own password."""

from __future__ import annotations

import streamlit as st

from engine.access_views import UserInfo
from ui.components.people.state import Notice, PageState
from ui.session import Desk

DONE = "Your password was changed. All your other sessions have ended."


def password_box(desk: Desk, state: PageState, me: UserInfo) -> None:
    """Draw the form; what was typed is forgotten with its widgets after each attempt."""
    with st.form(f"account_password_{state.number}", width=560):
        st.markdown("#### Password", anchors=False)
        st.caption("Changing it ends all your other sessions.")
        old = st.text_input(
            "Present password", type="password", autocomplete="current-password", key=f"account_old_{state.number}"
        )
        new = st.text_input(
            "New password", type="password", autocomplete="new-password", key=f"account_new_{state.number}",
            help="At least 10 characters. A few unrelated words are easy to remember.",
        )  # fmt: skip
        again = st.text_input(
            "New password again", type="password", autocomplete="new-password", key=f"account_again_{state.number}"
        )
        if st.form_submit_button("Change password", type="primary"):
            if new != again:
                state.number += 1
                state.failure = "The two new passwords differ. Nothing was changed."
            else:
                state.attempt(lambda: desk.call(desk.workbench.change_password, old or "", new or ""), Notice(DONE))
            st.rerun()
