"""What is done with one document after a choice in its menu: each in a dialog that says what will happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from engine.views import DocumentInfo
from ui.components.documents.versions import versions_body
from ui.components.documents.words import wants_password, writable
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk


def pending_action(desk: Desk) -> None:
    """Open the dialog of the action that was chosen."""
    if desk.state.pending is None:
        return
    action, document_id = desk.state.pending
    with friendly_errors():
        document = desk.call(desk.workbench.document, document_id)
        {"again": _again, "download": _download, "move": _move, "versions": _versions}[action](desk, document)


def _dialog(desk: Desk, title: str, body: Callable[[], None], width: Literal["small", "medium"] = "small") -> None:
    st.dialog(title, width=width, on_dismiss=lambda: setattr(desk.state, "pending", None))(body)()


def _again(desk: Desk, document: DocumentInfo) -> None:
    locked = wants_password(document)
    name = f"**{escape(short(document.name))}**"
    what = f"{name} is read, cut and embedded again."
    if document.state == "live":
        what += " The present version serves until then."
    if locked:
        what = f"{name} is protected. With its password it is read; the password is kept encrypted, for when it is read anew."
    label = "Password of the file" if locked else "Password, if the file is encrypted"

    def body() -> None:
        st.markdown(what)
        password = st.text_input(label, type="password", key="documents_password")
        if st.button("Read the file" if locked else "Process again", type="primary", key="documents_again_now"):
            with friendly_errors():
                desk.call(desk.workbench.reprocess, document.id, password=password or None)
                _done(desk)

    _dialog(desk, "Give the password" if locked else "Process again", body)


def _download(desk: Desk, document: DocumentInfo) -> None:
    def body() -> None:
        st.markdown(f"**{escape(short(document.name))}**, as it was uploaded.")
        # By a route that asks for the owner at each request; what st.download_button shows would lie in memory under /media.
        st.link_button("Download", f"/files/documents/{document.id}", type="primary", icon=":material/download:")

    _dialog(desk, "Download original", body)


def _move(desk: Desk, document: DocumentInfo) -> None:
    def body() -> None:
        with friendly_errors():
            others = {
                one.id: one.name
                for one in desk.call(desk.workbench.collections)
                if one.id != document.collection_id and writable(one)
            }
            if not others:
                st.info("There is no other collection that you may add documents to.", icon=":material/info:")
                return
            st.markdown(
                f"**{escape(short(document.name))}** leaves {escape(short(document.collection, 40))}. It is read by those who "
                "may read the other collection, and by nobody else. Answers that cite it keep their quotations."
            )
            chosen = st.selectbox("To the collection", list(others), format_func=others.__getitem__, key="documents_move_to")
            if st.button("Move", type="primary", icon=":material/drive_file_move:", key="documents_move_now"):
                desk.call(desk.workbench.move_document, document.id, chosen)
                st.toast(
                    f"{escape(short(document.name))} is in {escape(short(others[chosen], 40))} now.", icon=":material/check:"
                )
                _done(desk)

    _dialog(desk, "Move to another collection", body)


def _versions(desk: Desk, document: DocumentInfo) -> None:
    def body() -> None:
        with friendly_errors():
            versions_body(desk, document.id)

    _dialog(desk, "Versions", body, "medium")


def _done(desk: Desk) -> None:
    desk.state.pending = None
    st.rerun()
