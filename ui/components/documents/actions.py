"""What is done with one document after a choice in its menu: each in a dialog that says what will happen."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.views import DocumentInfo
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk


def pending_action(desk: Desk) -> None:
    """Open the dialog of the action that was chosen, and offer to undo deletions."""
    _undo_bar(desk)
    if desk.state.pending is None:
        return
    action, document_id = desk.state.pending
    with friendly_errors():
        document = desk.call(desk.workbench.document, document_id)
        {"again": _again, "download": _download, "delete": _delete}[action](desk, document)


def _dialog(desk: Desk, title: str, body: Callable[[], None]) -> None:
    st.dialog(title, on_dismiss=lambda: setattr(desk.state, "pending", None))(body)()


def _again(desk: Desk, document: DocumentInfo) -> None:
    def body() -> None:
        st.markdown(
            f"**{escape(short(document.name))}** is read, cut and embedded again. The present version serves until then."
        )
        password = st.text_input("Password, if the file is encrypted", type="password", key="documents_password")
        if st.button("Process again", type="primary", key="documents_again_now"):
            with friendly_errors():
                desk.call(desk.workbench.reprocess, document.id, password=password or None)
                _done(desk)

    _dialog(desk, "Process again", body)


def _download(desk: Desk, document: DocumentInfo) -> None:
    def body() -> None:
        st.markdown(f"**{escape(short(document.name))}**, as it was uploaded.")
        # By a route that asks for the owner at each request; what st.download_button shows would lie in memory under /media.
        st.link_button("Download", f"/files/documents/{document.id}", type="primary", icon=":material/download:")

    _dialog(desk, "Download original", body)


def _delete(desk: Desk, document: DocumentInfo) -> None:
    def body() -> None:
        st.markdown(
            f"**{escape(short(document.name))}** is no longer found or cited. Answers that cite it keep their quotations. "
            "You can undo this."
        )
        if st.button("Delete", type="primary", icon=":material/delete:", key="documents_delete_now"):
            with friendly_errors():
                desk.call(desk.workbench.delete_document, document.id)
                desk.state.deleted[document.id] = document.name
                _done(desk)

    _dialog(desk, "Delete this document?", body)


def _done(desk: Desk) -> None:
    desk.state.pending = None
    st.rerun()


def _undo_bar(desk: Desk) -> None:
    for document_id, name in list(desk.state.deleted.items()):
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f":material/delete: {escape(short(name))} was deleted.", width="stretch")
            if st.button("Undo", icon=":material/undo:", key=f"documents_undo_{document_id}"):
                with friendly_errors():
                    desk.call(desk.workbench.restore_document, document_id)
                    del desk.state.deleted[document_id]
                    st.rerun()
            if st.button("Hide", key=f"documents_forget_{document_id}", type="tertiary"):
                del desk.state.deleted[document_id]
                st.rerun()
