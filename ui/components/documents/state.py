"""What the documents page remembers in one browser tab, beside its widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from engine.ingestion_views import BulkAction, BulkResult, OnDuplicate, UploadForecast
from engine.keeping_views import GenerationChange, GenerationPlan
from ui.session import Desk

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_KEY = "documents"
OUTCOMES = 3  # that are shown at once, each with its way back


@dataclass(slots=True)
class Doubt:
    """A file that was looked at but not handed over: somebody must choose what becomes of it."""

    file: UploadedFile = field(repr=False)
    forecast: UploadForecast
    choice: OnDuplicate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bulk action did."""

    action: BulkAction
    results: tuple[BulkResult, ...]


@dataclass(slots=True)
class DocumentsState:
    """One collection in one tab. Selections are dropped when `number` changes."""

    session_id: str
    collection_id: str = ""
    number: int = 0
    section: str = "documents"
    filters: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list, repr=False)
    outcomes: list[Outcome] = field(default_factory=list)
    change: GenerationChange | None = None
    plan: GenerationPlan | None = None

    def tell(self, outcome: Outcome) -> None:
        """Show what was done, above what was told before; selections are dropped."""
        self.outcomes, self.number = [outcome, *self.outcomes][:OUTCOMES], self.number + 1

    def of(self, collection_id: str) -> DocumentsState:
        """Return this for a collection; what belonged to another one is forgotten."""
        if collection_id != self.collection_id:
            number = self.number + 1
            fresh = DocumentsState(self.session_id, collection_id, number, self.section)
            for name in self.__slots__:
                setattr(self, name, getattr(fresh, name))
        return self


def documents_state(desk: Desk) -> DocumentsState:
    """Return the state of the page in this tab; that of another session is thrown away."""
    state = st.session_state.get(_KEY)
    session_id = desk.state.principal.session_id
    if not isinstance(state, DocumentsState) or state.session_id != session_id:
        state = st.session_state[_KEY] = DocumentsState(session_id)
    return state
