"""Choosing a collection, and making one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.registry import CHUNKERS
from engine.views import CollectionInfo
from ui.components.documents.reindex import reindex_button
from ui.components.safe_text import escape
from ui.components.sharing import share_button, sharing_dialog
from ui.failures import friendly_errors
from ui.session import Desk

KEPT = "documents_collection"
WHAT = "A collection is a shelf of documents that are asked together, such as the annual reports of one industry."


def collection_bar(desk: Desk, collections: Sequence[CollectionInfo]) -> CollectionInfo | None:
    """Draw the picker and return the chosen collection; None when there is none yet."""
    if not collections:
        st.title("Documents", anchor=False)
        with st.container(border=True):
            st.markdown("### Make your first collection", anchors=False)
            st.markdown(WHAT)
            _create_form(desk)
        return None
    if not desk.state.collection_id:  # a new tab, or one that was loaded anew
        with friendly_errors():
            desk.state.collection_id = desk.call(desk.workbench.preference, KEPT)
    found = {one.id: one for one in collections}
    ids = list(found)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="documents_head"):
        st.title("Documents", anchor=False, width="content")
        chosen = st.selectbox(
            "Collection",
            ids,
            index=ids.index(desk.state.collection_id) if desk.state.collection_id in ids else 0,
            format_func=lambda key: found[key].name,
            key=f"documents_collection_{desk.state.collections_made}",
            width=320,
            label_visibility="collapsed",
        )
        with st.popover(
            "New collection", icon=":material/create_new_folder:", key=f"documents_new_{desk.state.collections_made}"
        ):
            st.caption(WHAT)
            _create_form(desk)
        share_button(desk, found[chosen])
        reindex_button(desk, found[chosen])
    sharing_dialog(desk, found[chosen])
    if chosen != desk.state.collection_id:
        desk.state.verdicts.clear()
        _keep(desk, chosen)
    desk.state.collection_id = chosen
    if found[chosen].description:
        st.caption(escape(found[chosen].description))
    return found[chosen]


def _keep(desk: Desk, collection_id: str) -> None:
    """Remember where the user was, for the next tab; it is no harm where that fails."""
    with friendly_errors():
        desk.call(desk.workbench.set_preference, KEPT, collection_id)


def _create_form(desk: Desk) -> None:
    with st.form(f"documents_create_{desk.state.collections_made}", border=False):
        name = st.text_input("Name", max_chars=100, placeholder="Annual reports 2024")
        description = st.text_input("Description (optional)", max_chars=300)
        with st.expander("How documents are cut into passages", type="compact"):
            chunker = st.selectbox("Method", list(CHUNKERS), format_func=lambda key: CHUNKERS[key].label)
        if st.form_submit_button("Create collection", type="primary"):
            with friendly_errors():
                made = desk.call(
                    desk.workbench.create_collection, name.strip(), description=description.strip(), chunker=chunker
                )
                # A browser keeps what a widget of the same key shows: new keys close the form and let the picker follow.
                desk.state.collection_id, desk.state.collections_made = made.id, desk.state.collections_made + 1
                desk.state.verdicts.clear()
                _keep(desk, made.id)
                st.rerun()
