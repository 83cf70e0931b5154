"""Moving a collection to another store: vectors are copied from SQL, counted and compared there; then one row switches.

Nothing is embedded again and nothing is taken away: the former place stays for a week, and `revert` goes back to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, content
from engine.database.audit import record
from engine.database.columns import new_id, now
from engine.database.database import Database, changed
from engine.database.models import ChunkRow, Collection
from engine.database.provider_models import SpaceRow
from engine.errors import CallNotPermitted, InputError, NotFound, StoreError
from engine.protocols import Array, VectorStore
from engine.provider_views import Choice, StoreMove
from engine.services.accounts import require_role
from engine.services.choosing import checked
from engine.services.configuration import Configured
from engine.services.indexes import Indexes
from engine.services.parts import Parts
from engine.services.spaces import Spaces, live_ids
from engine.types import Entry, Principal, Right, Role

QUERIES = 100
TOP = 10
BATCH = 1000
TRIES = 5
LEAST_OVERLAP = 0.95
HALF_PRECISION = 2e-3  # the most that a vector kept in half precision may be off by


@dataclass(frozen=True, slots=True)
class _Truth:
    ids: list[str]
    vectors: Array


class StoreMoves:
    """Moves of collections between stores, by admins: vectors may leave for a service that somebody pays for."""

    def __init__(self, *, database: Database, parts: Parts, spaces: Spaces, indexes: Indexes, configured: Configured) -> None:
        self._database = database
        self._parts = parts
        self._spaces = spaces
        self._indexes = indexes
        self._configured = configured

    async def move(
        self, principal: Principal, collection_id: str, to: str, *, note: Callable[[int], None] = lambda _: None
    ) -> StoreMove:
        """Copy, verify, switch; `note(n)` after each batch of n vectors. Questions are answered from the old store meanwhile.

        Raises NotFound, AccessDenied, InputError, ConfigError, and StoreError when the copy is not what it should be; then
        nothing has changed.
        """
        require_role(principal, Role.ADMIN)
        started = time.perf_counter()
        async with self._database.read() as session:
            row = await collections.require(session, principal, collection_id, Right.OWNER)
            known = not row.space or await session.get(SpaceRow, row.space) is not None
        checked(await self._configured.current(fresh=True), "store", Choice(provider=to))
        if row.store == to and known:
            raise InputError(f"the collection is in {to!r} already", hint="Choose another store.")
        space = new_id() if await self._parts.keeps_itself(to) else ""
        store = await self._parts.store(to, dimension=row.dimension, space=space)
        try:
            report = await self._copied(row, to, space, store, note)
            report = replace(report, seconds=round(time.perf_counter() - started, 2))
            await self._switch(principal, row, to, space, report)
        except BaseException:
            await asyncio.shield(self._abandon(space, store))
            raise
        await asyncio.to_thread(store.close)
        return report

    async def revert(self, principal: Principal, collection_id: str) -> str:
        """Go back to the former store, which follows SQL before its next search; return its name. Raises InputError."""
        async with self._database.write() as session:
            require_role(principal, Role.ADMIN)
            row = await collections.require(session, principal, collection_id, Right.OWNER)
            if not row.previous_store:
                raise InputError("there is no former store to go back to", hint="It is kept for seven days after a move.")
            before, back = (row.store, row.space), (row.previous_store, row.previous_space)
            (row.store, row.space), (row.previous_store, row.previous_space) = back, before
            await _retire(session, before[1], retired=True)
            if not await _retire(session, back[1], retired=False):
                raise InputError("the former place is being removed just now", hint="Move the collection there instead.")
            await record(session, principal, "collection.store.revert", row.id, before=before[0], after=back[0])
        return back[0]

    async def _copied(self, row: Collection, to: str, space: str, store: VectorStore, note: Callable[[int], None]) -> StoreMove:
        """Copy and compare. A collection that changes meanwhile is followed and compared again."""
        if space:
            async with self._database.write() as session:
                session.add(SpaceRow(id=space, collection_id=row.id, store=to, dimension=row.dimension, retired_at=now()))
        for _ in range(TRIES):
            if space:
                await self._spaces.follow(row, space, store, note=note)
            truth = await self._truth(row)
            if not space:
                await asyncio.to_thread(_put, store, truth, note)
            there = await asyncio.to_thread(store.ids)
            if there == truth.ids:
                return await self._compared(row, to, store, truth)
        raise StoreError(
            f"{to} holds {len(there)} of {len(truth.ids)} vectors, or others", hint="Nothing was changed; try again."
        )

    async def _compared(self, row: Collection, to: str, store: VectorStore, truth: _Truth) -> StoreMove:
        stored = await asyncio.to_thread(_fetched, store, truth.ids, row.dimension)
        difference = float(np.abs(stored - truth.vectors).max()) if truth.ids else 0.0
        overlap, queries = await asyncio.to_thread(_overlap, store, truth)
        if difference > HALF_PRECISION or overlap < LEAST_OVERLAP:
            raise StoreError(
                f"{to} gives back other vectors (difference {difference:.1e}) or neighbours (overlap {overlap:.3f})",
                hint="Nothing was changed; the collection stays where it is.",
            )
        return StoreMove(
            collection=row.name,
            before=row.store,
            after=to,
            entries=len(truth.ids),
            entries_there=len(truth.ids),
            checksum=_checksum(truth.ids, truth.vectors),
            checksum_there=_checksum(truth.ids, stored),
            largest_difference=difference,
            overlap=overlap,
            queries=queries,
            seconds=0.0,
        )

    async def _switch(self, principal: Principal, row: Collection, to: str, space: str, report: StoreMove) -> None:
        async with self._database.write() as session:
            current = await session.get(Collection, row.id)
            if current is None:
                raise NotFound("the collection was deleted meanwhile")
            if (current.store, current.space, current.generation) != (row.store, row.space, row.generation):
                raise StoreError("somebody else changed the collection meanwhile", hint="Look where it is now.")
            await _retire(session, current.space, retired=True)
            await _retire(session, space, retired=False)
            current.previous_store, current.previous_space = current.store, current.space
            current.store, current.space = to, space
            await record(
                session,
                principal,
                "collection.store.move",
                row.id,
                before=report.before,
                after=to,
                entries=report.entries,
                overlap=round(report.overlap, 4),
            )

    async def _abandon(self, space: str, store: VectorStore) -> None:
        async with self._database.read() as session:
            if space and await session.scalar(select(Collection.id).where(Collection.space == space)):
                return  # interrupted just after the switch: it is the live one
        try:
            await asyncio.to_thread(store.drop)
            await asyncio.to_thread(store.close)
        except (StoreError, CallNotPermitted):
            return  # the row stays, retired, and the sweep tries again
        if space:
            async with self._database.write() as session:
                row = await session.get(SpaceRow, space)
                if row is not None:
                    await session.delete(row)

    async def _truth(self, row: Collection) -> _Truth:
        """Return what SQL holds, by rising id."""
        async with self._database.read() as session:
            ids = sorted(await live_ids(session, row))
            keys = dict[str, str]()
            for start in range(0, len(ids), BATCH):
                query = select(ChunkRow.id, ChunkRow.vector_sha256).where(ChunkRow.id.in_(ids[start : start + BATCH]))
                keys |= {one: key for one, key in await session.execute(query)}
            vectors = await content.vectors(session, row.model_id, [keys[one] for one in ids], dimension=row.dimension)
        return _Truth(ids, vectors)


async def _retire(session: AsyncSession, space: str, *, retired: bool) -> bool:
    """Take a space out of use, or back into it; False when somebody is writing to it or removing it."""
    if not space:
        return True
    which = update(SpaceRow).where(SpaceRow.id == space)
    if not retired:
        which = which.where(or_(SpaceRow.owner == "", SpaceRow.lease_until < now()))
    return await changed(session, which.values(retired_at=now() if retired else None)) > 0


def _fetched(store: VectorStore, ids: list[str], dimension: int) -> Array:
    parts = [store.fetch(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]
    joined: Array = np.concatenate(parts) if parts else np.zeros((0, dimension), dtype=np.float32)
    return joined


def _overlap(store: VectorStore, truth: _Truth) -> tuple[float, int]:
    """Return the mean share of the exact top 10 that the store finds, and for how many questions.

    A question is the direction between two random vectors of the collection: near its documents, but none of them.
    """
    if not truth.ids:
        return 1.0, 0
    random = np.random.default_rng(0)
    pairs = random.integers(0, len(truth.ids), (QUERIES, 2))
    questions = truth.vectors[pairs[:, 0]] + truth.vectors[pairs[:, 1]]
    norms = np.linalg.norm(questions, axis=1, keepdims=True)
    questions = (questions / np.where(norms > 0, norms, 1)).astype(np.float32)
    shares = []
    for question in questions[norms[:, 0] > 0]:
        scores = truth.vectors @ question
        wanted = min(TOP, len(scores))
        least = np.sort(scores)[-wanted] - 1e-5  # equal neighbours may stand for each other
        position = dict(zip(truth.ids, scores.tolist(), strict=True))
        shares.append(sum(position[match.id] >= least for match in store.search(question, k=wanted)) / wanted)
    return float(np.mean(shares)) if shares else 1.0, len(shares)


def _checksum(ids: list[str], vectors: Array) -> str:
    total = hashlib.sha256("\n".join(ids).encode())
    total.update(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
    return total.hexdigest()


def _put(store: VectorStore, truth: _Truth, note: Callable[[int], None]) -> None:
    store.drop()
    for start in range(0, len(truth.ids), BATCH):
        ids = truth.ids[start : start + BATCH]
        store.upsert([Entry(id=one) for one in ids], truth.vectors[start : start + BATCH])
        note(len(ids))
