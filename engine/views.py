"""What screens and the command line show: read-only rows, made by the facade for one principal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.documents import Finding
from engine.types import Answer, Right


class UploadVerdict(StrEnum):
    """What became of an upload.

    Taken; already there with the same bytes; the next version of a known name; left alone because the name is known; or the
    same bytes of a file whose processing failed, which is tried again.
    """

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    NEW_VERSION = "new version"
    SKIPPED = "skipped"
    AGAIN = "again"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """A collection as the principal sees it; `right` is what they may do with it."""

    id: str
    name: str
    description: str
    right: Right
    chunker: str
    embedder: str
    documents: int
    chunks: int
    failed: int
    working: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentInfo:
    """A row of the documents table, about its present version: see `engine.database.present`.

    `state` as in `engine.database.models.VersionState`. `held` and `flagged` count passages of the version that answers
    questions: kept out of answers, and marked in them. A `disabled` document is kept and never retrieved. `last_used_at` is
    when an answer last cited it, `versions` how many there are, those without content included. `error` is the class of
    `engine.errors` that it failed with, "" when it did not, or was stopped. `live_version` is the number of
    the version that answers questions (0 = none), which a newer one on its way, or one that failed, leaves as it is.
    """

    id: str
    collection_id: str
    collection: str
    name: str
    media_type: str
    title: str
    version: int
    state: str
    progress: float
    reason: str
    hint: str
    pages: int
    pages_with_text: int
    chunks: int
    size_bytes: int
    sha256: str
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    held: int = 0
    flagged: int = 0
    disabled: bool = False
    last_used_at: datetime | None = None
    versions: int = 1
    error: str = ""
    live_version: int = 0
    live_pages: int = 0

    @property
    def pages_to_open(self) -> int:
        """Pages of the version that a reader gets to see: the one that answers questions, else the present one."""
        return self.live_pages if self.live_version else self.pages

    @property
    def text_coverage(self) -> float:
        """Share of pages that have text, 0..1."""
        return self.pages_with_text / self.pages if self.pages else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPassage:
    """A passage that tries to command its reader, or that a person judged.

    `state` is "flagged" (used in answers and marked), "held" (kept out of answers) or "released" (used like any other);
    `score` is 0..1, `findings` count in `text`, `decided_by` is "" until a person decided; `writable`: the reader may decide.
    """

    chunk_id: str
    collection_id: str
    collection: str
    document_id: str
    document: str
    page: int
    text: str
    score: float
    findings: tuple[Finding, ...]
    state: str
    decided_by: str
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationInfo:
    """A row of the conversation list."""

    id: str
    title: str
    collections: tuple[str, ...]
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageInfo:
    """A stored message. `state` is "streaming", "done", "stopped" or "failed"; `step` is what a running answer is doing.

    For an assistant's message `answer` is set once the state is "done" or "stopped"; before that `text` grows.
    """

    id: str
    conversation_id: str
    role: str
    text: str
    state: str
    step: str = ""
    error: str = ""
    hint: str = ""
    answer: Answer | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the health page: "ok", "degraded" or "failed"; its effect on users and the next step when not ok.

    A result is kept for a while, so `checked_at` tells its age; `last_ok_at` is None when it never was ok since the start.
    `dependency` is the text of an `engine.operations_views.Dependency` where the check is about one.
    """

    name: str
    state: str
    detail: str
    effect: str = ""
    hint: str = ""
    elapsed_ms: float = 0.0
    checked_at: datetime | None = None
    last_ok_at: datetime | None = None
    dependency: str = ""
