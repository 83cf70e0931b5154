"""Documents and their versions: received, worked on, live, replaced, deleted, restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import holds, quarantine
from engine.database.collections import WORKING
from engine.database.columns import now
from engine.database.database import changed, next_sequence
from engine.database.jobs import JobLost
from engine.database.models import IN_INDEXES, Collection, DocumentRow, Job, Version, VersionState
from engine.database.removal import remove_content
from engine.errors import InputError, NotFound
from engine.views import DocumentInfo, UploadVerdict

_DONE = {VersionState.STORED: 0.02, VersionState.PARSED: 0.1, VersionState.CHUNKED: 0.15, VersionState.EMBEDDED: 0.95}


async def receive(
    session: AsyncSession, *, collection_id: str, name: str, sha256: str, size_bytes: int, blob: str, created_by: str
) -> tuple[Version, UploadVerdict]:
    """Note an upload and queue its processing; the same bytes in the same collection give the version that is there.

    The same name with other bytes becomes the next version; the old one serves until the new one is live.
    """
    # Only the newest version of a document is a twin: the bytes of an older one may be wanted back.
    newest = select(Version.document_id, func.max(Version.number).label("n")).group_by(Version.document_id).subquery()
    twin = await session.scalar(
        select(Version)
        .join(newest, (newest.c.document_id == Version.document_id) & (newest.c.n == Version.number))
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(
            Version.collection_id == collection_id,
            Version.sha256 == sha256,
            Version.state.in_([*WORKING, VersionState.LIVE]),
            DocumentRow.deleted_at.is_(None),
        )
        .limit(1)
    )
    if twin is not None:
        return twin, UploadVerdict.DUPLICATE
    document = await session.scalar(
        select(DocumentRow).where(
            DocumentRow.collection_id == collection_id, DocumentRow.name == name, DocumentRow.deleted_at.is_(None)
        )
    )
    verdict = UploadVerdict.NEW_VERSION if document else UploadVerdict.ACCEPTED
    if document is None:
        document = DocumentRow(collection_id=collection_id, name=name, created_by=created_by)
        session.add(document)
        await session.flush()
    return await add_version(session, document, sha256=sha256, size_bytes=size_bytes, blob=blob), verdict


async def add_version(session: AsyncSession, document: DocumentRow, *, sha256: str, size_bytes: int, blob: str) -> Version:
    """Add the next version of a document together with its job."""
    last = await session.scalar(select(func.max(Version.number)).where(Version.document_id == document.id)) or 0
    version = Version(
        document_id=document.id,
        collection_id=document.collection_id,
        number=last + 1,
        sha256=sha256,
        size_bytes=size_bytes,
        blob=blob,
    )
    session.add(version)
    await session.flush()
    session.add(Job(version_id=version.id))
    return version


async def get(session: AsyncSession, document_id: str, *, deleted: bool = False) -> DocumentRow:
    """Return the document. Raises NotFound when it does not exist or, unless `deleted`, was deleted."""
    row = await session.get(DocumentRow, document_id)
    if row is None or (row.deleted_at is not None and not deleted):
        raise NotFound("there is no such document, or it is not yours to see", hint="It may have been deleted.")
    return row


async def version_of(session: AsyncSession, document_id: str, number: int | None = None) -> Version:
    """Return a version: the given number, or else the live one, or else the newest. Raises NotFound."""
    query = select(Version).where(Version.document_id == document_id)
    if number is not None:
        query = query.where(Version.number == number)
    rows = list(await session.scalars(query.order_by(Version.number.desc())))
    if not rows:
        raise NotFound("there is no such version of the document")
    return next((row for row in rows if row.state == VersionState.LIVE), rows[0])


async def newest_version(session: AsyncSession, document_id: str) -> Version:
    """Return the version with the highest number, whatever its state. Raises NotFound."""
    query = select(Version).where(Version.document_id == document_id).order_by(Version.number.desc()).limit(1)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("there is no version of this document")
    return row


async def waiting(session: AsyncSession, collection_id: str) -> list[str]:
    """Return the ids of the versions of a collection that are on their way to live."""
    query = select(Version.id).where(Version.collection_id == collection_id, Version.state.in_(WORKING))
    return list(await session.scalars(query.order_by(Version.created_at)))


async def advance(session: AsyncSession, version: Version, *, expected: VersionState, **values: object) -> None:
    """Write these columns, and only these, of a version that is still in the state `expected`.

    The given object is brought in line. Raises JobLost when another worker has moved the version meanwhile.
    """
    mine = (Version.id == version.id) & (Version.state == expected)
    if not await changed(session, update(Version).where(mine).values(**values)):
        raise JobLost(version.id)
    for name, value in values.items():
        setattr(version, name, value)


async def fail(session: AsyncSession, version_id: str, *, reason: str, hint: str) -> None:
    """Note why a version could not be processed; one that is live by now stays what it is."""
    working = (Version.id == version_id) & Version.state.in_(WORKING)
    values = {"state": VersionState.FAILED, "reason": reason, "hint": hint}
    await session.execute(update(Version).where(working).values(**values))


async def go_live(session: AsyncSession, version: Version) -> bool:
    """Let this version answer questions and retire the ones before it, in one step of the global order.

    False, and the version is retired itself, when a newer one is live already or the document was deleted meanwhile.
    """
    document = await session.get_one(DocumentRow, version.document_id)
    newer = (
        (Version.document_id == version.document_id) & (Version.number > version.number) & (Version.state == VersionState.LIVE)
    )
    if await session.scalar(select(Version.id).where(newer)) is not None:
        await advance(session, version, expected=VersionState.EMBEDDED, state=VersionState.REPLACED)
        return False
    await quarantine.keep_decisions(session, version)
    seq = await next_sequence(session)
    older = (Version.document_id == version.document_id) & (Version.id != version.id) & IN_INDEXES
    await session.execute(update(Version).where(older).values(state=VersionState.REPLACED, dead_seq=seq))
    gone = seq if document.deleted_at is not None else None
    await advance(
        session,
        version,
        expected=VersionState.EMBEDDED,
        state=VersionState.LIVE,
        live_seq=seq,
        dead_seq=gone,
        reason="",
        hint="",
    )
    return gone is None


async def delete(session: AsyncSession, document: DocumentRow) -> None:
    """Take the document out of every answer at once; `restore` brings it back until it is purged."""
    document.deleted_at = now()
    seq = await next_sequence(session)
    there = (Version.document_id == document.id) & IN_INDEXES
    await session.execute(update(Version).where(there).values(dead_seq=seq))


async def restore(session: AsyncSession, document: DocumentRow) -> None:
    """Undo `delete`. Raises InputError when another document has taken the name meanwhile."""
    namesake = select(DocumentRow.id).where(
        DocumentRow.collection_id == document.collection_id,
        DocumentRow.name == document.name,
        DocumentRow.deleted_at.is_(None),
    )
    if await session.scalar(namesake) is not None:
        raise InputError(f"there is another {document.name!r} by now", hint="Delete or keep that one.")
    document.deleted_at = None
    seq = await next_sequence(session)
    there = (Version.document_id == document.id) & (Version.state == VersionState.LIVE)
    await session.execute(update(Version).where(there).values(live_seq=seq))


async def changed_since(session: AsyncSession, collection_id: str, seq: int) -> list[Version]:
    """Return the versions of a collection that went live or went away after `seq`, oldest change first."""
    rows = await session.scalars(
        select(Version).where(Version.collection_id == collection_id, (Version.live_seq > seq) | (Version.dead_seq > seq))
    )
    return sorted(rows, key=last_change)


def last_change(version: Version) -> int:
    """Return when, in the global order, this version last went live or away."""
    return max(version.live_seq or 0, version.dead_seq or 0)


def is_live(version: Version) -> bool:
    """Whether an index should hold this version."""
    return version.live_seq is not None and version.live_seq > (version.dead_seq or 0)


async def infos(session: AsyncSession, collection_ids: Sequence[str], *, document_id: str | None = None) -> list[DocumentInfo]:
    """Return the documents of these collections, newest change first, each with its newest version."""
    rows = await session.execute(_newest_versions(collection_ids, document_id))
    marked = await quarantine.counts(session, collection_ids)
    return [
        replace(
            _info(document, version, collection, progress),
            held=marked[document.id][quarantine.HELD],
            flagged=marked[document.id][quarantine.FLAGGED],
        )
        for document, version, collection, progress in rows
    ]


def _newest_versions(collection_ids: Sequence[str], document_id: str | None) -> Select[DocumentRow, Version, str, float]:
    newest = select(Version.document_id, func.max(Version.number).label("n")).group_by(Version.document_id).subquery()
    query = (
        select(DocumentRow, Version, Collection.name, Job.progress)
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
    )


async def blobs_of(session: AsyncSession, collection_id: str) -> list[str]:
    """Return the keys of all originals of a collection."""
    return list(set(await session.scalars(select(Version.blob).where(Version.collection_id == collection_id))))


async def purge(session: AsyncSession, document: DocumentRow) -> list[str]:
    """Remove the content of a deleted document and return its blobs; the rows stay as tombstones for old citations."""
    return await remove_content(session, list(await session.scalars(select(Version).where(Version.document_id == document.id))))


async def purgeable(session: AsyncSession, *, before: datetime) -> list[DocumentRow]:
    """Return the documents deleted before that moment whose content is still here."""
    there = select(Version.document_id).where(Version.state != VersionState.DELETED)
    query = select(DocumentRow).where(DocumentRow.deleted_at < before, DocumentRow.id.in_(there), ~holds.document_held())
    return list(await session.scalars(query))
