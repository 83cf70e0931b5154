"""The versions of a document: what each holds, which one answers questions, and making another one do so."""

from __future__ import annotations

import streamlit as st

from engine.ingestion_views import VersionInfo
from engine.types import Right
from engine.views import DocumentInfo
from ui.components.colors import Color
from ui.components.documents.words import open_document, size
from ui.components.safe_text import counted, escape, short
from ui.failures import failure_text
from ui.session import Desk

LOOKS: dict[str, tuple[str, str, Color]] = {
    "live": ("answers questions", ":material/check_circle:", "green"),
    "failed": ("failed", ":material/error:", "red"),
    "replaced": ("replaced", ":material/history:", "gray"),
    "deleted": ("content removed", ":material/delete:", "gray"),
}
WORKING: tuple[str, str, Color] = ("in work", ":material/hourglass_top:", "blue")


def versions_body(desk: Desk, document_id: str) -> None:
    """Draw the versions, newest first."""
    document = desk.call(desk.workbench.document, document_id)
    found = sorted(desk.call(desk.workbench.versions, document_id), key=lambda one: one.number, reverse=True)
    collection = next(one for one in desk.call(desk.workbench.collections) if one.id == document.collection_id)
    st.markdown(f"**{escape(short(document.name, 70))}**")
    st.caption(
        "One version answers questions. Citations keep the version they were made from: when another one answers, they say "
        "that the document has changed since, and still open at their own page."
    )
    for one in found:
        _version(desk, document, one, may_change=collection.right is not Right.READ)


def _version(desk: Desk, document: DocumentInfo, one: VersionInfo, *, may_change: bool) -> None:
    label, icon, color = LOOKS["live"] if one.active else LOOKS.get(one.state, WORKING)
    with st.container(border=True, key=f"documents_version_{one.number}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Version {one.number}** · {one.created_at:%d %b %Y %H:%M}", width="stretch")
            st.badge(label, icon=icon, color=color)
        parts = [size(one.size_bytes)]
        if one.pages:
            parts += [counted(one.pages, "page"), counted(one.chunks, "passage")]
        parts += [f"from {escape(short(one.source, 60))}"] * bool(one.source)
        st.caption(" · ".join([*parts, f"SHA-256 {one.sha256[:12]}…"]))
        if one.reason:
            st.markdown(f":red[:material/error:] {failure_text(one.reason, '')}")
        with st.container(horizontal=True, gap="small"):
            if (
                one.pages
                and one.state != "deleted"
                and st.button("Look at it", key=f"documents_see_{one.number}", icon=":material/pageview:")
            ):
                desk.state.pending = None
                open_document(desk.state, document.id, version=0 if one.active else one.number)
                st.rerun()
            if one.state != "deleted":
                address = f"/files/documents/{document.id}?version={one.number}"
                st.link_button("Download", address, icon=":material/download:")
            if may_change and one.can_activate:
                _activation(desk, document, one)


def _activation(desk: Desk, document: DocumentInfo, one: VersionInfo) -> None:
    with st.popover("Make it the active one", icon=":material/restore:"):
        st.markdown(
            f"Version {one.number} answers questions from the next one on. Nothing is embedded anew and nothing is lost: you "
            "can come back in the same way. Citations of the present version will say that the document has changed since."
        )
        if st.button(f"Yes, answer from version {one.number}", key=f"documents_activate_{one.number}", type="primary"):
            desk.call(desk.workbench.activate_version, document.id, one.number)
            st.rerun()
