"""What a generation of a collection has of each version: how many chunks, and in which order an index takes them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.database.documents import is_live, last_change
from engine.database.ingestion_models import Cut
from engine.database.models import IN_INDEXES, Collection, Version, VersionState

BATCH = 500


class Change(NamedTuple):
    """A version that went live or away, and how many chunks the generation has of it (0: none, or not yet)."""

    version: Version
    chunks: int

    @property
    def live(self) -> bool:
        """Whether an index should hold it."""
        return is_live(self.version)


async def changed_since(session: AsyncSession, collection: Collection, seq: int) -> list[Change]:
    """Return the versions of a collection that went live or went away after `seq`, oldest change first.

    A generation that is being built has not all of them yet: the list ends before the first live one that it lacks, so
    that an index which follows it comes back for that one.
    """
    where = (Version.collection_id == collection.id) & ((Version.live_seq > seq) | (Version.dead_seq > seq))
    rows = sorted(await session.scalars(select(Version).where(where)), key=last_change)
    if not rows:
        return []
    have = await counts(session, [row.id for row in rows], collection.generation)
    changes: list[Change] = []
    for row in rows:
        if is_live(row) and row.id not in have:
            break
        changes.append(Change(row, have.get(row.id, 0)))
    return changes


async def counts(session: AsyncSession, version_ids: Sequence[str], generation: str) -> dict[str, int]:
    """Return version id -> number of chunks, for those that this generation has cut and embedded."""
    found: dict[str, int] = {}
    for start in range(0, len(version_ids), BATCH):
        query = select(Cut.version_id, Cut.chunks).where(
            Cut.version_id.in_(version_ids[start : start + BATCH]), Cut.generation == generation, Cut.embedded
        )
        found |= {version_id: chunks for version_id, chunks in await session.execute(query)}
    return found


async def live_chunks(session: AsyncSession, collection: Collection) -> int:
    """Return how many chunks the indexes of a generation hold when they are complete."""
    query = (
        select(func.coalesce(func.sum(Cut.chunks), 0))
        .join(Version, Version.id == Cut.version_id)
        .where(Version.collection_id == collection.id, IN_INDEXES, Cut.generation == collection.generation, Cut.embedded)
    )
    return int(await session.scalar(query) or 0)


async def embedded(session: AsyncSession, version_ids: Sequence[str], generation: str) -> None:
    """Note that all vectors of these versions are there."""
    for start in range(0, len(version_ids), BATCH):
        which = (Cut.version_id.in_(version_ids[start : start + BATCH])) & (Cut.generation == generation)
        await session.execute(update(Cut).where(which).values(embedded=True))


async def has(session: AsyncSession, version_id: str, generation: str) -> bool:
    """Whether a generation could let this version answer questions: it is cut and embedded."""
    row = await session.get(Cut, (version_id, generation), populate_existing=True)
    return row is not None and row.embedded


def lacking(collection: Collection) -> Select[Version]:
    """Return the query of what a generation does not have yet, though it can be asked of it: newest first.

    Deleted documents count while they can be restored: they have their content and the state "live" until they are purged.
    """
    own = aliased(Cut)  # who reads the number of chunks beside it joins the table itself
    there = exists().where(own.version_id == Version.id, own.generation == collection.generation, own.embedded)
    wanted = (Version.collection_id == collection.id) & (Version.state == VersionState.LIVE)
    return select(Version).where(wanted, ~there).order_by(Version.live_seq.desc())
