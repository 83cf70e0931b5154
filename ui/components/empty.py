"""What a page says when there is nothing to show yet: what this place is for, and the next thing to do."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.types import Principal
from engine.views import CollectionInfo
from ui.components.safe_text import escape, short

DOCUMENTS = "../pages/documents.py"


def nothing_to_ask(principal: Principal, collections: Sequence[CollectionInfo]) -> bool:
    """Show the way to the documents when there is nothing to ask yet; tell whether that was so."""
    if any(one.documents for one in collections):
        return False
    st.space("large")
    with st.container(border=True):
        st.markdown(f"### :material/waving_hand: Welcome, {escape(short(principal.name, 40))}", anchors=False)
        if collections:
            st.markdown("Your collections are still empty. Upload documents, then come back and ask.")
        else:
            st.markdown(
                "You cannot ask anything yet: first make a collection and put documents into it, or ask an admin to share one "
                "with you."
            )
        if st.button("Add documents", type="primary", icon=":material/upload_file:", key="chat_go_to_documents"):
            st.switch_page(DOCUMENTS)
    return True
