"""What screens and the command line show of ingestion: uploads, versions, jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.views import UploadVerdict


class OnDuplicate(StrEnum):
    """What an upload does about a document that is there already, with the same bytes or the same name.

    "ask" takes what is new and the next version of a known name, and leaves the same bytes as they are. "skip" adds nothing to
    a known document. "replace" makes the next version and removes the content of the former ones once it is live. "version"
    makes the next version, also of the same bytes.
    """

    ASK = "ask"
    SKIP = "skip"
    REPLACE = "replace"
    VERSION = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadCheck:
    """A file that somebody is about to upload, by name, SHA-256 (hexadecimal) and size."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadForecast:
    """What an upload would find. `same_as`/`same_name` name the document with those bytes / that name ("" = none).

    `problem` says why the file would be refused ("" = it would not). `chunks`, `seconds` and `cost_usd` are estimates from what
    was processed before; None where nothing is known.
    """

    name: str
    size_bytes: int
    same_as: str = ""
    same_as_id: str = ""
    same_name_id: str = ""
    kind: str = ""
    problem: str = ""
    hint: str = ""
    chunks: int | None = None
    seconds: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReceipt:
    """What became of one file of an archive, a folder or a list of addresses. `document_id` is "" when it was not taken."""

    name: str
    document_id: str = ""
    verdict: UploadVerdict | None = None
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a comparison of a folder with a collection did: receipts of what was read, and which documents' files are gone.

    `waiting` are files that are still being written; `deleted`: the documents of `gone` were deleted, else only named.
    """

    receipts: tuple[FileReceipt, ...]
    unchanged: int
    waiting: tuple[str, ...] = ()
    gone: tuple[FileReceipt, ...] = ()
    deleted: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything was taken in, refused or removed."""
        return bool(self.receipts) or (self.deleted and bool(self.gone))


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One version of a document. `state` as in `engine.database.models.VersionState`; one at most has `active`."""

    number: int
    state: str
    active: bool
    sha256: str
    size_bytes: int
    pages: int
    chunks: int
    reason: str
    source: str
    created_at: datetime
    can_activate: bool


class JobState(StrEnum):
    """Where a job is. "stalled": its worker is gone, or nobody took it for a minute; "resting" until its next try."""

    QUEUED = "queued"
    RESTING = "resting"
    RUNNING = "running"
    STALLED = "stalled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """One file on its way.

    `stage` is "parse", "recognise", "chunk", "embed" or "index"; `done`/`total` count its pages or passages.
    `progress` is 0..1 over all stages; `rate` is units of the stage in a second, `eta_seconds` until it is live; both None
    when not
    known. `elapsed_seconds` since it was queued.
    """

    document_id: str
    document: str
    collection_id: str
    version: int
    state: JobState
    stage: str
    progress: float
    done: int
    total: int
    rate: float | None
    eta_seconds: float | None
    elapsed_seconds: float
    attempts: int
    worker: str
    reason: str
    hint: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """A line of a job's log; `level` is "info", "warning" or "error"."""

    at: datetime
    version: int
    stage: str
    level: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tray:
    """Ingestion as every page shows it: what the principal may read, and is not done or ended within the last minutes."""

    working: int
    total: int
    failed: int
    stalled: int
    eta_seconds: float | None
    jobs: tuple[JobInfo, ...] = ()


class BulkAction(StrEnum):
    """What is done with many documents at once."""

    DELETE = "delete"
    RESTORE = "restore"
    RETRY = "retry"
    CANCEL = "cancel"
    ENABLE = "enable"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What became of one document of a bulk action; `problem` is "" when it worked."""

    document_id: str
    document: str
    problem: str = ""
    hint: str = ""
