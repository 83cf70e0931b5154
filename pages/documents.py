"""Documents: collections, uploads with a verdict for each file, and a look into every page."""

import streamlit as st

from ui.components.collections import collection_bar
from ui.components.document_actions import pending_action
from ui.components.document_view import document_view
from ui.components.documents import document_list
from ui.components.quarantine import quarantine_view
from ui.components.upload import upload_box
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page()

with friendly_errors():
    if "document" in st.query_params:
        document_view(desk)
    else:
        st.title("Documents", anchor=False)
        collection = collection_bar(desk, desk.call(desk.workbench.collections))
        if collection:
            documents, quarantine = st.tabs(["Documents", "Quarantine"])
            with documents:
                upload_box(desk, collection)
                pending_action(desk)
                document_list(desk, collection)
            with quarantine:
                quarantine_view(desk, collection)
