"""Passages that are marked or kept out of answers: where they are, and what people decided about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.models import IN_INDEXES, ChunkRow, Collection, DocumentRow, Version, VersionState
from engine.documents import Finding
from engine.errors import NotFound
from engine.types import Right
from engine.views import HeldPassage

FLAGGED, HELD, RELEASED = "flagged", "held", "released"
"""Marked and used in answers; kept out of answers; judged harmless by a person. "" is a passage without findings."""

IN_FORCE = (Collection.id == Version.collection_id) & (Collection.generation == ChunkRow.generation)
"""The SQL condition of a chunk as its collection is cut now; there may be others of the same text beside it."""


async def held_count(session: AsyncSession, collection_ids: Sequence[str]) -> int:
    """Return how many passages of these collections an index may find although they are kept out of answers."""
    query = (
        select(func.count())
        .select_from(ChunkRow)
        .join(Version, Version.id == ChunkRow.version_id)
        .join(Collection, IN_FORCE)
        .where(ChunkRow.quarantine == HELD, Version.collection_id.in_(collection_ids), IN_INDEXES)
    )
    return await session.scalar(query) or 0


async def counts(session: AsyncSession, collection_ids: Sequence[str]) -> dict[str, Counter[str]]:
    """Return document id -> state -> number of passages, of the live versions."""
    query = (
        select(Version.document_id, ChunkRow.quarantine, func.count())
        .join(Version, Version.id == ChunkRow.version_id)
        .join(Collection, IN_FORCE)
        .where(ChunkRow.quarantine.in_([FLAGGED, HELD]), Version.collection_id.in_(collection_ids), IN_INDEXES)
        .group_by(Version.document_id, ChunkRow.quarantine)
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for document_id, state, number in await session.execute(query):
        found[document_id][state] = number
    return found


async def passages(
    session: AsyncSession, rights: dict[str, Right], *, collection_ids: Sequence[str], limit: int
) -> list[HeldPassage]:
    """Return the marked passages of the live versions, held ones first, then by falling score. `rights` are the reader's."""
    rows = await session.execute(
        select(ChunkRow, DocumentRow, Collection)
        .join(Version, Version.id == ChunkRow.version_id)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .join(Collection, IN_FORCE)
        .where(
            ChunkRow.quarantine != "",
            Version.collection_id.in_(collection_ids),
            IN_INDEXES,
            DocumentRow.deleted_at.is_(None),
        )
        .order_by(
            (ChunkRow.quarantine != HELD), ChunkRow.suspicion.desc(), DocumentRow.name, ChunkRow.version_id, ChunkRow.ordinal
        )
        .limit(limit)
    )
    return [
        HeldPassage(
            chunk_id=chunk.id,
            collection_id=collection.id,
            collection=collection.name,
            document_id=document.id,
            document=document.name,
            page=chunk.page,
            text=chunk.text,
            score=chunk.suspicion,
            findings=tuple(Finding(**one) for one in chunk.findings),
            state=chunk.quarantine,
            decided_by=chunk.decided_by,
            writable=rights[collection.id] is not Right.READ,
        )
        for chunk, document, collection in rows
    ]


async def passage(session: AsyncSession, chunk_id: str) -> tuple[ChunkRow, Version]:
    """Return a passage of a live version. Raises NotFound."""
    row = (
        await session.execute(
            select(ChunkRow, Version)
            .join(Version, Version.id == ChunkRow.version_id)
            .join(DocumentRow, DocumentRow.id == Version.document_id)
            .join(Collection, IN_FORCE)
            .where(ChunkRow.id == chunk_id, IN_INDEXES, DocumentRow.deleted_at.is_(None))
        )
    ).first()
    if row is None:
        raise NotFound("there is no such passage, or it is not yours to see", hint="Its document may have changed since.")
    return row[0], row[1]


async def keep_decisions(session: AsyncSession, version: Version) -> None:
    """Repeat on a version what people decided about passages with the same text in other versions of its document.

    What was decided about the version that answers by now has the last word: that is what people see.
    """
    decided = await session.execute(
        select(ChunkRow.text, ChunkRow.quarantine, ChunkRow.decided_by)
        .join(Version, Version.id == ChunkRow.version_id)
        .where(Version.document_id == version.document_id, Version.id != version.id, ChunkRow.decided_by != "")
        .order_by(Version.state == VersionState.LIVE, Version.number)
    )
    for text, state, name in decided.all():
        same = (ChunkRow.version_id == version.id) & (ChunkRow.text == text)
        await session.execute(update(ChunkRow).where(same).values(quarantine=state, decided_by=name))


async def carry(session: AsyncSession, version_ids: Sequence[str], *, before: str, after: str) -> None:
    """Repeat on the passages of one generation what people decided about those of another, version by version.

    The passage with the same text gets the decision. Where the text is cut elsewhere, all that share a part of a held passage
    are held, and what lies within a released one is released: in doubt nothing gets into answers that somebody kept out.
    """
    decided = list(
        await session.scalars(
            select(ChunkRow)
            .where(ChunkRow.version_id.in_(version_ids), ChunkRow.generation == before, ChunkRow.decided_by != "")
            .order_by(ChunkRow.quarantine == HELD, ChunkRow.version_id, ChunkRow.ordinal)  # held last: it has the last word
        )
    )
    for old in decided:
        page = (ChunkRow.version_id == old.version_id) & (ChunkRow.generation == after) & (ChunkRow.page == old.page)
        there = list(await session.scalars(select(ChunkRow).where(page)))
        for new in [one for one in there if one.text == old.text] or [one for one in there if _follows(one, old)]:
            new.quarantine, new.decided_by = old.quarantine, old.decided_by
        await session.flush()


def _follows(new: ChunkRow, old: ChunkRow) -> bool:
    if old.quarantine == HELD:
        return new.start < old.end and old.start < new.end
    return old.start <= new.start and new.end <= old.end
