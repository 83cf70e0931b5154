"""One document: its page at the left, the passages cut from that page at the right; a pressed passage is marked on the page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.documents import Chunk
from engine.ingestion_views import VersionInfo
from engine.views import DocumentInfo
from ui.components.documents.words import (
    PASSAGES,
    facts,
    meanwhile,
    open_document,
    quarantine_badges,
    status_badge,
)
from ui.components.evidence import RENDER_WIDTH, page_text, recognised_badge
from ui.components.safe_text import counted, escape, short
from ui.session import Desk, State


def document_view(desk: Desk) -> None:
    """Draw the document, version and page that the address names."""
    _back()
    document = desk.call(desk.workbench.document, st.query_params["document"])
    version = _version(desk, document)
    _head(document, version)
    pages = version.pages if version else document.pages_to_open
    number = _page_picker(desk.state, document.id, pages, version.number if version else 0)
    if version:
        _picture(desk, document, number, None, version.number)
        return
    here = [one for one in desk.call(desk.workbench.chunks, document.id) if one.page == number]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _picture(desk, document, number, next((one for one in here if one.id == desk.state.chunk_id), None), None)
    with right:
        _passages(desk.state, here)


def _version(desk: Desk, document: DocumentInfo) -> VersionInfo | None:
    """Return the version that the address names when it is not the one that answers questions."""
    asked = _number("version")
    found = desk.call(desk.workbench.versions, document.id) if asked else []
    return next((one for one in found if one.number == asked and not one.active), None)


def _number(name: str) -> int:
    asked = st.query_params.get(name, "")
    return int(asked) if asked.isdecimal() and asked.isascii() and len(asked) < 10 else 0


def _back() -> None:
    icon = ":material/arrow_back:"
    st.button("All documents", icon=icon, type="tertiary", key="documents_back", on_click=st.query_params.clear)


def _head(document: DocumentInfo, version: VersionInfo | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"### {escape(short(document.name, 80))}", width="stretch", anchors=False)
        if not meanwhile(document):  # its state is that of the newer one
            status_badge(document)
        quarantine_badges(document)
    if version:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="documents_old_version"):
            st.markdown(
                f":orange[:material/history:] This is **version {version.number}** of {version.created_at:%d %b %Y}. Questions "
                "are answered from another one.",
                width="stretch",
            )
            st.button(
                "Show the present version", key="documents_present", type="tertiary", on_click=_present, args=(document.id,)
            )
        return
    if note := meanwhile(document):
        st.markdown(note)
    else:
        st.caption(" · ".join(filter(None, [escape(document.title), facts(document)])), help=PASSAGES)
    if document.disabled:
        st.markdown(":gray[:material/visibility_off:] It is kept, but no answer uses it.")
    for warning in () if note else document.warnings:
        st.markdown(f":orange[:material/warning:] {escape(warning)}")


def _present(document_id: str) -> None:
    st.query_params.from_dict({"document": document_id, "page": "1"})


def _page_picker(state: State, document_id: str, pages: int, version: int) -> int:
    if pages <= 1:
        return 1
    current = min(max(1, _number("page")), pages)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, icon, step in (("Previous page", "chevron_left", -1), ("Next page", "chevron_right", 1)):
            st.button(
                "",
                icon=f":material/{icon}:",
                help=label,
                key=f"documents_{step}",
                disabled=not 1 <= current + step <= pages,
                on_click=open_document,
                args=(state, document_id, current + step, version),
                shortcut="Left" if step < 0 else "Right",
            )
        key = f"documents_number_{current}"
        number = st.number_input("Page", 1, pages, current, key=key, label_visibility="collapsed", width=130)
        st.markdown(f"of {pages}")
    if number != current:
        open_document(state, document_id, number, version)
        st.rerun()
    return number


def _picture(desk: Desk, document: DocumentInfo, number: int, chosen: Chunk | None, version: int | None) -> None:
    marked = [(chosen.start, chosen.end)] if chosen else []
    picture = desk.call(desk.workbench.page_image, document.id, number, version=version, highlight=marked, width=RENDER_WIDTH)
    if picture is None:
        page_text(desk, document.id, number, chosen.start if chosen else 0, chosen.end if chosen else 0, version=version)
    else:
        with st.container(key="evidence_page"):
            st.image(picture.png, width="stretch", alt=f"Page {number} of {document.name}")


def _passages(state: State, chunks: Sequence[Chunk]) -> None:
    st.markdown(f"**{counted(len(chunks), 'passage')} on this page**")
    if any(chunk.recognised for chunk in chunks):
        recognised_badge()
    if not chunks:
        st.caption("There is no text on this page, so nothing of it can be found or cited.")
    for chunk in chunks:
        with st.container(border=True, key=f"quote_{chunk.id}" if chunk.id == state.chunk_id else None):
            with st.container(horizontal=True, vertical_alignment="center"):
                path = " › ".join(escape(part) for part in chunk.section)
                st.caption(f"{chunk.ordinal + 1} · {len(chunk.text):,} characters" + f" · {path}" * bool(path), width="stretch")
                st.button("Show", key=f"documents_chunk_{chunk.id}", type="tertiary", on_click=_choose, args=(state, chunk.id))
            st.text(chunk.text)


def _choose(state: State, chunk_id: str) -> None:
    state.chunk_id = chunk_id
