"""What can be done with the documents that are selected: one, or many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from engine.ingestion_views import BulkAction, JobInfo, JobState
from engine.views import CollectionInfo, DocumentInfo
from ui.components.documents.progress import job_line, job_log
from ui.components.documents.state import DocumentsState, Outcome
from ui.components.documents.words import facts, meanwhile, open_document, progress, quarantine_badges, status_badge, writable
from ui.components.safe_text import counted, escape, short
from ui.failures import failure_text, friendly_errors
from ui.session import Desk

Jobs = Mapping[str, JobInfo]
HINT = "tick documents to act on them"

_ENDED = (JobState.DONE, JobState.CANCELLED, JobState.FAILED)

# What a menu says, and for which documents it is offered.
ONE: dict[str, tuple[str, Callable[[DocumentInfo, JobInfo | None], bool]]] = {
    "versions": (":material/history: Versions", lambda one, job: True),
    "again": (":material/refresh: Process again", lambda one, job: progress(one, job) is None),
    "cancel": (":material/cancel: Cancel processing", lambda one, job: bool(job and job.state not in _ENDED)),
    "disable": (":material/visibility_off: Keep out of answers", lambda one, job: one.state == "live" and not one.disabled),
    "enable": (":material/visibility: Use in answers again", lambda one, job: one.disabled),
    "move": (":material/drive_file_move: Move to another collection", lambda one, job: progress(one, job) is None),
    "download": (":material/download: Download original", lambda one, job: True),
    "delete": (":material/delete: Delete", lambda one, job: True),
}
AT_ONCE = {
    "cancel": BulkAction.CANCEL,
    "disable": BulkAction.DISABLE,
    "enable": BulkAction.ENABLE,
    "delete": BulkAction.DELETE,
}
FAILURES = 20  # that are named, each with its reason
READERS = ("versions", "download")
MANY: dict[BulkAction, tuple[str, Callable[[DocumentInfo, JobInfo | None], bool]]] = {
    BulkAction.RETRY: (":material/refresh: Process again", ONE["again"][1]),
    BulkAction.CANCEL: (":material/cancel: Cancel processing", ONE["cancel"][1]),
    BulkAction.DISABLE: (":material/visibility_off: Keep out of answers", ONE["disable"][1]),
    BulkAction.ENABLE: (":material/visibility: Use in answers again", ONE["enable"][1]),
    BulkAction.DELETE: (":material/delete: Delete", ONE["delete"][1]),
}
DONE = {
    BulkAction.RETRY: "queued to be processed again",
    BulkAction.CANCEL: "cancelled",
    BulkAction.DISABLE: "kept out of answers from now on",
    BulkAction.ENABLE: "used in answers again",
    BulkAction.DELETE: "deleted",
    BulkAction.RESTORE: "back again",
}


def selection_bar(
    desk: Desk, state: DocumentsState, collection: CollectionInfo, chosen: Sequence[DocumentInfo], jobs: Jobs
) -> None:
    """Draw what is selected and its actions, in one row."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        if len(chosen) == 1:
            _one(desk, state, collection, chosen[0], jobs.get(chosen[0].id))
        else:
            _many(desk, state, collection, chosen, jobs)


def _one(desk: Desk, state: DocumentsState, collection: CollectionInfo, one: DocumentInfo, job: JobInfo | None) -> None:
    st.markdown(f"**{escape(short(one.name, 60))}**", width="stretch")
    may = writable(collection)
    offered = [name for name, (_, fits) in ONE.items() if (may or name in READERS) and fits(one, job)]
    if st.button("Open", key="documents_open", icon=":material/pageview:", disabled=not one.pages_to_open):
        open_document(desk.state, one.id)
        st.rerun()
    picked = st.menu_button("Actions", offered, format_func=lambda name: ONE[name][0], key="documents_menu")
    if picked in AT_ONCE:
        act(desk, state, AT_ONCE[picked], [one.id])
    elif picked:
        desk.state.pending = (picked, one.id)
        st.rerun()


def _many(desk: Desk, state: DocumentsState, collection: CollectionInfo, chosen: Sequence[DocumentInfo], jobs: Jobs) -> None:
    st.markdown(f"**{counted(len(chosen), 'document')} selected**", width="stretch")
    if not writable(collection):
        st.caption("You may read this collection, not change it.")
        return
    fitting = {name: [one.id for one in chosen if fits(one, jobs.get(one.id))] for name, (_, fits) in MANY.items()}
    offered = [name for name, ids in fitting.items() if ids]
    picked = st.menu_button(
        "With all of them", offered, format_func=lambda name: f"{MANY[name][0]} ({len(fitting[name])})", key="documents_bulk",
        type="primary",
    )  # fmt: skip
    if picked:
        act(desk, state, picked, fitting[picked])


def act(desk: Desk, state: DocumentsState, action: BulkAction, ids: Sequence[str]) -> None:
    """Do it with all of them, remember what became of each, and draw the page again."""
    with friendly_errors(), st.spinner(f"{counted(len(ids), 'document')} …"):
        results = desk.call(desk.workbench.bulk, action, list(ids))
        state.tell(Outcome(action, tuple(results)))
        st.rerun()


def outcome_bars(desk: Desk, state: DocumentsState) -> None:
    """Draw what the last actions did, what failed and why, and the way back from a deletion."""
    for position, outcome in enumerate(state.outcomes):
        with st.container(border=True, key=f"documents_outcome_{position}", gap="xsmall"):
            _outcome(desk, state, outcome, position)


def _outcome(desk: Desk, state: DocumentsState, outcome: Outcome, position: int) -> None:
    failed = [one for one in outcome.results if one.problem]
    done = [one for one in outcome.results if not one.problem]
    who = escape(short(done[0].document)) if len(done) == 1 else counted(len(done), "document")
    words = f"{who}: {DONE[outcome.action]}" if done else "Nothing was changed"
    icon = ":orange[:material/warning:]" if failed else ":green[:material/check_circle:]"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{icon} {words}" + f", {len(failed):,} not" * bool(failed and done) + ".", width="stretch")
        undoable = outcome.action is BulkAction.DELETE and done
        if undoable and st.button("Undo", key=f"documents_undo_{position}", icon=":material/undo:"):
            state.outcomes.pop(position)
            act(desk, state, BulkAction.RESTORE, [one.document_id for one in done])
        if st.button("Hide", key=f"documents_hide_{position}", type="tertiary"):
            state.outcomes.pop(position)
            st.rerun()
    for one in failed[:FAILURES]:
        st.markdown(f":red[:material/block:] **{escape(short(one.document))}** {failure_text(one.problem, one.hint)}")
    if len(failed) > FAILURES:
        st.caption(f"and {len(failed) - FAILURES:,} more")


def selection_details(
    desk: Desk, state: DocumentsState, collection: CollectionInfo, one: DocumentInfo, job: JobInfo | None
) -> None:
    """Draw what is known of one document: its state, what is wrong with it, and how far it has come."""
    with st.container(border=True, key="documents_details", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/description: **{escape(short(one.name, 70))}**", width="stretch")
            status_badge(one, job)
            quarantine_badges(one)
        st.caption(facts(one))
        if note := meanwhile(one):
            st.markdown(note)
        if job and job.state is not JobState.DONE:
            job_line(job)
            job_log(desk, job.document_id)
        if one.state == "failed" and not (job and job.reason):
            st.markdown(f":red[:material/error:] {failure_text(one.reason or 'no reason was recorded', one.hint)}")
        for warning in one.warnings:
            st.markdown(f":orange[:material/warning:] {escape(warning)}")
