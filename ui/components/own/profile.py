"""Who I am, and the sections of the account page."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.access_views import UserInfo
from ui.components.own.own_keys import own_keys
from ui.components.own.password import password_box
from ui.components.own.second_factor import second_factor_box
from ui.components.people.sessions import session_rows
from ui.components.people.state import Notice, PageState, failure_box, notice_bar
from ui.components.people.words import bold
from ui.components.safe_text import counted, escape, short
from ui.session import Desk

KEY = "account_section"


def profile(desk: Desk, state: PageState) -> None:
    """Draw who is signed in, the switch and the chosen section."""
    me = desk.call(desk.workbench.my_account)
    groups = ", ".join(escape(short(name, 40)) for name in me.groups) or "none"
    st.markdown(f"{bold(me.name)} :gray-badge[{me.role.value}] · Groups: {groups}")
    if KEY not in st.session_state and KEY not in st.query_params:
        st.session_state[KEY] = "Sign-in"
    chosen = st.segmented_control(
        "Section",
        list(SECTIONS),
        required=True,
        key=KEY,
        label_visibility="collapsed",
        on_change=state.leave,
        bind="query-params",
    )
    notice_bar(state)
    SECTIONS[chosen or "Sign-in"](desk, state, me)


def _sign_in(desk: Desk, state: PageState, me: UserInfo) -> None:
    failure_box(state)
    second_factor_box(desk, state, me)
    password_box(desk, state, me)


def _sessions(desk: Desk, state: PageState, _me: UserInfo) -> None:
    failure_box(state)
    found = desk.call(desk.workbench.sessions)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{counted(len(found), 'open session')}. End those that you do not know, then change your password.",
            width="stretch",
        )
        with st.popover("Sign out everywhere", icon=":material/logout:", key="account_everywhere"):
            st.markdown("All your sessions end, this one too.")
            if st.button("Sign out everywhere", key="account_everywhere_now", type="primary"):
                if state.attempt(lambda: desk.call(desk.workbench.sign_out_everywhere), Notice("Signed out everywhere.")):
                    st.logout()
                st.rerun()
    session_rows(desk, state, found, owners=False)


def _keys(desk: Desk, state: PageState, _me: UserInfo) -> None:
    own_keys(desk, state)


SECTIONS: dict[str, Callable[[Desk, PageState, UserInfo], None]] = {
    "Sign-in": _sign_in,
    "Sessions": _sessions,
    "API keys": _keys,
}
