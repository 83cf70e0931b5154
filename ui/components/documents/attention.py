"""What needs somebody: documents that failed, and jobs that nobody works on any more; each with its reason and its fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from engine.errors import EngineError
from engine.ingestion_views import BulkAction, BulkResult, JobInfo
from engine.views import CollectionInfo, DocumentInfo
from ui.components.documents.progress import job_log
from ui.components.documents.selection import act
from ui.components.documents.state import DocumentsState, Outcome
from ui.components.documents.words import FAILED, STALLED, is_hopeless, status, status_badge, wants_password, writable
from ui.components.safe_text import counted, escape, short
from ui.failures import failure_text
from ui.session import Desk

PAGE_SIZE = 25
CALM = "Nothing failed and nothing is stuck."
HELPS = "Those that may go well the next time; the others need another file."
STUCK = "Nobody works on it any more: its worker ended, or none is running. Its file is safe, and what was done is kept."


@dataclass(frozen=True, slots=True)
class Trouble:
    """A document that will not come to an end by itself."""

    document: DocumentInfo
    job: JobInfo | None

    @property
    def stalled(self) -> bool:
        """Whether its job is stalled; otherwise it failed."""
        return status(self.document, self.job) == STALLED


def troubles(documents: Sequence[DocumentInfo], jobs: Mapping[str, JobInfo]) -> list[Trouble]:
    """Return what failed or is stalled: stalled first, then by name."""
    found = [Trouble(one, jobs.get(one.id)) for one in documents]
    found = [one for one in found if status(one.document, one.job) in (FAILED, STALLED)]
    return sorted(found, key=lambda one: (not one.stalled, one.document.name.casefold()))


def attention(desk: Desk, state: DocumentsState, collection: CollectionInfo, found: Sequence[Trouble]) -> None:
    """Draw each of them with its fix, and the fixes for all."""
    if not found:
        st.info(CALM, icon=":material/check_circle:")
        return
    may = writable(collection)
    if may:
        _for_all(desk, state, found)
    pages = -(-len(found) // PAGE_SIZE)
    number = st.pagination(pages, key="documents_attention_page") if pages > 1 else 1
    for one in found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]:
        _trouble(desk, state, one, may_change=may)


def _for_all(desk: Desk, state: DocumentsState, found: Sequence[Trouble]) -> None:
    stalled = sum(one.stalled for one in found)
    failed = [one.document for one in found if not one.stalled and not wants_password(one.document)]
    again = [one.id for one in failed if not is_hopeless(one)]
    with st.container(horizontal=True, gap="small"):
        if stalled > 1 and st.button(
            f"Queue all {stalled} stalled again", key="documents_requeue_all", icon=":material/restart_alt:", type="primary"
        ):
            _requeue(desk, state, [one.document for one in found if one.stalled])
        if len(again) > 1 and st.button(
            f"Try {len(again)} failed again", key="documents_retry_all", icon=":material/refresh:", help=HELPS
        ):
            act(desk, state, BulkAction.RETRY, again)
        if len(failed) > 1 and st.button(
            f"Delete all {len(failed)} failed", key="documents_delete_all", icon=":material/delete:", type="tertiary"
        ):
            act(desk, state, BulkAction.DELETE, [one.id for one in failed])


def _trouble(desk: Desk, state: DocumentsState, one: Trouble, *, may_change: bool) -> None:
    document, job = one.document, one.job
    with st.container(border=True, key=f"documents_trouble_{document.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/description: **{escape(short(document.name, 70))}**", width="stretch")
            status_badge(document, job)
        reason, hint = (job.reason, job.hint) if job and job.reason else (document.reason, document.hint)
        st.markdown(failure_text(reason or (STUCK if one.stalled else "No reason was recorded"), hint))
        if job and job.attempts > 1:
            st.caption(f"Tried {counted(job.attempts, 'time')}.")
        if may_change:
            with st.container(horizontal=True, gap="small"):
                _fix(desk, state, one)
        job_log(desk, document.id)


def _fix(desk: Desk, state: DocumentsState, one: Trouble) -> None:
    """Draw the one button that helps, and the two ways out."""
    key = one.document.id
    if one.stalled:
        if st.button("Queue again", key=f"documents_requeue_{key}", icon=":material/restart_alt:", type="primary"):
            _requeue(desk, state, [one.document])
        if st.button("Cancel", key=f"documents_cancel_{key}", icon=":material/cancel:", type="tertiary"):
            act(desk, state, BulkAction.CANCEL, [key])
    elif wants_password(one.document):
        if st.button("Give password", key=f"documents_unlock_{key}", icon=":material/key:", type="primary"):
            desk.state.pending = ("again", key)
            st.rerun()
    elif is_hopeless(one.document):
        if st.button("Upload another file", key=f"documents_other_{key}", icon=":material/upload_file:", type="primary"):
            desk.state.adding, desk.state.uploads = True, desk.state.uploads + 1
            st.rerun()
    elif st.button("Try again", key=f"documents_retry_{key}", icon=":material/refresh:", type="primary"):
        act(desk, state, BulkAction.RETRY, [key])
    if st.button("Delete", key=f"documents_delete_{key}", icon=":material/delete:", type="tertiary"):
        act(desk, state, BulkAction.DELETE, [key])


def _requeue(desk: Desk, state: DocumentsState, documents: Sequence[DocumentInfo]) -> None:
    """Queue them again; one that is refused never stops the rest."""
    results = []
    for one in documents:
        try:
            desk.call(desk.workbench.requeue, one.id)
            results.append(BulkResult(document_id=one.id, document=one.name))
        except EngineError as error:
            results.append(BulkResult(document_id=one.id, document=one.name, problem=str(error), hint=error.hint))
    state.tell(Outcome(BulkAction.RETRY, tuple(results)))
    st.rerun()
