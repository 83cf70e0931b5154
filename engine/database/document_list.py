"""The documents table: one row a document, about its present version, in a fixed number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.database import quarantine
from engine.database.chat_models import CitationRow, MessageRow
from engine.database.models import Collection, DocumentRow, Job, Version, VersionState
from engine.database.present import present
from engine.views import DocumentInfo

_DONE: dict[str, float] = {
    VersionState.STORED: 0.02,
    VersionState.PARSED: 0.1,
    VersionState.CHUNKED: 0.15,
    VersionState.EMBEDDED: 0.95,
}


async def infos(session: AsyncSession, collection_ids: Sequence[str], *, document_id: str | None = None) -> list[DocumentInfo]:
    """Return the documents of these collections, newest change first, each with its present version."""
    rows = (await session.execute(_present_versions(collection_ids, document_id))).all()
    marked = await quarantine.counts(session, collection_ids)
    used = await _last_used(session, collection_ids, document_id)
    return [_info(row, marked.get(row.id, Counter()), used.get(row.id)) for row in rows]


async def _last_used(session: AsyncSession, collection_ids: Sequence[str], document_id: str | None) -> dict[str, datetime]:
    query = (
        select(CitationRow.document_id, func.max(MessageRow.created_at))
        .join(MessageRow, MessageRow.id == CitationRow.message_id)
        .join(DocumentRow, DocumentRow.id == CitationRow.document_id)
        .where(DocumentRow.collection_id.in_(collection_ids))
        .group_by(CitationRow.document_id)
    )
    if document_id is not None:
        query = query.where(CitationRow.document_id == document_id)
    return {key: moment for key, moment in await session.execute(query)}


# Columns and not rows of the ORM: a list of 10,000 documents takes half the time so.
_DOCUMENT = tuple(getattr(DocumentRow, name) for name in ("id", "collection_id", "name", "created_at", "disabled_at"))
_PLAIN = (
    "media_type",
    "title",
    "reason",
    "hint",
    "error",
    "pages",
    "pages_with_text",
    "chunks",
    "size_bytes",
    "sha256",
    "updated_at",
)
_LIVE = aliased(Version)
_VERSION = tuple(getattr(Version, name) for name in ("number", "state", "warnings", *_PLAIN))


def _present_versions(collection_ids: Sequence[str], document_id: str | None) -> Select[Any]:
    newest = present(collection_ids, document_id)
    query = (
        select(
            *_DOCUMENT,
            *_VERSION,
            Collection.name.label("collection"),
            Job.progress,
            newest.c.versions,
            _LIVE.number.label("live_version"),
            _LIVE.pages.label("live_pages"),
        )
        .join(newest, newest.c.document_id == DocumentRow.id)
        .join(Version, (Version.document_id == DocumentRow.id) & (Version.number == newest.c.n))
        .outerjoin(_LIVE, (_LIVE.document_id == DocumentRow.id) & (_LIVE.state == VersionState.LIVE))
        .join(Collection, Collection.id == DocumentRow.collection_id)
        .outerjoin(Job, Job.version_id == Version.id)
        .where(DocumentRow.collection_id.in_(collection_ids), DocumentRow.deleted_at.is_(None))
        .order_by(Version.updated_at.desc(), DocumentRow.name)
    )
    return query.where(DocumentRow.id == document_id) if document_id else query


def _info(row: Any, marked: Counter[str], used: datetime | None) -> DocumentInfo:
    return DocumentInfo(
        id=row.id,
        collection_id=row.collection_id,
        collection=row.collection,
        name=row.name,
        media_type=row.media_type,
        title=row.title,
        version=row.number,
        state=row.state,
        progress=max(row.progress or 0.0, _DONE[row.state]) if row.state in _DONE else 1.0,
        reason=row.reason,
        hint=row.hint,
        error=row.error,
        pages=row.pages,
        pages_with_text=row.pages_with_text,
        chunks=row.chunks,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        warnings=tuple(row.warnings),
        created_at=row.created_at,
        updated_at=row.updated_at,
        held=marked[quarantine.HELD],
        flagged=marked[quarantine.FLAGGED],
        disabled=row.disabled_at is not None,
        last_used_at=used,
        versions=row.versions,
        live_version=row.live_version or 0,
        live_pages=row.live_pages or 0,
    )
