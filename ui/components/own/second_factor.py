"""The own second factor: a code of an authenticator app (TOTP, RFC 6238) that is asked for after the password."""

from __future__ import annotations

import streamlit as st

from engine.access_views import SecondFactor, UserInfo
from ui.components.people.state import Notice, PageState
from ui.failures import friendly_errors
from ui.session import Desk

WHAT = (
    "After the password you are asked for a code that an app on your phone shows. A stolen password alone opens nothing then."
)
SAVE = "If you lose the phone, an admin can remove the second factor."


def second_factor_box(desk: Desk, state: PageState, me: UserInfo) -> None:
    """Draw the state of the second factor with its next step."""
    with st.container(border=True, key="account_factor", width=560):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("#### Second factor", anchors=False, width="stretch")
            if me.second_factor:
                st.badge("on", icon=":material/check_circle:", color="green")
            else:
                st.badge("off", icon=":material/gpp_maybe:", color="orange")
        if me.second_factor:
            _remove(desk, state)
        elif state.second_factor:
            _confirm(desk, state, state.second_factor)
        else:
            st.caption(WHAT)
            if st.button("Set it up", key="account_factor_start", type="primary", icon=":material/phonelink_lock:"):
                state.close()
                state.notice = None
                with friendly_errors():
                    state.second_factor = desk.call(desk.workbench.start_second_factor)
                    st.rerun()


def _confirm(desk: Desk, state: PageState, factor: SecondFactor) -> None:
    st.markdown("**1.** Choose “enter a key by hand” in an authenticator app, and give it this key (time-based):")
    st.code(grouped(factor.secret), language=None, wrap_lines=True)
    with st.expander("The same as an address, for apps and password managers that take one", type="compact"):
        st.code(factor.uri, language=None, wrap_lines=True)
    with st.form(f"account_factor_form_{state.number}", border=False):
        code = st.text_input(
            "**2.** Enter the code that it shows", key=f"account_code_{state.number}", max_chars=12, placeholder="6 digits",
            autocomplete="one-time-code",
        )  # fmt: skip
        with st.container(horizontal=True):
            sent = st.form_submit_button("Turn it on", type="primary")
            cancelled = st.form_submit_button("Cancel", type="tertiary")
    if cancelled:
        state.close()
        st.rerun()
    if sent:
        digits = "".join((code or "").split())
        state.failure = ""
        state.attempt(
            lambda: desk.call(desk.workbench.confirm_second_factor, digits), Notice(f"The second factor is on. {SAVE}")
        )
        st.rerun()


def _remove(desk: Desk, state: PageState) -> None:
    st.caption(f"You are asked for a code at each sign-in. {SAVE}")
    with st.popover("Remove", key="account_factor_ask"), st.form(f"account_factor_off_{state.number}", border=False):
        password = st.text_input(
            "Your password", type="password", autocomplete="current-password", key=f"account_factor_password_{state.number}"
        )
        if st.form_submit_button("Remove the second factor", type="primary"):
            notice = Notice("The second factor was removed. The password alone signs you in.")
            state.attempt(lambda: desk.call(desk.workbench.remove_second_factor, password or ""), notice)
            st.rerun()


def grouped(secret: str) -> str:
    """Return a secret in groups of four, as people copy it; apps ignore the spaces."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
