"""Collections in stores that keep their vectors themselves: each space follows SQL before it is searched.

How far a space has come is a row in SQL. Whoever finds it behind takes a lease, writes what changed, and moves the row; writing
twice is harmless. The first time a process opens a space its ids are compared with SQL and the difference is mended.

Following is one task for all who wait for a space, and a question waits only a moment for it: it is answered by words then,
while the task goes on. A store that failed just now is not asked again at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine import faults
from engine.database import content, cuts, documents
from engine.database.columns import now
from engine.database.cuts import Change
from engine.database.database import Database
from engine.database.ingestion_models import Cut
from engine.database.models import IN_INDEXES, ChunkRow, Collection, Version
from engine.database.provider_models import SpaceRow
from engine.errors import EngineError, StoreError
from engine.protocols import VectorStore
from engine.services.entries import batches, entry, gone_ids
from engine.services.parts import Parts
from engine.services.space_leases import SWEEP_SECONDS, SpaceLeases

logger = logging.getLogger(__name__)

QUESTION_SECONDS = 8.0
REST_SECONDS = 5.0  # after a failure
COMPARED = 200_000  # up to so many entries ids are compared, not only counted, when a space is opened

T = TypeVar("T")


class Spaces:
    """The spaces that this process has opened."""

    def __init__(self, *, database: Database, parts: Parts) -> None:
        self._database = database
        self._parts = parts
        self._leases = SpaceLeases(database)
        self._open: dict[str, tuple[int, VectorStore]] = {}
        self._tasks: dict[str, asyncio.Task[VectorStore]] = {}
        self._failed: dict[str, tuple[float, int, str]] = {}

    async def current(self, collection: Collection) -> VectorStore:
        """Return the vectors of a collection, up to date with SQL.

        Raises StoreError (also when it takes long), ConfigError, CallNotPermitted.
        """
        space, revision = collection.space, await self._parts.revision(collection.store)
        at, failed, why = self._failed.get(space, (-REST_SECONDS, -1, ""))
        if failed == revision and time.monotonic() - at < REST_SECONDS:
            raise StoreError(why, hint="It is tried again in a few seconds.")
        while True:
            task, joined = self._following(collection, revision)
            try:
                async with asyncio.timeout(QUESTION_SECONDS):
                    store = await asyncio.shield(task)
            except TimeoutError as error:
                raise StoreError(
                    "the vector store is still taking in documents, or does not answer", hint="Ask again in a moment."
                ) from error
            # What others wait for may have looked at SQL before the change that this caller knows of.
            if not joined or not await self._behind(collection, space):
                return store

    async def settled(self, collection: Collection) -> None:
        """Have a space follow SQL, however long it takes. Raises StoreError, ConfigError, CallNotPermitted."""
        while True:
            task, _ = self._following(collection, await self._parts.revision(collection.store))
            await asyncio.shield(task)
            if not await self._behind(collection, collection.space):
                return

    def _following(self, collection: Collection, revision: int) -> tuple[asyncio.Task[VectorStore], bool]:
        """Return what follows for all who wait for a space, and whether it was at it already."""
        space = collection.space
        task = self._tasks.get(space)
        if task is not None:
            return task, True
        # In a context of its own: the time limit of the question that begins it is not that of the following.
        task = asyncio.create_task(self._followed(collection, revision), context=contextvars.Context())
        self._tasks[space] = task
        task.add_done_callback(lambda done: self._done(space, done))
        return task, False

    async def follow(
        self, collection: Collection, space: str, store: VectorStore, *, note: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write into a space what changed in SQL since its row was moved. Raises StoreError."""
        while await self._behind(collection, space):
            async with self._leases.held(space):
                await self._catch_up(collection, space, store, note)

    async def lost(self, collection: Collection) -> bool:
        """Whether the store counts otherwise than SQL. Its ids are then compared with the next question. Raises StoreError."""
        known = self._open.get(collection.space)
        if known is None:
            return False
        async with self._database.read() as session:
            expected = await cuts.live_chunks(session, collection)
        if await asyncio.to_thread(known[1].count) == expected:
            return False
        await self._forget(collection.space)
        return True

    async def mend(self, collection: Collection, *, orphans: Iterable[str], versions: Iterable[str]) -> None:
        """Take these ids out of a collection's space and write these versions again where they are live. Raises StoreError."""
        store = await self.current(collection)
        async with self._leases.held(collection.space):
            async with self._database.read() as session:
                live = await live_ids(session, collection)
                have = await cuts.counts(session, wanted := sorted(set(versions)), collection.generation)
                rows = [await session.get(Version, one) for one in wanted]
            await _finished(store.delete, sorted(set(orphans) - live.keys()))
            for batch in batches(Change(row, have[row.id]) for row in rows if row is not None and row.id in have):
                await self._put(collection, store, batch)

    async def sweep(self, *, older_than: timedelta, collection_id: str = "") -> None:
        """Remove retired spaces from their stores; one that cannot be reached now is tried again next time."""
        query = select(SpaceRow).where(SpaceRow.retired_at < now() - older_than)
        async with self._database.read() as session:
            rows = list(await session.scalars(query.where(SpaceRow.collection_id == collection_id) if collection_id else query))
        for row in rows:
            if not await self._leases.claimed(row.id, seconds=SWEEP_SECONDS, retired=True):
                continue  # another process is at it, or somebody just went back to it
            try:
                await self._forget(row.id)
                store = await self._parts.store(row.store, dimension=row.dimension, space=row.id)
                try:
                    await _finished(store.drop)
                finally:
                    await _finished(store.close)
            except EngineError as error:
                logger.warning("space %s of store %s could not be removed yet: %s", row.id, row.store, error)
                await self._leases.release(row.id)
                continue
            async with self._database.write() as session:
                await _forget_previous(session, row.id)

    async def close(self) -> None:
        """Release everything."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=REST_SECONDS)
        for task in list(self._tasks.values()):
            task.cancel()
        for space in list(self._open):
            await self._forget(space)

    async def _followed(self, collection: Collection, revision: int) -> VectorStore:
        space = collection.space
        try:
            known = self._open.get(space)
            if known is not None and known[0] == revision:
                await self.follow(collection, space, known[1])
                return known[1]
            await self._forget(space)
            store = await self._parts.store(collection.store, dimension=collection.dimension, space=space)
            try:
                await self.follow(collection, space, store)
                while not await self._mended(collection, space, store):
                    await self.follow(collection, space, store)
            except BaseException:
                await _finished(store.close)
                raise
        except EngineError as error:
            self._failed[space] = (time.monotonic(), revision, str(error))
            raise
        self._open[space] = (revision, store)
        return store

    def _done(self, space: str, task: asyncio.Task[VectorStore]) -> None:
        self._tasks.pop(space, None)
        if not task.cancelled() and task.exception() is not None:
            logger.info("space %s could not follow: %s", space, task.exception())

    async def _forget(self, space: str) -> None:
        known = self._open.pop(space, None)
        if known is not None:
            await asyncio.to_thread(known[1].close)

    async def _behind(self, collection: Collection, space: str) -> bool:
        async with self._database.read() as session:
            row = await _row(session, space)
            return bool(await cuts.changed_since(session, collection, row.seq))

    # --- writing -----------------------------------------------------------------------------------------------------

    async def _catch_up(self, collection: Collection, space: str, store: VectorStore, note: Callable[[int], None]) -> None:
        async with self._database.read() as session:
            changes = await cuts.changed_since(session, collection, (await _row(session, space)).seq)
        gone = gone_ids(collection, changes)
        if gone:
            await _finished(store.delete, gone)
        for batch in batches(changes):
            note(await self._put(collection, store, batch))
        # Last, so that an interruption repeats the work instead of believing in it.
        newest = max((documents.last_change(one.version) for one in changes), default=0)
        async with self._database.write() as session:
            row = await _row(session, space)
            row.seq = max(row.seq, newest)
        faults.point("space.moved")

    async def _put(self, collection: Collection, store: VectorStore, versions: list[Version]) -> int:
        async with self._database.read() as session:
            rows = [row for version in versions for row in await content.chunks(session, version, collection.generation)]
            keys = [key for _, key in rows]
            vectors = await content.vectors(session, collection.model_id, keys, dimension=collection.dimension)
        faults.point("space.upsert")
        await _finished(store.upsert, [entry(chunk) for chunk, _ in rows], vectors)
        faults.point("space.upserted")
        return len(rows)

    async def _mended(self, collection: Collection, space: str, store: VectorStore) -> bool:
        """Make the ids of a space those of SQL; False when SQL moved on meanwhile.

        Opened for the first time: a store that lost a volume, or was restored from a backup, differs.
        """
        async with self._leases.held(space):
            count = await asyncio.to_thread(store.count)
            there = set(await asyncio.to_thread(store.ids)) if count <= COMPARED else None
            async with self._database.read() as session:
                live = await live_ids(session, collection)
                if await cuts.changed_since(session, collection, (await _row(session, space)).seq):
                    return False
                if there == live.keys() or (there is None and count == len(live)):
                    return True
                there = set(await asyncio.to_thread(store.ids)) if there is None else there
                missing = sorted({version_id for one, version_id in live.items() if one not in there})
                have = await cuts.counts(session, missing, collection.generation)
                again = [cuts.Change(await session.get_one(Version, one), have.get(one, 0)) for one in missing]
            logger.warning("space %s differs from SQL (%d there, %d in SQL) and is mended", space, len(there), len(live))
            await _finished(store.delete, sorted(there - live.keys()))
            for batch in batches(again):
                await self._put(collection, store, batch)
        return True


async def _finished(call: Callable[..., T], *arguments: object) -> T:
    """Run a call in a thread, and wait for its end also when this task is cancelled: the lease must outlive the writing."""
    task = asyncio.create_task(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def live_ids(session: AsyncSession, collection: Collection) -> dict[str, str]:
    """Return chunk id -> version id of everything that is in the indexes of a generation of a collection."""
    has = (Cut.version_id == Version.id) & (Cut.generation == ChunkRow.generation) & Cut.embedded
    query = (
        select(ChunkRow.id, ChunkRow.version_id)
        .join(Version, Version.id == ChunkRow.version_id)
        .join(Cut, has)
        .where(Version.collection_id == collection.id, IN_INDEXES, ChunkRow.generation == collection.generation)
    )
    return {chunk: version for chunk, version in await session.execute(query)}


async def _row(session: AsyncSession, space: str) -> SpaceRow:
    row = await session.get(SpaceRow, space)
    if row is None:
        raise StoreError("the collection's place in the vector store is not known", hint="Move it to another store, or back.")
    return row


async def _forget_previous(session: AsyncSession, space: str) -> None:
    values = {"previous_store": "", "previous_space": ""}
    await session.execute(update(Collection).where(Collection.previous_space == space).values(**values))
    row = await session.get(SpaceRow, space)
    if row is not None:
        await session.delete(row)
