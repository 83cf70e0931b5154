"""Taking a file in: what is there already is found, and what is new is noted, in one step that nobody comes between."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, documents
from engine.database.collections import WORKING
from engine.database.models import DocumentRow, Version, VersionState
from engine.database.present import present
from engine.ingestion_views import OnDuplicate
from engine.views import UploadVerdict

STANDING = (*WORKING, VersionState.LIVE)


async def receive(
    session: AsyncSession,
    *,
    collection_id: str,
    name: str,
    sha256: str,
    size_bytes: int,
    blob: str,
    created_by: str,
    on_duplicate: OnDuplicate = OnDuplicate.ASK,
) -> tuple[Version, UploadVerdict]:
    """Note an upload and queue its processing, or return the version that is there; `blob` is used by what is new only.

    Compared is with each document's present version, for the bytes of an older one may be wanted back. The collection's row is
    locked: of two processes with the same file the second finds what the first did. Raises NotFound, JobLost.
    """
    await collections.lock(session, collection_id)
    known = await documents.named(session, collection_id, name)
    if known is not None:
        known = await documents.get(session, known.id, lock=True)
        version = await documents.present_version(session, known.id)
        if version.sha256 == sha256 and version.state == VersionState.FAILED:
            await documents.retry(session, version)
            version.replaces = version.replaces or on_duplicate is OnDuplicate.REPLACE
            return version, UploadVerdict.AGAIN
        if version.sha256 == sha256 and version.state in STANDING and on_duplicate is not OnDuplicate.VERSION:
            return version, UploadVerdict.DUPLICATE
    if known is None or on_duplicate in (OnDuplicate.ASK, OnDuplicate.SKIP):
        twin = await same_bytes(session, collection_id, sha256)
        if twin is not None:
            return twin, UploadVerdict.DUPLICATE
    if known is not None and on_duplicate is OnDuplicate.SKIP:
        return version, UploadVerdict.SKIPPED
    verdict = UploadVerdict.NEW_VERSION if known else UploadVerdict.ACCEPTED
    if known is None:
        known = DocumentRow(collection_id=collection_id, name=name, created_by=created_by)
        session.add(known)
        await session.flush()
    replaces = on_duplicate is OnDuplicate.REPLACE
    new = await documents.add_version(session, known, sha256=sha256, size_bytes=size_bytes, blob=blob, replaces=replaces)
    return new, verdict


async def same_bytes(session: AsyncSession, collection_id: str, sha256: str) -> Version | None:
    """Return a present version with these bytes that answers questions, or is about to."""
    now = present([collection_id])
    query = (
        select(Version)
        .join(now, (now.c.document_id == Version.document_id) & (now.c.n == Version.number))
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(
            Version.collection_id == collection_id,
            Version.sha256 == sha256,
            Version.state.in_(STANDING),
            DocumentRow.deleted_at.is_(None),
        )
    )
    return await session.scalar(query.order_by(Version.created_at).limit(1))
