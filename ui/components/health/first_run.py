"""What the page says before anybody asked anything."""

from __future__ import annotations

import streamlit as st

DOCUMENTS, CHAT = "../pages/documents.py", "../pages/chat.py"


def first_run() -> None:
    """Say that there are no numbers yet, what works already, and what brings the first ones."""
    with st.container(border=True, key="health_first_run"):
        st.markdown("**:material/query_stats: No numbers yet**")
        st.markdown(
            "Nobody has asked a question since this was set up, so there is nothing to draw. The checks run already: they try "
            "each part at regular times, also while nobody works here. Charts, costs and caches fill with the first question, "
            "the ingestion numbers with the first document. It takes up to a minute until they show here."
        )
        with st.container(horizontal=True):
            if st.button("Add documents", icon=":material/upload_file:", key="health_to_documents"):
                st.switch_page(DOCUMENTS)
            if st.button("Ask a question", icon=":material/forum:", key="health_to_chat"):
                st.switch_page(CHAT)
