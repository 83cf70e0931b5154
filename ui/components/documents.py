"""The list of documents: state, progress, what is wrong with one, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.errors import PasswordNeeded
from engine.types import Right
from engine.views import CollectionInfo, DocumentInfo
from ui.components.safe_text import counted, escape, short
from ui.failures import failure_text, friendly_errors
from ui.session import Desk, State

PAGE_SIZE = 20
EVERY_SECONDS = 1.5
STAGES = {
    "stored": "waiting",
    "parsed": "cutting into passages",
    "chunked": "embedding",
    "embedded": "indexing",
    "deleting": "being removed",
}
PASSAGES = (
    "Documents are cut into passages of a few sentences; a question finds passages, and an answer cites them. "
    "Pages without text, mostly scans, cannot be found or cited. Times are UTC."
)
ACTIONS = {"again": "Process again", "download": "Download original", "delete": "Delete"}


def document_list(desk: Desk, collection: CollectionInfo) -> None:
    """Draw the list; while something is in work it draws itself again every other second."""
    every = EVERY_SECONDS if collection.working else None
    st.fragment(_rows, run_every=every)(desk, collection)


def _rows(desk: Desk, collection: CollectionInfo) -> None:
    with friendly_errors():
        documents = desk.call(desk.workbench.documents, collection.id)
        if collection.working and all(one.state in ("live", "failed") for one in documents):
            st.rerun()
        if not documents:
            st.info("This collection is empty. Add the first documents above.", icon=":material/inbox:")
            return
        st.caption(counters(documents), help=PASSAGES)
        shown = _filtered(documents)
        if not shown:
            st.caption(f"None of the {len(documents)} documents has this in its name.")
        for one in _page_of(shown):
            _row(desk, one, writable=collection.right in (Right.WRITE, Right.OWNER))


def counters(documents: Sequence[DocumentInfo]) -> str:
    """Return the numbers of a collection in one line."""
    working = sum(one.state not in ("live", "failed") for one in documents)
    failed = sum(one.state == "failed" for one in documents)
    passages = sum(one.chunks for one in documents if one.state == "live")
    parts = [counted(len(documents), "document"), counted(passages, "passage")]
    return " · ".join(parts + [f"{working:,} in work"] * bool(working) + [f"{failed:,} failed"] * bool(failed))


def _filtered(documents: Sequence[DocumentInfo]) -> list[DocumentInfo]:
    # By the time they were added: rows must not change places while their states do.
    newest_first = sorted(documents, key=lambda one: (one.created_at, one.name), reverse=True)
    if len(documents) <= 5:
        return newest_first
    words = st.text_input("Find a document", placeholder="Part of a name", key="documents_find", label_visibility="collapsed")
    return [one for one in newest_first if words.strip().lower() in one.name.lower()]


def _page_of(documents: list[DocumentInfo]) -> list[DocumentInfo]:
    pages = -(-len(documents) // PAGE_SIZE)
    number = st.pagination(pages, key="documents_page") if pages > 1 else 1
    return documents[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]


def _row(desk: Desk, one: DocumentInfo, *, writable: bool) -> None:
    with st.container(border=True, key=f"documents_row_{one.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/description: **{escape(short(one.name, 70))}**", width="stretch")
            status_badge(one)
            quarantine_badges(one)
            if st.button(
                "Open", key=f"documents_open_{one.id}", disabled=not one.pages, type="tertiary", icon=":material/pageview:"
            ):
                open_document(desk.state, one.id)
                st.rerun()
            chosen = st.menu_button(
                "",
                _actions(writable=writable),
                format_func=ACTIONS.__getitem__,
                icon=":material/more_vert:",
                type="tertiary",
                key=f"documents_menu_{one.id}",
                help="What can be done with this document",
            )
        if chosen:
            desk.state.pending = (chosen, one.id)
            st.rerun()
        st.caption(facts(one))
        _trouble(one)
        if (
            writable
            and wants_password(one)
            and st.button("Give password", key=f"documents_unlock_{one.id}", icon=":material/key:")
        ):
            desk.state.pending = ("again", one.id)
            st.rerun()


def open_document(state: State, document_id: str, page: int = 1) -> None:
    """Open a page of a document. The address holds both, so that it can be kept and the browser's Back works."""
    state.chunk_id = ""
    st.query_params.from_dict({"document": document_id, "page": str(page)})


def wants_password(one: DocumentInfo) -> bool:
    """Tell whether a file failed for a password that can be given here; the engine reports it in words only."""
    return one.state == "failed" and one.hint == PasswordNeeded.default_hint


def _actions(*, writable: bool) -> list[str]:
    return list(ACTIONS) if writable else ["download"]


def status_badge(one: DocumentInfo) -> None:
    """Draw the state of a document as an icon, a word and a colour."""
    if one.state == "live":
        st.badge("ready", icon=":material/check_circle:", color="green")
    elif one.state == "failed":
        st.badge("failed", icon=":material/error:", color="red")
    else:
        st.badge(f"{STAGES.get(one.state, one.state)} {one.progress:.0%}", icon=":material/hourglass_top:", color="blue")


def quarantine_badges(one: DocumentInfo) -> None:
    """Draw how many passages are kept out of answers, and how many are marked in them; the tab Quarantine shows them."""
    if one.held:
        st.badge(f"{one.held:,} held", icon=":material/block:", color="red", help="Passages in quarantine: in no answer.")
    if one.flagged:
        st.badge(
            f"{one.flagged:,} marked",
            icon=":material/gpp_maybe:",
            color="orange",
            help="Passages with text that gives commands.",
        )


def facts(one: DocumentInfo) -> str:
    """Return pages, passages, text coverage, size, version and date in one line of Markdown."""
    parts = []
    if one.pages:
        parts = [
            counted(one.pages, "page"),
            counted(one.chunks, "passage"),
            f"{one.text_coverage:.0%} of pages have text",
        ]
    return " · ".join([*parts, size(one.size_bytes), f"version {one.version}", f"{one.updated_at:%d %b %Y %H:%M}"])


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count} byte{'s' * (count != 1)}"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{round(count / 1e3)} kB"


def _trouble(one: DocumentInfo) -> None:
    if one.state == "failed":
        st.markdown(f":red[:material/error:] {failure_text(one.reason or 'no reason was recorded', one.hint)}")
    elif one.state not in ("live", "deleting", "deleted"):
        st.progress(min(1.0, max(0.0, one.progress)))
    for warning in one.warnings:
        st.markdown(f":orange[:material/warning:] {escape(warning)}")
