"""Documents: collections, uploads with a verdict for each file, and a look into every page."""

import streamlit as st

from ui.components.documents.collections import collection_bar
from ui.components.documents.page import collection_page
from ui.components.documents.reindex import reindex_page
from ui.components.documents.state import documents_state
from ui.components.documents.view import document_view
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page()
state = documents_state(desk)

with friendly_errors():
    if "document" in st.query_params:
        document_view(desk)
    elif "reindex" in st.query_params:
        reindex_page(desk, state)
    else:
        collection = collection_bar(desk, desk.call(desk.workbench.collections))
        if collection:
            collection_page(desk, state, collection)
