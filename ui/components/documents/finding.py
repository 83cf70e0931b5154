"""Finding documents among thousands: words of the name, filters with their counts, and an order that states do not change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from engine.ingestion_views import JobInfo
from engine.views import DocumentInfo
from ui.components.documents.state import DocumentsState
from ui.components.documents.words import CANCELLED, DISABLED, FAILED, READY, STALLED, progress, status, type_of

IN_WORK, WARNINGS, UNUSED, TYPE = "in work", "with warnings", "never used in an answer", "type: "
STATES = (READY, IN_WORK, FAILED, STALLED, CANCELLED, DISABLED)
FEW = 5

Jobs = Mapping[str, JobInfo]
ORDERS: dict[str, tuple[Callable[[DocumentInfo], Any], bool]] = {
    "Newest first": (lambda one: (one.created_at, one.name), True),
    "Name": (lambda one: one.name.casefold(), False),
    "Changed last": (lambda one: one.updated_at, True),
    "Used last": (lambda one: one.last_used_at.timestamp() if one.last_used_at else 0.0, True),
    "Largest": (lambda one: one.size_bytes, True),
    "Most pages": (lambda one: one.pages, True),
    "Least text": (lambda one: one.text_coverage if one.pages else 2.0, False),
    "State": (lambda one: (one.state, one.name.casefold()), False),
}


def values(one: DocumentInfo, jobs: Jobs) -> set[str]:
    """Return what a document can be filtered by."""
    job = jobs.get(one.id)
    word = status(one, job)
    found = {word if word in STATES else IN_WORK if progress(one, job) is not None else FAILED, TYPE + type_of(one)}
    if one.warnings or one.held or one.flagged:
        found.add(WARNINGS)
    return found | ({UNUSED} if one.last_used_at is None and one.state == "live" else set())


def filtered(documents: Sequence[DocumentInfo], jobs: Jobs, words: str, chosen: Sequence[str]) -> list[DocumentInfo]:
    """Return the documents with all of `words` in their name and with a chosen value of each kind: state, type, other."""
    parts = words.casefold().split()
    kinds = [
        {one for one in chosen if one in STATES},
        {one for one in chosen if one.startswith(TYPE)},
        *({one} for one in chosen if one in (WARNINGS, UNUSED)),
    ]
    wanted = [kind for kind in kinds if kind]
    return [
        one
        for one in documents
        if all(part in one.name.casefold() for part in parts) and all(values(one, jobs) & kind for kind in wanted)
    ]


def find(state: DocumentsState, documents: Sequence[DocumentInfo], jobs: Jobs) -> list[str]:
    """Draw search, filters and order; return the ids of what they leave.

    It is asked once in a run of the page, not when the table looks again: rows keep their places while states change.
    """
    if len(documents) <= FEW:
        return _ordered(documents, "Newest first")
    counts = Counter(value for one in documents for value in values(one, jobs))
    types = sorted(one for one in counts if one.startswith(TYPE))
    kind = None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="documents_search"):
        words = st.text_input(
            "Find a document", placeholder="Part of a name", key="documents_find", label_visibility="collapsed",
            icon=":material/search:", type="search", width="stretch",
        )  # fmt: skip
        if len(types) > 1:
            kind = st.selectbox(
                "Type", types, None, key=f"documents_type_{state.collection_id}", placeholder="All types", width=150,
                format_func=lambda one: f"{one.removeprefix(TYPE)} ({counts[one]:,})", label_visibility="collapsed",
            )  # fmt: skip
        order = st.selectbox(
            "Order", list(ORDERS), key="documents_order", label_visibility="collapsed", width=150, persist_state="session"
        )
    offered = [one for one in (*STATES, WARNINGS, UNUSED) if counts[one] or one in state.filters]
    chosen = st.pills(
        "Filter", offered, selection_mode="multi", default=[one for one in state.filters if one in offered],
        format_func=lambda one: f"{one} {counts[one]:,}", label_visibility="collapsed",
        key=f"documents_filter_{state.collection_id}_{state.number}",
    )  # fmt: skip
    state.filters = list(chosen or [])
    return _ordered(filtered(documents, jobs, words, [*state.filters, kind] if kind else state.filters), order)


def _ordered(documents: Sequence[DocumentInfo], order: str) -> list[str]:
    key, backwards = ORDERS[order]
    return [one.id for one in sorted(documents, key=key, reverse=backwards)]
