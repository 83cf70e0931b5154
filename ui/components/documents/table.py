"""The table of documents: one row each, to be opened, selected, and looked at while they are in work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.cells import neutral_cell
from engine.ingestion_views import JobInfo
from engine.views import CollectionInfo, DocumentInfo
from ui.components.documents.finding import find
from ui.components.documents.selection import HINT, selection_bar, selection_details
from ui.components.documents.state import DocumentsState
from ui.components.documents.words import (
    DISABLED,
    FAILED,
    PASSAGES,
    READY,
    STAGES,
    STALLED,
    STEPS,
    WAITING,
    counters,
    open_document,
    progress,
    status,
    type_of,
    whole,
)
from ui.components.safe_text import plain
from ui.failures import friendly_errors
from ui.session import Desk

PAGE_SIZE = 100
EVERY_SECONDS = 2.0
ROW, HEAD, MOST = 35, 38, 11  # pixels of a row and of the head; rows that are seen without scrolling
COLORS = {READY: "green", FAILED: "red", STALLED: "orange", DISABLED: "gray", "cancelled": "gray"}
WORDS = [*COLORS, WAITING, "tries again soon", *(word.lower() for word, _ in STAGES.values()), *dict.fromkeys(STEPS.values())]
COLUMNS: dict[str, Callable[[DocumentInfo, JobInfo | None], Any]] = {
    "Name": lambda one, _: neutral_cell(plain(one.name)),
    "Status": lambda one, job: [status(one, job)],
    "Progress": lambda one, job: whole(progress(one, job)),
    "Type": lambda one, _: type_of(one),
    "Pages": lambda one, _: one.pages or None,
    "Passages": lambda one, _: one.chunks or None,
    "Text": lambda one, _: round(one.text_coverage, 2) if one.pages else None,
    "Size": lambda one, _: one.size_bytes,
    "Version": lambda one, _: one.version,
    "Last used": lambda one, _: one.last_used_at,
    "Updated": lambda one, _: one.updated_at,
}
PHONE = ["Name", "Status"]  # what is always shown, and all that a narrow screen has room for
RARE = ("Type", "Passages")
CHOOSABLE = [name for name in COLUMNS if name not in PHONE]


@dataclass(slots=True)
class Shelf:
    """What was read last: the documents, and the jobs that were known then."""

    documents: dict[str, DocumentInfo]
    jobs: Mapping[str, JobInfo]


def document_table(desk: Desk, state: DocumentsState, collection: CollectionInfo, shelf: Shelf) -> None:
    """Draw the table; while something is in work it looks for news every other second."""
    if not shelf.documents:
        st.info(
            "This collection is empty. Drop files on **Add documents** above: a few, a whole folder, or a ZIP archive.",
            icon=":material/inbox:",
        )
        return
    ids = find(state, list(shelf.documents.values()), shelf.jobs)
    if not ids:
        st.info(
            f"None of the {len(shelf.documents):,} documents fits this search and these filters.", icon=":material/search_off:"
        )
        return
    pages = -(-len(ids) // PAGE_SIZE)
    place, foot = st.container(), st.container(horizontal=True, vertical_alignment="center", key="documents_foot")
    with foot:
        number = st.pagination(pages, key=f"documents_page_{collection.id}") if pages > 1 else 1
        st.space("stretch")
        columns = _column_choice()
    shown = ids[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    every = EVERY_SECONDS if in_work(shelf) else None
    with place:
        st.fragment(_live, run_every=every)(desk, state, collection, shelf, shown, columns)


def in_work(shelf: Shelf) -> bool:
    """Tell whether anything of the collection is on its way."""
    return any(progress(one, shelf.jobs.get(key)) is not None for key, one in shelf.documents.items())


def troubled(shelf: Shelf) -> int:
    """Return how many documents failed or are stalled."""
    return sum(status(one, shelf.jobs.get(key)) in (FAILED, STALLED) for key, one in shelf.documents.items())


def read_shelf(desk: Desk, collection: CollectionInfo) -> Shelf:
    """Read a collection's jobs and documents."""
    jobs = {one.document_id: one for one in desk.call(desk.workbench.jobs, collection.id)}
    return Shelf({one.id: one for one in desk.call(desk.workbench.documents, collection.id)}, jobs)


def on_phone() -> bool:
    """Tell whether the browser says that its screen is narrow."""
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def watch(desk: Desk, collection: CollectionInfo, shelf: Shelf) -> None:
    """Draw the page again when what needs somebody changes; for sections that show no table."""
    if in_work(shelf):
        st.fragment(_watched, run_every=EVERY_SECONDS)(desk, collection, shelf)


def _watched(desk: Desk, collection: CollectionInfo, shelf: Shelf) -> None:
    with friendly_errors():
        _refresh(desk, collection, shelf)


def _column_choice() -> list[str]:
    with st.popover("Columns", icon=":material/view_column:", type="tertiary"):
        usual = [] if on_phone() else [one for one in CHOOSABLE if one not in RARE]
        chosen = st.pills(
            "Columns", CHOOSABLE, selection_mode="multi", default=usual,
            key="documents_shown", label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
    return [name for name in COLUMNS if name in PHONE or name in (chosen or [])]


def _live(
    desk: Desk,
    state: DocumentsState,
    collection: CollectionInfo,
    shelf: Shelf,
    ids: Sequence[str],
    columns: Sequence[str],
) -> None:
    with friendly_errors():
        _refresh(desk, collection, shelf)
        shown = [shelf.documents[key] for key in ids if key in shelf.documents]
        place = st.container(key="documents_bar")
        key = f"documents_table_{state.number}_{hash(tuple(ids))}"
        chosen = _table(desk, shown, shelf.jobs, columns, key)
        with place:
            if chosen:
                selection_bar(desk, state, collection, chosen, shelf.jobs)
            else:
                st.caption(f"{counters(list(shelf.documents.values()), list(shelf.jobs.values()))} · {HINT}", help=PASSAGES)
        if len(chosen) == 1:
            selection_details(desk, state, collection, chosen[0], shelf.jobs.get(chosen[0].id))


def _refresh(desk: Desk, collection: CollectionInfo, shelf: Shelf) -> None:
    """Ask for jobs only; the documents are read again when one of them began, moved on or ended."""
    jobs = {one.document_id: one for one in desk.call(desk.workbench.jobs, collection.id)}
    steps = {(key, one.version, one.state, one.stage) for key, one in jobs.items()}
    former = {(key, one.version, one.state, one.stage) for key, one in shelf.jobs.items()}
    unlisted = any(key not in jobs and progress(one) is not None for key, one in shelf.documents.items())
    was_in_work, were_troubled = in_work(shelf), troubled(shelf)
    shelf.jobs = jobs
    if steps != former or unlisted:
        shelf.documents = read_shelf(desk, collection).documents
    if (was_in_work and not in_work(shelf)) or troubled(shelf) != were_troubled:
        st.rerun()  # to stop looking; or to count anew what needs somebody


def _table(
    desk: Desk, shown: Sequence[DocumentInfo], jobs: Mapping[str, JobInfo], columns: Sequence[str], key: str
) -> list[DocumentInfo]:
    rows = [
        {name: COLUMNS[name](one, jobs.get(one.id)) for name in columns} | {"Open": "Open" if one.pages_to_open else None}
        for one in shown
    ]
    picked = st.dataframe(
        rows, key=key, on_select="rerun", selection_mode="multi-row", hide_index=True,
        column_order=[*columns, "Open"] if on_phone() else [columns[0], "Open", *columns[1:]], column_config=_config(key),
        height=HEAD + ROW * min(len(rows), MOST), row_height=ROW, placeholder="", alt="Documents of the collection",
    )  # fmt: skip
    pressed = st.session_state.get(f"{key}_open")
    if pressed:
        open_document(desk.state, shown[pressed["row"]].id)
        st.rerun()
    return [shown[row] for row in picked["selection"]["rows"] if row < len(shown)]


def _config(key: str) -> Any:
    column, narrow = st.column_config, on_phone()
    covered = "Share of pages that have text. What has none is neither found nor cited."
    return {
        "Name": column.TextColumn(pinned=True, width=190 if narrow else 250),
        "Open": column.ButtonColumn("", type="tertiary", width=55, key=f"{key}_open", pinned=not narrow),
        "Status": column.MultiselectColumn(options=WORDS, color=[COLORS.get(word, "blue") for word in WORDS], width=130),
        "Progress": column.ProgressColumn(min_value=0, max_value=1, format="percent", width=110),
        "Type": column.TextColumn(width=80),
        "Pages": column.NumberColumn(format="localized", width=60),
        "Passages": column.NumberColumn(format="localized", width=80),
        "Text": column.NumberColumn(format="percent", width=60, help=covered),
        "Size": column.NumberColumn(format="bytes", width=70),
        "Version": column.NumberColumn(width=60),
        "Last used": column.DatetimeColumn(
            format="D MMM YYYY", timezone="UTC", width=100, help="When an answer last cited it."
        ),
        "Updated": column.DatetimeColumn(format="D MMM YYYY, HH:mm", timezone="UTC", width=135),
    }
