"""Sharing a collection: who may do what with it, and changing that. For its owners and for admins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from engine.access_views import GrantInfo
from engine.errors import EngineError
from engine.types import Right
from engine.views import CollectionInfo
from ui.components.people.words import bold
from ui.components.safe_text import escape, short
from ui.failures import failure_text, friendly_errors
from ui.session import Desk

RIGHTS = {
    Right.READ: "read: ask and open its documents",
    Right.WRITE: "write: also upload, change and delete documents",
    Right.OWNER: "owner: also share it and delete it",
}
REMOVED = "Remove"
ICONS = {"user": ":material/person:", "group": ":material/groups:"}


def share_button(desk: Desk, collection: CollectionInfo) -> None:
    """Draw the button for owners."""
    if collection.right is Right.OWNER:
        st.button("Share", key="documents_share", icon=":material/person_add:", on_click=_open, args=(desk, collection.id))


def sharing_dialog(desk: Desk, collection: CollectionInfo) -> None:
    """Draw the dialog while it is open."""
    if desk.state.sharing != collection.id:
        return

    def body() -> None:
        with friendly_errors():
            st.markdown(f"Who may use {bold(collection.name)}. A change is in force at once, for open tabs too.")
            grants = desk.call(desk.workbench.grants, collection.id)
            for one in sorted(grants, key=lambda one: (list(Right)[::-1].index(one.right), one.kind, one.name)):
                _row(desk, collection, one)
            _adding(desk, collection, grants)
            if desk.state.shared:
                st.markdown(desk.state.shared)
            with st.expander("What the rights mean", type="compact"):
                st.markdown("\n".join(f"- {words}" for words in RIGHTS.values()) + "\n- Admins may use every collection.")

    st.dialog("Share", width="medium", on_dismiss=lambda: _close(desk))(body)()


def _open(desk: Desk, collection_id: str) -> None:
    _close(desk)
    desk.state.sharing = collection_id


def _close(desk: Desk) -> None:
    desk.state.sharing = ""
    desk.state.shared = ""


def _row(desk: Desk, collection: CollectionInfo, one: GrantInfo) -> None:
    own = one.kind == "user" and one.id == desk.principal.user_id
    key = f"sharing_{one.kind}_{one.id}_{one.right}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.markdown(f"{ICONS[one.kind]} {escape(short(one.name, 40))}" + " (you)" * own, width="stretch")
        options = [*(right.value for right in Right), REMOVED]
        st.selectbox(
            f"Right of {one.name}", options, options.index(one.right.value), key=key, label_visibility="collapsed", width=130,
            disabled=own, help="Another owner or an admin can change what you may do." if own else None,
            on_change=_change, args=(desk, collection, one, key),
        )  # fmt: skip


def _change(desk: Desk, collection: CollectionInfo, one: GrantInfo, key: str) -> None:
    chosen = st.session_state[key]
    right = None if chosen == REMOVED else Right(chosen)
    _tell(desk, lambda: _grant(desk, collection, one.kind, one.name, right), _sentence(one.name, right))
    del st.session_state[key]  # a refused change shows what is in force


def _grant(desk: Desk, collection: CollectionInfo, kind: str, name: str, right: Right | None) -> None:
    method = desk.workbench.grant if kind == "user" else desk.workbench.grant_group
    desk.call(method, collection.id, name, right)


def _sentence(name: str, right: Right | None) -> str:
    return f"{bold(name)} has the right {right.value} now." if right else f"It is not shared with {bold(name)} any more."


def _tell(desk: Desk, do: Callable[[], None], done: str) -> None:
    try:
        do()
    except EngineError as error:
        desk.state.shared = f":red[:material/error:] {failure_text(str(error), error.hint)}"
    else:
        desk.state.shared = f":green[:material/check_circle:] {done}"


def _adding(desk: Desk, collection: CollectionInfo, grants: Sequence[GrantInfo]) -> None:
    users, groups = desk.call(desk.workbench.shareable, collection.id)
    known = {(one.kind, one.name) for one in grants}
    options = [
        (kind, name) for kind, names in (("group", groups), ("user", users)) for name in names if (kind, name) not in known
    ]
    if not options:
        st.caption("It is shared with everybody there is.")
        return
    number = len(grants)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with st.container(width=300):
            chosen = st.selectbox(
                "Share with", options, None, key=f"sharing_who_{number}", placeholder="A user or a group",
                format_func=lambda one: f"{one[1]} (group)" if one[0] == "group" else one[1],
            )  # fmt: skip
        right = st.selectbox("Right", list(Right), key=f"sharing_right_{number}", width=120, format_func=lambda one: one.value)
        if st.button("Share", key="sharing_add", type="primary", disabled=chosen is None) and chosen:
            kind, name = chosen
            _tell(desk, lambda: _grant(desk, collection, kind, name, right), _sentence(name, right))
            st.rerun()
