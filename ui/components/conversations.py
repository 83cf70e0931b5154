"""The list of conversations in the sidebar: new, pick, rename, delete, grouped by date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import streamlit as st

from engine.views import ConversationInfo
from ui.components.safe_text import escape
from ui.failures import friendly_errors
from ui.session import Desk, State

QUERY = "conversation"


def conversation_list(desk: Desk) -> ConversationInfo | None:
    """Draw the list and return the open conversation; None while a new one is being started.

    When the wanted one does not exist any more, None too, and its id stays in the state: see `is_gone`.
    """
    conversations = desk.call(desk.workbench.conversations)
    current = _current(desk.state, conversations)
    if current:
        st.query_params[QUERY] = current.id
    elif not is_gone(desk.state, current):
        st.query_params.pop(QUERY, None)
    with st.sidebar:
        st.button(
            "New conversation",
            icon=":material/edit_square:",
            width="stretch",
            key="chat_new",
            on_click=open_conversation,
            args=(desk.state, ""),
        )
        for label, group in groupby(conversations, key=lambda one: day_label(one.updated_at)):
            st.caption(label)
            for one in group:
                _row(desk, one, selected=bool(current and one.id == current.id))
    return current


def open_conversation(state: State, conversation_id: str) -> None:
    """Make a conversation the open one; "" starts a new one."""
    state.conversation_id, state.new_conversation = conversation_id, not conversation_id
    state.evidence, state.retry = None, ""
    state.unsent.clear()


def is_gone(state: State, current: ConversationInfo | None) -> bool:
    """Tell whether a certain conversation was wanted that does not exist, or not for this user."""
    return current is None and bool(state.conversation_id)


def day_label(moment: datetime, *, today: date | None = None) -> str:
    """Return the group of a conversation in the list."""
    days = ((today or datetime.now(UTC).date()) - moment.date()).days
    if days <= 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    return "Last 7 days" if days < 7 else moment.strftime("%B %Y")


def _current(state: State, conversations: Sequence[ConversationInfo]) -> ConversationInfo | None:
    if state.new_conversation:
        return None
    wanted = state.conversation_id or st.query_params.get(QUERY, "")
    if wanted:
        state.conversation_id = wanted
        return next((one for one in conversations if one.id == wanted), None)
    # A tab that is opened again goes on where the user left off: an answer may still be running there.
    recent = next((one for one in conversations if one.updated_at > datetime.now(UTC) - timedelta(hours=12)), None)
    state.conversation_id = recent.id if recent else ""
    return recent


def _row(desk: Desk, one: ConversationInfo, *, selected: bool) -> None:
    with st.container(horizontal=True, wrap=False, gap="xsmall", key=f"conversation_{one.id}"):
        st.button(
            escape(one.title),
            key=f"chat_open_{one.id}",
            type="secondary" if selected else "tertiary",
            width="stretch",
            on_click=open_conversation,
            args=(desk.state, one.id),
        )
        if selected:
            _menu(desk, one)


def _menu(desk: Desk, one: ConversationInfo) -> None:
    with st.popover("", icon=":material/more_vert:", type="tertiary", key=f"chat_menu_{one.id}", help="Rename or delete"):
        title = st.text_input("Title", value=one.title, max_chars=120, key=f"chat_title_{one.id}")
        if st.button("Rename", key=f"chat_rename_{one.id}", width="stretch", disabled=not title.strip()):
            with friendly_errors():
                desk.call(desk.workbench.rename_conversation, one.id, title.strip())
                st.rerun()
        if st.button("Delete this conversation", key=f"chat_delete_{one.id}", icon=":material/delete:", width="stretch"):
            with friendly_errors():
                desk.call(desk.workbench.delete_conversation, one.id)
                open_conversation(desk.state, "")
                st.rerun()
