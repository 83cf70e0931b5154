"""Groups: who is in them, what is shared with them, and changing both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from engine.access_views import GroupInfo
from ui.components.people.roster import page_of
from ui.components.people.state import Notice, PageState, failure_box, notice_bar
from ui.components.people.words import bold
from ui.components.safe_text import counted, escape, short
from ui.failures import friendly_errors
from ui.session import Desk

WHAT = "Collections can be shared with a group: whoever joins it may read them from then on, whoever leaves it may not."
ACTIONS = {"members": "Change members", "rename": "Rename", "delete": "Delete"}
MOST_NAMES = 12


def groups_section(desk: Desk, state: PageState) -> None:
    """Draw the groups and the dialog that is open."""
    found = desk.call(desk.workbench.groups)
    notice_bar(state)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(WHAT, width="stretch")
        st.button(
            "New group", key="groups_new", type="primary", icon=":material/group_add:", on_click=state.open, args=("new",)
        )
    if not found:
        st.info("There are no groups yet.", icon=":material/groups:")
    for one in page_of(found, key="groups_page"):
        _row(state, one)
    _dialog(desk, state, found)


def _row(state: PageState, one: GroupInfo) -> None:
    with (
        st.container(border=True, key=f"groups_row_{one.id}"),
        st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False),
    ):
        with st.container(gap="xxsmall"):
            st.markdown(f":material/groups: {bold(one.name)} · {counted(len(one.members), 'member')}")
            if one.members:
                names = ", ".join(escape(short(name, 40)) for _, name in one.members[:MOST_NAMES])
                st.caption(names + (f" and {len(one.members) - MOST_NAMES:,} more" if len(one.members) > MOST_NAMES else ""))
            shared = ", ".join(f"{escape(short(name, 60))} ({right.value})" for name, right in one.collections)
            st.caption(f"Shared with it: {shared or 'nothing yet'}")
        chosen = st.menu_button(
            "", list(ACTIONS), format_func=ACTIONS.__getitem__, icon=":material/more_vert:", type="tertiary",
            key=f"groups_menu_{one.id}", help="What can be done with this group",
        )  # fmt: skip
    if chosen:
        state.open(chosen, one.id)
        st.rerun()


def _dialog(desk: Desk, state: PageState, found: Sequence[GroupInfo]) -> None:
    if state.pending is None:
        return
    action, group_id = state.pending
    one = next((group for group in found if group.id == group_id), None)
    if action != "new" and one is None:
        state.close()
        return
    bodies: dict[str, tuple[str, Callable[[], None]]] = {"new": ("New group", lambda: _new(desk, state))}
    if one:
        bodies |= {
            "members": ("Members", lambda: _members(desk, state, one)),
            "rename": ("Rename this group", lambda: _rename(desk, state, one)),
            "delete": ("Delete this group?", lambda: _delete(desk, state, one)),
        }
    title, body = bodies[action]

    def safely() -> None:
        with friendly_errors():
            body()
            failure_box(state)

    st.dialog(title, on_dismiss=state.close)(safely)()


def _new(desk: Desk, state: PageState) -> None:
    name = (st.text_input("Name", max_chars=100, key="groups_name", placeholder="Research") or "").strip()
    if st.button("Create group", key="groups_new_now", type="primary"):
        state.attempt(
            lambda: desk.call(desk.workbench.create_group, name), Notice(f"{bold(name)} was made. Add its members next.")
        )
        st.rerun()


def _rename(desk: Desk, state: PageState, one: GroupInfo) -> None:
    name = (st.text_input("Name", one.name, max_chars=100, key=f"groups_name_{one.id}") or "").strip()
    method = desk.workbench.rename_group
    if st.button("Rename", key="groups_rename_now", type="primary"):
        notice = Notice(
            f"{bold(one.name)} is now {bold(name)}.", lambda: desk.call(method, one.id, one.name), "It has its old name."
        )
        state.attempt(lambda: desk.call(method, one.id, name), notice)
        st.rerun()


def _members(desk: Desk, state: PageState, one: GroupInfo) -> None:
    names = {user.id: user.name for user in desk.call(desk.workbench.users)} | dict(one.members)
    now = [user_id for user_id, _ in one.members]
    st.markdown(f"Whoever is in {bold(one.name)} may read what is shared with it.")
    chosen = st.multiselect("Members", list(names), now, format_func=names.__getitem__, key=f"groups_members_{state.number}")
    method = desk.workbench.set_members
    if st.button("Save", key="groups_members_now", type="primary", disabled=set(chosen) == set(now)):
        notice = Notice(f"{bold(one.name)} has {counted(len(chosen), 'member')} now.", lambda: desk.call(method, one.id, now),
                        f"{bold(one.name)} has its old members.")  # fmt: skip
        state.attempt(lambda: desk.call(method, one.id, chosen), notice)
        st.rerun()


def _delete(desk: Desk, state: PageState, one: GroupInfo) -> None:
    st.markdown(
        f"{bold(one.name)} is removed. Its {counted(len(one.members), 'member')} may no longer read what was shared with it "
        f"({counted(len(one.collections), 'collection')}), unless it is shared with them in another way. No account and "
        "no document is deleted. This cannot be undone."
    )
    if st.button("Delete group", key="groups_delete_now", type="primary", icon=":material/delete:"):
        state.attempt(lambda: desk.call(desk.workbench.delete_group, one.id), Notice(f"{bold(one.name)} was deleted."))
        st.rerun()
