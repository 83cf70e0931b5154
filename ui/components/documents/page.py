"""A collection on the documents page: its documents, what needs somebody, and the quarantine."""

from __future__ import annotations

import streamlit as st

from engine.views import CollectionInfo
from ui.components.documents.actions import pending_action
from ui.components.documents.attention import attention, troubles
from ui.components.documents.quarantine import quarantine_view
from ui.components.documents.selection import outcome_bars
from ui.components.documents.state import DocumentsState
from ui.components.documents.table import Shelf, document_table, read_shelf, watch
from ui.components.documents.upload import upload_box
from ui.components.documents.words import writable
from ui.session import Desk

DOCUMENTS, ATTENTION, QUARANTINE = "documents", "attention", "quarantine"
ICONS = {
    DOCUMENTS: ":material/description:",
    ATTENTION: ":material/build:",
    QUARANTINE: ":material/gpp_maybe:",
}


def collection_page(desk: Desk, state: DocumentsState, collection: CollectionInfo) -> None:
    """Draw the chosen section of a collection."""
    state = state.of(collection.id)
    if writable(collection):
        upload_box(desk, state, collection)
    pending_action(desk)
    outcome_bars(desk, state)
    shelf = read_shelf(desk, collection)
    found = troubles(list(shelf.documents.values()), shelf.jobs)
    held = sum(one.held for one in shelf.documents.values())
    match _section(state, shelf, troubled=len(found), held=held):
        case "attention":
            attention(desk, state, collection, found)
            watch(desk, collection, shelf)
        case "quarantine":
            quarantine_view(desk, collection)
        case _:
            document_table(desk, state, collection, shelf)


def _section(state: DocumentsState, shelf: Shelf, *, troubled: int, held: int) -> str:
    words = {
        DOCUMENTS: f"Documents ({len(shelf.documents):,})",
        ATTENTION: "Needs attention" + f" ({troubled:,})" * bool(troubled),
        QUARANTINE: "Quarantine" + f" ({held:,} held)" * bool(held),
    }
    state.section = st.segmented_control(
        "Section", list(words), default=state.section, format_func=lambda one: f"{ICONS[one]} {words[one]}", required=True,
        key=f"documents_section_{troubled}_{held}_{len(shelf.documents)}", label_visibility="collapsed",
    )  # fmt: skip
    return state.section
