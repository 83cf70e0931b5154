"""Open sign-ins: who, where, since when, and ending them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.access_views import SessionInfo
from ui.components.people.actions import end_all
from ui.components.people.roster import page_of
from ui.components.people.state import Notice, PageState, failure_box, notice_bar
from ui.components.people.words import ago, bold, browser, moment
from ui.components.safe_text import counted, escape
from ui.session import Desk


def sessions_section(desk: Desk, state: PageState) -> None:
    """Draw the open sessions of everybody, for admins."""
    found = desk.call(desk.workbench.sessions, "*")
    notice_bar(state)
    failure_box(state)
    names = {one.user_id: one.user for one in sorted(found, key=lambda one: one.user)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        user_id = st.selectbox(
            "User", ["", *names], format_func=lambda key: names.get(key, "Everybody"), key="users_sessions_of", width=300,
            label_visibility="collapsed",
        )  # fmt: skip
        shown = [one for one in found if user_id in ("", one.user_id)]
        others = sum(not one.current for one in shown)
        if user_id and others and st.button(f"End all {others:,}", key="users_end_all", icon=":material/logout:"):
            state.attempt(lambda: end_all(desk, user_id), Notice(f"The sessions of {bold(names[user_id])} have ended."))
            st.rerun()
    st.caption(counted(len(shown), "open session"))
    session_rows(desk, state, page_of(shown, key="users_sessions_page"), owners=True)


def session_rows(desk: Desk, state: PageState, found: Sequence[SessionInfo], *, owners: bool) -> None:
    """Draw sessions, with their users when `owners`; each but the one that asks can be ended."""
    for one in sorted(found, key=lambda one: one.last_seen_at, reverse=True):
        with (
            st.container(border=True, key=f"sessions_row_{one.id}"),
            st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False),
        ):
            with st.container(gap="xxsmall"):
                who = f"{bold(one.user)} · " * owners
                st.markdown(f"{who}{escape(browser(one.user_agent))}" + " :green-badge[this one]" * one.current)
                st.caption(
                    f"from {escape(one.ip) or 'an unknown address'} · last seen {ago(one.last_seen_at)} · since "
                    f"{moment(one.created_at)} · ends {moment(one.expires_at)} at the latest"
                )
            if not one.current and st.button("End", key=f"sessions_end_{one.id}", help="Sign this browser out at once"):
                what = f"The session of {bold(one.user)} ({escape(browser(one.user_agent))}) has ended."
                state.attempt(lambda session_id=one.id: desk.call(desk.workbench.revoke_session, session_id), Notice(what))  # type: ignore[misc]
                st.rerun()
