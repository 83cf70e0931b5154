"""The list of people: found by name, role and state, page by page, with a menu for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import streamlit as st

from engine.access_views import UserInfo
from engine.types import Role
from ui.components.people.actions import pending_action
from ui.components.people.state import Notice, PageState, failure_box, notice_bar
from ui.components.people.words import bold, facts, state_of
from ui.components.safe_text import counted
from ui.session import Desk

T = TypeVar("T")

PAGE_SIZE = 25
EVERY = "Every role", "Every state"
STATES = ("active", "invited", "locked", "disabled")
ACTIONS = {
    "role": "Change role",
    "groups": "Change groups",
    "reset": "Reset password",
    "invite": "New invitation link",
    "sessions": "End sessions",
    "unlock": "Unlock",
    "factor": "Remove second factor",
    "disable": "Disable",
    "enable": "Enable",
    "view": "View as",
    "delete": "Delete",
}


def people_section(desk: Desk, state: PageState) -> None:
    """Draw the filters, the list and the dialog that is open."""
    users = desk.call(desk.workbench.users)
    notice_bar(state)
    if state.pending is None:
        failure_box(state)
    shown = _filtered(users)
    st.caption(_counters(users, shown))
    for one in page_of(shown, key="users_page"):
        _row(desk, state, one)
    pending_action(desk, state, users)


def _counters(users: Sequence[UserInfo], shown: Sequence[UserInfo]) -> str:
    if not shown:
        return f"None of the {counted(len(users), 'user')} fits these filters."
    admins = sum(one.role is Role.ADMIN for one in users)
    without = sum(not one.second_factor and not one.disabled for one in users)
    found = f"{len(shown):,} of {counted(len(users), 'user')}" if len(shown) < len(users) else counted(len(users), "user")
    return f"{found} · {counted(admins, 'admin')} · {without:,} without a second factor"


def _filtered(users: Sequence[UserInfo]) -> list[UserInfo]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with st.container(width=300):
            words = st.text_input(
                "Find a user", type="search", placeholder="Part of a name or group", key="users_find", live="300ms",
                label_visibility="collapsed", bind="query-params",
            )  # fmt: skip
        with st.container(width=170):
            role = st.selectbox("Role", [EVERY[0], *Role], key="users_role", label_visibility="collapsed")
        with st.container(width=170):
            wanted = st.selectbox("State", [EVERY[1], *STATES], key="users_state", label_visibility="collapsed")
    text, now = (words or "").strip().lower(), datetime.now(UTC)
    return [
        one
        for one in users
        if any(text in name.lower() for name in (one.name, *one.groups))
        and role in (EVERY[0], one.role)
        and wanted in (EVERY[1], state_of(one, now=now)[0].split()[0])
    ]


def page_of(found: Sequence[T], *, key: str) -> Sequence[T]:
    """Return the part of a long list that is to be shown, below the control that chooses it."""
    pages = -(-len(found) // PAGE_SIZE)
    # The number of pages is in the key: a shorter list begins at its first page.
    number = st.pagination(pages, key=f"{key}_{pages}") if pages > 1 else 1
    return found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]


def _row(desk: Desk, state: PageState, one: UserInfo) -> None:
    with (
        st.container(border=True, key=f"users_row_{one.id}", gap="xxsmall"),
        st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False),
    ):
        with st.container(gap="xxsmall"):
            word, color, icon = state_of(one)
            you = " (you)" * (one.id == desk.principal.user_id)
            st.markdown(f"{bold(one.name)}{you}  :gray-badge[{one.role.value}] :{color}-badge[{icon} {word}]")
            st.caption(facts(one))
        chosen = st.menu_button(
            "", actions(one), format_func=ACTIONS.__getitem__, icon=":material/more_vert:", type="tertiary",
            key=f"users_menu_{one.id}", help="What can be done with this user",
        )  # fmt: skip
    if chosen:
        choose(desk, state, one, chosen)
        st.rerun()


def actions(one: UserInfo) -> list[str]:
    """Return what can be done with a user now."""
    left_out = {
        "reset" if one.invited else "invite": True,
        "sessions": not one.sessions,
        "unlock": one.locked_until is None,
        "factor": not one.second_factor,
        "enable" if not one.disabled else "disable": True,
        "view": one.disabled,
    }
    return [action for action in ACTIONS if not left_out.get(action)]


def choose(desk: Desk, state: PageState, one: UserInfo, action: str) -> None:
    """Do at once what harms nobody; open the dialog of anything else."""
    if action == "enable":
        notice = Notice(f"{bold(one.name)} can sign in again.", lambda: desk.call(desk.workbench.disable_user, one.id),
                        f"{bold(one.name)} is disabled again.")  # fmt: skip
        state.attempt(lambda: desk.call(desk.workbench.enable_user, one.id), notice)
    elif action == "unlock":
        state.attempt(lambda: desk.call(desk.workbench.unlock_user, one.id), Notice(f"{bold(one.name)} may try again now."))
    elif action == "view":
        state.show("View as")
        state.attempt(lambda: setattr(state, "preview", desk.call(desk.workbench.view_as, one.id)))
    else:
        state.open(action, one.id)
