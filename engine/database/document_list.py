"""The documents table: one row a document, about its present version, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import quarantine
from engine.database.chat_models import CitationRow, MessageRow
from engine.database.models import Collection, DocumentRow, Job, Version, VersionState
from engine.database.present import present
from engine.views import DocumentInfo

_DONE = {VersionState.STORED: 0.02, VersionState.PARSED: 0.1, VersionState.CHUNKED: 0.15, VersionState.EMBEDDED: 0.95}


async def infos(session: AsyncSession, collection_ids: Sequence[str], *, document_id: str | None = None) -> list[DocumentInfo]:
    """Return the documents of these collections, newest change first, each with its present version."""
    rows = (await session.execute(_present_versions(collection_ids, document_id))).all()
    marked = await quarantine.counts(session, collection_ids)
    used = await _last_used(session, collection_ids, document_id)
    return [
        replace(
            _info(document, version, collection, progress),
            held=marked[document.id][quarantine.HELD],
            flagged=marked[document.id][quarantine.FLAGGED],
            last_used_at=used.get(document.id),
            versions=versions,
        )
        for document, version, collection, progress, versions in rows
    ]


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


def _present_versions(collection_ids: Sequence[str], document_id: str | None) -> Select[Any]:
    newest = present(collection_ids, document_id)
    query = (
        select(DocumentRow, Version, Collection.name, Job.progress, newest.c.versions)
        .join(newest, newest.c.document_id == DocumentRow.id)
        .join(Version, (Version.document_id == DocumentRow.id) & (Version.number == newest.c.n))
        .join(Collection, Collection.id == DocumentRow.collection_id)
        .outerjoin(Job, Job.version_id == Version.id)
        .where(DocumentRow.collection_id.in_(collection_ids), DocumentRow.deleted_at.is_(None))
        .order_by(Version.updated_at.desc(), DocumentRow.name)
    )
    return query.where(DocumentRow.id == document_id) if document_id else query


def _info(document: DocumentRow, version: Version, collection: str, progress: float | None) -> DocumentInfo:
    state = VersionState(version.state)
    return DocumentInfo(
        id=document.id,
        collection_id=document.collection_id,
        collection=collection,
        name=document.name,
        media_type=version.media_type,
        title=version.title,
        version=version.number,
        state=state.value,
        progress=max(progress or 0.0, _DONE[state]) if state in _DONE else 1.0,
        reason=version.reason,
        hint=version.hint,
        pages=version.pages,
        pages_with_text=version.pages_with_text,
        chunks=version.chunks,
        size_bytes=version.size_bytes,
        sha256=version.sha256,
        warnings=tuple(version.warnings),
        created_at=document.created_at,
        updated_at=version.updated_at,
        disabled=document.disabled_at is not None,
    )
