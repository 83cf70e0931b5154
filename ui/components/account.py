"""Who is signed in, the way to the own account, and the way out."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from engine.types import Principal
from ui.components.safe_text import escape, short


def account_menu(principal: Principal, account: StreamlitPage) -> None:
    """Show the user at the foot of the sidebar. st.logout() sends the browser to /auth/logout, which ends the session."""
    with st.sidebar:
        st.divider()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link(account, label=f"**{escape(short(principal.name, 24))}** · :small[{principal.role.value}]")
            st.button("Sign out", key="frame_sign_out", icon=":material/logout:", type="tertiary", on_click=st.logout)
