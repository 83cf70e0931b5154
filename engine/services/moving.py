"""A document goes to another collection: it keeps its id, its versions with their numbers, and what answers cited of it.

An index learns what went away from the versions of its own collection, so those rows stay behind, empty, below a deleted
document that nobody sees. The document gets copies of them, which own the pages, passages and originals from then on.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, document_list, documents, holds, versions
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database, next_sequence
from engine.database.ingestion_models import Cut, JobEventRow
from engine.database.models import ChunkRow, Collection, DocumentRow, Job, PageRow, Version, VersionState
from engine.database.receiving import same_bytes
from engine.errors import InputError
from engine.services.entries import chunk_id
from engine.services.library import next_version
from engine.services.visible import visible
from engine.types import Principal, Right
from engine.views import DocumentInfo

_SAME = ("chunker", "chunk_tokens", "overlap_tokens", "model_id", "dimension", "max_tokens")
_NOT_COPIED = {"id", "document_id", "collection_id", "live_seq", "dead_seq", "updated_at"}


class Moving:
    """Moves documents between the collections of this installation."""

    def __init__(self, *, database: Database, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake

    async def move(self, principal: Principal, document_id: str, collection_id: str) -> DocumentInfo:
        """Take a document out of its collection and put it into another, in one transaction; moving it back undoes it.

        It answers there at once where both collections cut and embed alike. Otherwise it is out of every answer until its
        file was processed again. Raises NotFound, AccessDenied; InputError while it is being processed, under a hold on its
        collection, or when the other collection has its name or its bytes.
        """
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE)
            await collections.require(session, principal, collection_id, Right.WRITE)
            if row.collection_id == collection_id:
                raise InputError("the document is in this collection already", hint="Choose another one.")
            source, target = await collections.lock(session, row.collection_id, collection_id)
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            await _refuse(session, row, source, target)
            at_once = await _move(session, row, source, target)
            record_ = {"name": row.name, "source": source.id, "target": target.id}
            await record(session, principal, "document.move", document_id, **record_)
            info = (await document_list.infos(session, [target.id], document_id=document_id))[0]
        if not at_once:
            self._wake()
        return info


async def _refuse(session: AsyncSession, row: DocumentRow, source: Collection, target: Collection) -> None:
    present = await documents.present_version(session, row.id)
    if row.collection_id != source.id:
        raise InputError("somebody else moved the document meanwhile", hint="Load the page again.")
    if present.state in collections.WORKING:
        raise InputError("this document is being processed", hint="Wait until it is done, then move it.")
    await holds.refuse(session, repr(source.name), ("collection", source.id))
    if await documents.named(session, target.id, row.name) is not None:
        raise InputError(f"there is another {row.name!r} in {target.name!r}", hint="Delete or keep that one.")
    if await same_bytes(session, target.id, present.sha256) is not None:
        raise InputError(f"{target.name!r} has a document with the same content", hint="Delete one of the two instead.")


async def _move(session: AsyncSession, row: DocumentRow, source: Collection, target: Collection) -> bool:
    """Return whether the document is as ready in the new collection as it was in the old."""
    alike = all(getattr(source, name) == getattr(target, name) for name in _SAME)
    seq = await next_sequence(session)
    rows = await versions.all_versions(session, row.id)
    shell = DocumentRow(collection_id=source.id, name=row.name, created_by=row.created_by, deleted_at=now())
    session.add(shell)
    await session.flush()
    await session.execute(update(Version).where(Version.document_id == row.id).values(document_id=shell.id))
    row.collection_id = target.id
    live: Version | None = None
    for old in rows:
        new = _copy(old, row.id, target.id)
        session.add(new)
        await session.flush()
        await _hand_over(session, old, new, target, (source.generation, target.generation if alike else source.generation))
        if old.state == VersionState.LIVE:
            live = new
            _enter(new, seq, alike=alike, disabled=row.disabled_at is not None)
        was_there = documents.is_live(old)
        empty = {"state": VersionState.DELETED, "sealed_password": None, **({"dead_seq": seq} if was_there else {})}
        await session.execute(update(Version).where(Version.id == old.id).values(**empty))
    if live is not None and not alike:
        await next_version(session, row, live)
    await session.flush()
    return alike


def _enter(new: Version, seq: int, *, alike: bool, disabled: bool) -> None:
    """The version that answered does so in the new collection, too, or else makes way for one that is cut as it is there."""
    if alike:
        new.live_seq, new.dead_seq = seq, seq if disabled else None
    else:
        new.state = VersionState.REPLACED


def _copy(old: Version, document_id: str, collection_id: str) -> Version:
    names = [column.key for column in Version.__mapper__.column_attrs if column.key not in _NOT_COPIED]
    values = {name: getattr(old, name) for name in names}
    return Version(document_id=document_id, collection_id=collection_id, **values)


async def _hand_over(
    session: AsyncSession, old: Version, new: Version, target: Collection, generations: tuple[str, str]
) -> None:
    """Give what belongs to a version to its copy. The ids of passages are derived from their version's, so these change.

    Its cuts stay, too: the indexes that hold its passages derive from them what to remove.
    """
    for table in (PageRow, Job, JobEventRow):
        await session.execute(update(table).where(table.version_id == old.id).values(version_id=new.id))
    before, after = generations
    names = [column.key for column in ChunkRow.__mapper__.column_attrs]
    chunks = select(ChunkRow).where(ChunkRow.version_id == old.id)
    rows = [
        {name: getattr(row, name) for name in names}
        | {"id": chunk_id(target, new.id, row.ordinal), "version_id": new.id, "generation": after}
        for row in await session.scalars(chunks.where(ChunkRow.generation.in_(["", before])))
    ]
    await session.execute(delete(ChunkRow).where(ChunkRow.version_id == old.id))
    if rows:
        await session.execute(insert(ChunkRow), rows)
    cut = await session.get(Cut, (old.id, before))
    if cut is not None:
        session.add(Cut(version_id=new.id, generation=after, chunks=cut.chunks, embedded=cut.embedded))
