"""What the audit shows: entries, filters, the result of a verification, sources of answers. Read-only rows for admins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One audited action: `<domain>.<verb>`, on what, with which outcome ("success", "failure" or "denied")."""

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    outcome: str
    ip: str
    details: Mapping[str, Any]
    actor_id: str = ""
    session_id: str = ""
    request_id: str = ""
    object_type: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries are asked for; what is left empty filters nothing.

    `since` is inclusive, `until` exclusive. `actor` is a name or an id. `action` is exact, or a prefix that ends with a dot
    ("auth."). `object` is an object or a type of objects. `text` is looked for in every column; the case of English letters
    makes no difference.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    action: str = ""
    object: str = ""
    outcome: str = ""
    ip: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFacets:
    """What occurs in the audit, for menus: at most 200 values each, sorted."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]
    outcomes: tuple[str, ...]
    object_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of the whole audit found. `rows` were checked until the end or the first problem.

    `first_bad` is the number of the first row that is missing or not as it was written; None when the rows are whole, or when
    the problem is in the checkpoint file alone. `head` is the newest row found. `checkpoints` were found to agree.
    """

    ok: bool
    rows: int
    first_bad: int | None
    problem: str
    head: int
    head_hash: str
    checkpoints: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUse:
    """One passage of a document that fed one answer. A question outside of a conversation has only one id, its own."""

    at: datetime
    user: str
    message_id: str
    question_id: str
    document_id: str
    document: str
    version: int
    page: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What retention removes (or removed, when `applied`): rows `first_seq` to `last_seq`, in `segments` whole segments."""

    older_than_days: int
    applied: bool
    segments: int
    rows: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A filter that one admin keeps under a name."""

    name: str
    query: AuditQuery
