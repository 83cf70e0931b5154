"""What is done with one user after a choice in their menu: each in a dialog that says what will happen and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from engine.access_views import UserInfo
from engine.types import Role
from ui.components.people.links import link_box
from ui.components.people.state import Notice, PageState, failure_box
from ui.components.people.words import ROLES, bold
from ui.components.safe_text import counted, escape
from ui.failures import friendly_errors
from ui.session import Desk

LAST = "{name} is the only admin who can sign in. Make somebody else an admin first."
RESET = (
    "The present password stops working at once, and {sessions} end. You get a link for {name} to choose a new one. "
    "A second factor stays."
)
DISABLE = (
    "{name} cannot sign in any more; {sessions} and all API keys stop working at once. Everything is kept, and you can enable "
    "{name} again."
)
DELETE = (
    "**Gone for good:** the account of {name}, its {sessions}, {keys}, memberships of groups, what was shared with it, and its "
    "conversations.  \n**Kept:** documents and collections, and what the audit recorded."
)


def pending_action(desk: Desk, state: PageState, users: Sequence[UserInfo]) -> None:
    """Open the dialog of the action that was chosen."""
    if state.pending is None:
        return
    action, user_id = state.pending
    one = next((user for user in users if user.id == user_id), None)
    if one is None:
        state.close()
        return
    title, body = BODIES[action]
    last = last_admin(one, users)

    def safely() -> None:
        with friendly_errors():
            if last and action in SPARED:
                st.info(LAST.format(name=bold(one.name)), icon=":material/shield_person:")
            body(desk, state, one, last)
            failure_box(state)

    st.dialog(title, on_dismiss=state.close)(safely)()


def last_admin(one: UserInfo, users: Sequence[UserInfo]) -> bool:
    """Tell whether nobody else could manage users if this one could not."""
    able = [user.id for user in users if user.role is Role.ADMIN and not user.disabled and not user.invited]
    return able == [one.id]


def _role(desk: Desk, state: PageState, one: UserInfo, last: bool) -> None:
    st.markdown(f"What {bold(one.name)} may do, beside what collections are shared with them. In force at the next click.")
    roles = list(Role)
    role = st.radio(
        "Role", roles, index=roles.index(one.role), captions=[ROLES[role] for role in roles], disabled=last,
        key=f"users_role_{state.number}", format_func=lambda role: role.value,
    )  # fmt: skip
    if st.button("Change role", key="users_role_now", type="primary", disabled=last or role is one.role):
        name, method = bold(one.name), desk.workbench.set_role
        own = one.id == desk.principal.user_id  # who gave up the role cannot take it back
        undo = None if own else lambda: desk.call(method, one.id, one.role)
        notice = Notice(f"{name} is now {role.value}.", undo, f"{name} is {one.role.value} again.")
        state.attempt(lambda: desk.call(method, one.id, role), notice)
        st.rerun()


def _groups(desk: Desk, state: PageState, one: UserInfo, _last: bool) -> None:
    found = {group.id: group for group in desk.call(desk.workbench.groups)}
    if not found:
        st.info("There are no groups yet. Make one in the section Groups.", icon=":material/groups:")
        return
    now = [key for key, group in found.items() if one.id in dict(group.members)]
    st.markdown(f"{bold(one.name)} may read what is shared with these groups.")
    chosen = st.multiselect(
        "Groups", list(found), now, format_func=lambda key: found[key].name, key=f"users_groups_{state.number}"
    )

    def save() -> None:
        for key in set(chosen) ^ set(now):
            members = [user_id for user_id, _ in found[key].members if user_id != one.id]
            desk.call(desk.workbench.set_members, key, [*members, *([one.id] if key in chosen else [])])

    if st.button("Save", key="users_groups_now", type="primary", disabled=set(chosen) == set(now)):
        state.attempt(save, Notice(f"The groups of {bold(one.name)} were changed."))
        st.rerun()


def _reset(desk: Desk, state: PageState, one: UserInfo, last: bool) -> None:
    if state.invitation:
        link_box(state.invitation, key="users_link")
        if st.button("Done", key="users_done", type="primary"):
            state.close()
            st.rerun()
        return
    if one.invited:
        st.markdown(f"{bold(one.name)} gets a new link for choosing a password; the earlier one stops working.")
    else:
        st.markdown(RESET.format(name=bold(one.name), sessions=counted(one.sessions, "session")))
    if last:
        st.caption("Your own password is changed on the page Account.")
    if st.button("Make a link", key="users_reset_now", type="primary", icon=":material/link:", disabled=last):
        state.failure = ""
        with friendly_errors():
            state.invitation = desk.call(desk.workbench.reset_password, one.id)
            st.rerun()


def _sessions(desk: Desk, state: PageState, one: UserInfo, _last: bool) -> None:
    st.markdown(
        f"{bold(one.name)} is signed out of {counted(one.sessions, 'session')} at once and can sign in again. What is not "
        "saved in an open tab is lost."
    )
    if st.button("End sessions", key="users_sessions_now", type="primary"):
        state.attempt(lambda: end_all(desk, one.id), Notice(f"The sessions of {bold(one.name)} have ended."))
        st.rerun()


def end_all(desk: Desk, user_id: str) -> None:
    """End all sessions of a user but the one that asks. Raises EngineError."""
    for one in desk.call(desk.workbench.sessions, user_id):
        if not one.current:
            desk.call(desk.workbench.revoke_session, one.id)


def _factor(desk: Desk, state: PageState, one: UserInfo, _last: bool) -> None:
    st.markdown(
        f"{bold(one.name)} signs in with the password alone until they set up a new second factor. Do this only after you made "
        "sure who asks: it is how accounts are stolen."
    )
    if st.button("Remove second factor", key="users_factor_now", type="primary"):
        notice = Notice(f"The second factor of {bold(one.name)} was removed.")
        state.attempt(lambda: desk.call(desk.workbench.reset_second_factor, one.id), notice)
        st.rerun()


def _disable(desk: Desk, state: PageState, one: UserInfo, last: bool) -> None:
    name, workbench = bold(one.name), desk.workbench
    own = one.id == desk.principal.user_id
    st.markdown(DISABLE.format(name=name, sessions=counted(one.sessions, "session")))
    if own and not last:
        st.warning("This is you: you are signed out at once.", icon=":material/warning:")
    if st.button("Disable", key="users_disable_now", type="primary", icon=":material/block:", disabled=last):
        undo = None if own else lambda: desk.call(workbench.enable_user, one.id)
        notice = Notice(f"{name} is disabled and signed out.", undo, f"{name} can sign in again.")
        state.attempt(lambda: desk.call(workbench.disable_user, one.id), notice)
        st.rerun()


def _delete(desk: Desk, state: PageState, one: UserInfo, last: bool) -> None:
    sessions, keys = counted(one.sessions, "session"), counted(one.keys, "API key")
    st.markdown(DELETE.format(name=bold(one.name), sessions=sessions, keys=keys))
    st.caption("To keep somebody out and keep everything, disable them instead. Deleting cannot be undone.")
    typed = st.text_input(
        f"Type {escape(one.name)} to delete",
        key=f"users_delete_{state.number}",
        autocomplete="off",
        disabled=last,
        live="200ms",
    )
    ready = (typed or "").strip() == one.name and not last
    if st.button(
        "Delete for good", key="users_delete_now", type="primary", icon=":material/delete_forever:", disabled=not ready
    ):
        state.attempt(lambda: desk.call(desk.workbench.delete_user, one.id), Notice(f"{bold(one.name)} was deleted."))
        st.rerun()


Body = Callable[[Desk, PageState, UserInfo, bool], None]
SPARED = {"role", "reset", "disable", "delete"}
BODIES: dict[str, tuple[str, Body]] = {
    "role": ("Change role", _role),
    "groups": ("Change groups", _groups),
    "reset": ("Reset password", _reset),
    "invite": ("New invitation link", _reset),
    "sessions": ("End sessions?", _sessions),
    "factor": ("Remove second factor?", _factor),
    "disable": ("Disable this user?", _disable),
    "delete": ("Delete this user?", _delete),
}
