"""What screens and the command line show of generations, reconciling, backups and retention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationChange:
    """What is to be different in a collection; "" and 0 mean: as it is. `embedder` and `store` name providers."""

    embedder: str = ""
    embedding_model: str = ""
    chunker: str = ""
    chunk_tokens: int = 0
    overlap_tokens: int | None = None
    store: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPlan:
    """What a change would take. Numbers are estimates from a sample that was really cut; cost None = the price is not known."""

    collection_id: str
    before: GenerationChange
    after: GenerationChange
    documents: int
    pages: int
    chunks_before: int
    chunks_after: int
    tokens: int
    seconds: float | None
    cost_usd: float | None
    warnings: tuple[str, ...] = ()


class GenerationState(StrEnum):
    """Where a generation is; one of a collection is live."""

    BUILDING = "building"
    READY = "ready"
    LIVE = "live"
    FORMER = "former"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationInfo:
    """One generation of a collection. `recall` is the share of sampled questions' best hits that it finds, 0..1.

    `revertible_until` is set for the former one while it can be gone back to.
    """

    id: str
    collection_id: str
    number: int
    state: GenerationState
    embedder: str
    embedding_model: str
    chunker: str
    chunk_tokens: int
    overlap_tokens: int
    store: str
    documents_done: int
    documents_total: int
    chunks: int
    recall: float | None
    questions: int
    reason: str
    hint: str
    started_by: str
    started_at: datetime
    switched_at: datetime | None
    eta_seconds: float | None = None
    revertible_until: datetime | None = None


# --- reconciling -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one place holds differently from SQL.

    `place` is "vectors", "words", "originals", "rows" or "unfinished" (temporary files); counts of entries or files.
    """

    collection_id: str
    collection: str
    place: str
    expected: int
    found: int
    missing: int
    orphans: int
    mended: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What was compared; `embedded` counts texts that a provider was asked for: 0, always."""

    at: datetime
    collections: int
    entries: int
    differences: tuple[Difference, ...]
    seconds: float
    embedded: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything agreed, or does now."""
        return all(one.mended for one in self.differences)


# --- backups ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupInfo:
    """A backup. `state` is "running", "done" or "failed".

    `tested_at` is when it was last restored for a test, of which `detail` then tells.
    """

    id: str
    name: str
    scheduled: bool
    state: str
    size_bytes: int
    documents: int
    rows: int
    files: int
    encrypted: bool
    sha256: str
    started_at: datetime
    ended_at: datetime | None
    tested_at: datetime | None
    test_ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds, or what verifying or restoring one found.

    `as_of` is the moment whose state it holds (the RPO counts from it).
    """

    name: str
    as_of: datetime
    encrypted: bool
    rows: int
    files: int
    size_bytes: int
    seconds: float
    problems: tuple[str, ...] = ()


# --- retention -------------------------------------------------------------------------------------------------------


class RetentionKind(StrEnum):
    """What a retention rule removes."""

    CHATS = "chats"
    FILES = "files"
    VERSIONS = "versions"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """What is removed when it is older than `days`.

    `collection_id` "" = every collection; only files and versions can name one.
    """

    id: str
    kind: RetentionKind
    days: int
    collection_id: str = ""
    collection: str = ""
    enabled: bool = True
    changed_by: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionEffect:
    """What a rule removed, or would: how many, how old the oldest is, and how many a legal hold keeps. `examples` are names."""

    rule: RetentionRule
    count: int
    held: int
    oldest: datetime | None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """Nothing of this object is removed, by nobody and no rule. `kind` is "collection", "document" or "user"."""

    id: str
    kind: str
    object_id: str
    name: str
    reason: str
    set_by: str
    set_at: datetime
    released_at: datetime | None = None
