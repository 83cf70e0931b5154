"""Who is signed in, and the way out."""

from __future__ import annotations

import streamlit as st

from engine.types import Principal
from ui.components.safe_text import escape, short


def account_menu(principal: Principal) -> None:
    """Show the user at the foot of the sidebar. st.logout() sends the browser to /auth/logout, which ends the session."""
    with st.sidebar:
        st.divider()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/account_circle: **{escape(short(principal.name, 24))}**  \n:small[{principal.role.value}]")
            st.button("Sign out", key="frame_sign_out", icon=":material/logout:", type="tertiary", on_click=st.logout)
