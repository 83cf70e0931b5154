"""What SQL says a collection's indexes hold, against what they do hold."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import content, cuts
from engine.database.database import Database
from engine.database.models import ChunkRow, Collection
from engine.protocols import Array, LexicalIndex, VectorStore
from engine.services.entries import gone_ids
from engine.services.spaces import live_ids
from engine.services.store_moves import HALF_PRECISION

SAMPLE = 256  # vectors that are compared by value; all of them when somebody asks for it
BATCH = 500


@dataclass(frozen=True, slots=True)
class Truth:
    """The live chunks of a collection: id -> version, id -> key of its vector; `lost` are keys without a vector in SQL.

    `excused` ids changed after the moment that an index is compared at: it may hold them or not.
    """

    versions: dict[str, str]
    keys: dict[str, str]
    lost: frozenset[str]
    excused: frozenset[str] = frozenset()

    def per_version(self) -> Counter[str]:
        """Return how many chunks each live version has."""
        return Counter(self.versions.values())


@dataclass(frozen=True, slots=True)
class Found:
    """What an index holds differently: ids. `altered` have another vector than SQL."""

    count: int
    missing: frozenset[str] = frozenset()
    orphans: frozenset[str] = frozenset()
    altered: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.missing or self.orphans or self.altered)


async def truth(session: AsyncSession, collection: Collection, *, since: int | None = None) -> Truth:
    """Return what SQL says now. With `since`, what changed after that number of the global order is excused."""
    versions = await live_ids(session, collection)
    ids, keys = sorted(versions), dict[str, str]()
    for start in range(0, len(ids), BATCH):
        query = select(ChunkRow.id, ChunkRow.vector_sha256).where(ChunkRow.id.in_(ids[start : start + BATCH]))
        keys |= {one: key for one, key in await session.execute(query)}
    lost = frozenset(await content.missing_vectors(session, collection.model_id, keys.values()))
    excused = set[str]()
    if since is not None:
        changes = await cuts.changed_since(session, collection, since)
        moved = {row.version.id for row in changes}
        excused = {one for one, version in versions.items() if version in moved} | set(gone_ids(collection, changes))
    return Truth(versions, keys, lost, frozenset(excused))


def compared(known: Truth, there: Iterable[str]) -> Found:
    """Return how the ids of an index differ."""
    held = set(there)
    return Found(
        count=len(held),
        missing=frozenset(known.versions.keys() - held - known.excused),
        orphans=frozenset(held - known.versions.keys() - known.excused),
    )


async def compared_words(known: Truth, words: LexicalIndex) -> Found:
    """Return how a word index differs. Raises StoreError."""
    return compared(known, await asyncio.to_thread(words.ids))


async def compared_vectors(
    database: Database, collection: Collection, known: Truth, store: VectorStore, there: Sequence[str], *, deep: bool
) -> Found:
    """Return how a vector store with the ids `there` differs, by ids and, for a sample or all, by value. Raises StoreError."""
    found = compared(known, there)
    common = sorted(set(there) & {one for one, key in known.keys.items() if key not in known.lost} - known.excused)
    if not deep and len(common) > SAMPLE:
        common = sorted(random.sample(common, SAMPLE))
    altered = set[str]()
    for start in range(0, len(common), BATCH):
        ids = common[start : start + BATCH]
        async with database.read() as session:
            wanted = [known.keys[one] for one in ids]
            right = await content.vectors(session, collection.model_id, wanted, dimension=collection.dimension)
        altered |= _differing(ids, right, await asyncio.to_thread(store.fetch, ids))
    return Found(found.count, found.missing, found.orphans, frozenset(altered))


def _differing(ids: Sequence[str], right: Array, there: Array) -> set[str]:
    if there.shape != right.shape:
        return set(ids)
    # `not (... <= ...)` also catches NaN, for which every comparison is false.
    bad = ~(np.abs(there - right).max(axis=1) <= HALF_PRECISION)
    return {one for one, wrong in zip(ids, bad.tolist(), strict=True) if wrong}
