"""Documents and their versions: received, worked on, live, replaced, deleted, restored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.database import holds, jobs, quarantine
from engine.database.collections import WORKING
from engine.database.columns import now
from engine.database.database import changed, next_sequence
from engine.database.jobs import JobLost
from engine.database.models import IN_INDEXES, DocumentRow, Job, Version, VersionState
from engine.database.present import PAST
from engine.database.removal import remove_content
from engine.errors import InputError, NotFound


async def add_version(
    session: AsyncSession, document: DocumentRow, *, sha256: str, size_bytes: int, blob: str, replaces: bool = False
) -> Version:
    """Add the next version of a document together with its job."""
    last = await session.scalar(select(func.max(Version.number)).where(Version.document_id == document.id)) or 0
    version = Version(
        document_id=document.id,
        collection_id=document.collection_id,
        number=last + 1,
        sha256=sha256,
        size_bytes=size_bytes,
        blob=blob,
        replaces=replaces,
    )
    session.add(version)
    await session.flush()
    session.add(Job(version_id=version.id))
    return version


async def get(session: AsyncSession, document_id: str, *, deleted: bool = False, lock: bool = False) -> DocumentRow:
    """Return the document; `lock` keeps others from changing which of its versions is live until the transaction ends.

    Raises NotFound when it does not exist or, unless `deleted`, was deleted.
    """
    row = await session.get(DocumentRow, document_id, with_for_update={"key_share": True} if lock else None)
    if row is None or (row.deleted_at is not None and not deleted):
        raise NotFound("there is no such document, or it is not yours to see", hint="It may have been deleted.")
    return row


async def named(session: AsyncSession, collection_id: str, name: str) -> DocumentRow | None:
    """Return the document of this name, unless it was deleted."""
    query = select(DocumentRow).where(
        DocumentRow.collection_id == collection_id, DocumentRow.name == name, DocumentRow.deleted_at.is_(None)
    )
    return await session.scalar(query.limit(1))


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


async def present_version(session: AsyncSession, document_id: str) -> Version:
    """Return the version that a document is about now: see `engine.database.present`. Raises NotFound."""
    past = case((Version.state.in_(PAST), 1), else_=0)
    query = select(Version).where(Version.document_id == document_id).order_by(past, Version.number.desc()).limit(1)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("there is no version of this document")
    return row


async def retry(session: AsyncSession, version: Version) -> None:
    """Put a version whose processing failed back to the start."""
    await advance(session, version, expected=VersionState.FAILED, state=VersionState.STORED, reason="", hint="", error="")
    await jobs.queue_again(session, version)


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


async def hold(session: AsyncSession, version: Version) -> None:
    """Keep a version in its state until this transaction ends. Raises JobLost when it is in another one by now, or gone."""
    there = select(Version.id).where(Version.id == version.id, Version.state == version.state).with_for_update()
    if await session.scalar(there) is None:
        raise JobLost(version.id)


async def fail(session: AsyncSession, version_id: str, *, reason: str, hint: str, error: str = "") -> None:
    """Note why a version could not be processed; one that is live by now stays what it is."""
    working = (Version.id == version_id) & Version.state.in_(WORKING)
    values = {"state": VersionState.FAILED, "reason": reason, "hint": hint, "error": error}
    await session.execute(update(Version).where(working).values(**values))


async def go_live(session: AsyncSession, version: Version) -> bool:
    """Let this version answer questions and retire the ones before it, in one step of the global order.

    False when it is not in the indexes: a newer one is live already, or the document was deleted or disabled meanwhile.
    """
    document = await get(session, version.document_id, deleted=True, lock=True)
    newer = (
        (Version.document_id == version.document_id) & (Version.number > version.number) & (Version.state == VersionState.LIVE)
    )
    if await session.scalar(select(Version.id).where(newer)) is not None:
        await advance(session, version, expected=VersionState.EMBEDDED, state=VersionState.REPLACED)
        return False
    await quarantine.keep_decisions(session, version)
    seq = await next_sequence(session)
    await _retire_others(session, version, seq)
    gone = seq if _is_out(document) else None
    await advance(
        session,
        version,
        expected=VersionState.EMBEDDED,
        state=VersionState.LIVE,
        live_seq=seq,
        dead_seq=gone,
        reason="",
        hint="",
        error="",
    )
    return gone is None


async def _retire_others(session: AsyncSession, version: Version, seq: int) -> None:
    # A live version of a deleted or disabled document is in no index, and must not come back beside this one.
    others = (Version.document_id == version.document_id) & (Version.id != version.id) & (Version.state == VersionState.LIVE)
    await session.execute(update(Version).where(others, IN_INDEXES).values(dead_seq=seq))
    await session.execute(update(Version).where(others).values(state=VersionState.REPLACED))


def _is_out(document: DocumentRow) -> bool:
    return document.deleted_at is not None or document.disabled_at is not None


async def activate(session: AsyncSession, document: DocumentRow, version: Version) -> None:
    """Let a version that was replaced answer again, and retire the one that is live, in one step of the global order."""
    await quarantine.keep_decisions(session, version)
    seq = await next_sequence(session)
    await _retire_others(session, version, seq)
    gone = seq if _is_out(document) else None
    values = {"state": VersionState.LIVE, "live_seq": seq, "dead_seq": gone}
    await advance(session, version, expected=VersionState.REPLACED, **values)


async def delete(session: AsyncSession, document: DocumentRow) -> None:
    """Take the document out of every answer at once, and stop its processing; `restore` undoes both until it is purged."""
    document.deleted_at = now()
    await jobs.cancel(session, await jobs.on_their_way(session, document.id))
    await _take_out(session, document)


async def disable(session: AsyncSession, document: DocumentRow) -> None:
    """Keep the document, and keep it out of every answer from now on; `enable` undoes it."""
    document.disabled_at = now()
    await _take_out(session, document)


async def enable(session: AsyncSession, document: DocumentRow) -> None:
    """Undo `disable`."""
    document.disabled_at = None
    await _bring_back(session, document)


async def _take_out(session: AsyncSession, document: DocumentRow) -> None:
    seq = await next_sequence(session)
    there = (Version.document_id == document.id) & IN_INDEXES
    await session.execute(update(Version).where(there).values(dead_seq=seq))


async def _bring_back(session: AsyncSession, document: DocumentRow) -> None:
    if _is_out(document):
        return
    seq = await next_sequence(session)
    there = (Version.document_id == document.id) & (Version.state == VersionState.LIVE)
    await session.execute(update(Version).where(there).values(live_seq=seq))


async def restore(session: AsyncSession, document: DocumentRow) -> None:
    """Undo `delete`, with the collection and the document locked. Raises InputError when another one has taken the name."""
    if await named(session, document.collection_id, document.name) is not None:
        raise InputError(f"there is another {document.name!r} by now", hint="Delete or keep that one.")
    document.deleted_at = None
    await jobs.resume(session, await jobs.on_their_way(session, document.id))
    await _bring_back(session, document)


def last_change(version: Version) -> int:
    """Return when, in the global order, this version last went live or away."""
    return max(version.live_seq or 0, version.dead_seq or 0)


def is_live(version: Version) -> bool:
    """Whether an index should hold this version."""
    return version.live_seq is not None and version.live_seq > (version.dead_seq or 0)


async def blobs_of(session: AsyncSession, collection_id: str) -> list[str]:
    """Return the keys of the originals of a collection, without those that a version in another collection names, too."""
    own = set(await session.scalars(select(Version.blob).where(Version.collection_id == collection_id)))
    here, there = aliased(Version), aliased(Version)
    shared = select(here.blob).join(there, there.blob == here.blob)
    elsewhere = shared.where(
        here.collection_id == collection_id, there.collection_id != collection_id, there.state != VersionState.DELETED
    )
    return list(own - set(await session.scalars(elsewhere)))


async def purge(session: AsyncSession, document: DocumentRow) -> list[str]:
    """Remove the content of a deleted document and return its blobs; the rows stay as tombstones for old citations."""
    return await remove_content(session, list(await session.scalars(select(Version).where(Version.document_id == document.id))))


async def purgeable(session: AsyncSession, *, before: datetime) -> list[DocumentRow]:
    """Return the documents deleted before that moment whose content is still here."""
    await holds.fence(session)
    there = select(Version.document_id).where(Version.state != VersionState.DELETED)
    query = select(DocumentRow).where(DocumentRow.deleted_at < before, DocumentRow.id.in_(there), ~holds.document_held())
    query = query.with_for_update(key_share=True)  # whoever restores one of them waits
    return list(await session.scalars(query))
