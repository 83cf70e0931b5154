"""Which collections a conversation asks."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.views import CollectionInfo, ConversationInfo
from ui.components.safe_text import escape
from ui.session import Desk


def scope_chips(desk: Desk, collections: Sequence[CollectionInfo], conversation: ConversationInfo | None) -> list[str]:
    """Draw a chip for each collection and return the ids of the chosen ones. A change is stored with the conversation."""
    labels = {one.id: f"{escape(one.name)} ({one.documents})" for one in collections}
    stored = conversation.collections if conversation else tuple(labels)
    chosen = st.pills(
        "Collections to ask",
        list(labels),
        selection_mode="multi",
        default=[one for one in stored if one in labels],
        format_func=labels.__getitem__,
        key=f"chat_scope_{conversation.id if conversation else 'new'}",
        label_visibility="collapsed",
    )
    if conversation and set(chosen) != set(stored):
        desk.call(desk.workbench.set_scope, conversation.id, chosen)
    return list(chosen)
