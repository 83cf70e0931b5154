"""Adding people: by a link for choosing a password, or with a first password."""

from __future__ import annotations

import streamlit as st

from engine.errors import EngineError
from engine.types import Role
from ui.components.people.links import link_box
from ui.components.people.state import Notice, PageState, failure_box, notice_bar
from ui.components.people.words import ROLES, bold
from ui.failures import failure_text
from ui.session import Desk

LINK, PASSWORD = "By a link", "With a first password"  # noqa: S105 - labels
HOW = {
    LINK: "You get a link that works once. Whoever you give it to chooses the password, so nobody else ever knows it.",
    PASSWORD: "You choose a first password and hand it over. It must be changed at the first sign-in.",
}


def invite_section(desk: Desk, state: PageState) -> None:
    """Draw the form, or the link that was just made."""
    if state.invitation:
        link_box(state.invitation, key="users_invited")
        if st.button("Add another user", key="users_another", type="primary", icon=":material/person_add:"):
            state.close()
            st.rerun()
        return
    notice_bar(state)
    how = st.segmented_control(
        "How", [LINK, PASSWORD], default=LINK, required=True, key="users_how", label_visibility="collapsed"
    )
    st.caption(HOW[how])
    groups = {one.id: one.name for one in desk.call(desk.workbench.groups)}
    with st.form("users_new", border=False, width=560):
        name = st.text_input(
            "User name", max_chars=100, autocomplete="off", placeholder="no spaces, such as anna.berg", key=_key("name", state)
        )
        role = (
            st.radio(
                "Role", list(Role), captions=list(ROLES.values()), format_func=lambda one: one.value, key=_key("role", state)
            )
            or Role.ANALYST
        )
        if how == LINK:
            chosen = st.multiselect(
                "Groups",
                list(groups),
                format_func=groups.__getitem__,
                key=_key("in", state),
                placeholder="None",
                disabled=not groups,
            )
            sent = st.form_submit_button("Make the link", type="primary", icon=":material/link:")
            if sent:
                _invite(desk, state, (name or "").strip(), role, chosen)
        else:
            _with_password(desk, state, (name or "").strip(), role)
    failure_box(state)


def _key(field: str, state: PageState) -> str:
    return f"users_new_{field}_{state.number}"


def _invite(desk: Desk, state: PageState, name: str, role: Role, groups: list[str]) -> None:
    state.failure = ""
    try:
        state.invitation = desk.call(desk.workbench.invite_user, name, role, groups=groups)
    except EngineError as error:
        state.failure = failure_text(str(error), error.hint)
    else:
        st.rerun()


def _with_password(desk: Desk, state: PageState, name: str, role: Role) -> None:
    password = st.text_input(
        "First password", type="password", autocomplete="new-password", key=f"users_new_password_{state.number}",
        help="At least 10 characters. A few unrelated words are easy to remember.",
    )  # fmt: skip
    if not st.form_submit_button("Add user", type="primary", icon=":material/person_add:"):
        return
    state.failure = ""
    try:
        made = desk.call(desk.workbench.create_user, name, password or "", role, must_change=True)
    except EngineError as error:
        state.failure = failure_text(str(error), error.hint)
    else:
        state.close()
        state.notice = Notice(f"{bold(made.name)} can sign in now, and is asked for a new password.")
        st.rerun()
