"""Collections in stores that keep their vectors themselves: each space follows SQL before it is searched.

How far a space has come is a row in SQL. Whoever finds it behind takes a lease, writes what changed, and moves the row; writing
twice is harmless. The first time a process opens a space its ids are compared with SQL and the difference is mended.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import content, documents
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import IN_INDEXES, ChunkRow, Collection, Version
from engine.database.provider_models import SpaceRow
from engine.errors import EngineError, StoreError
from engine.protocols import VectorStore
from engine.services.entries import batches, entry, gone_ids
from engine.services.parts import Parts

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1
COMPARED = 200_000  # up to so many entries ids are compared, not only counted, when a space is opened


class Spaces:
    """The spaces that this process has opened."""

    def __init__(self, *, database: Database, parts: Parts) -> None:
        self._database = database
        self._parts = parts
        self._me = uuid.uuid4().hex
        self._open: dict[str, tuple[int, VectorStore]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def current(self, collection: Collection) -> VectorStore:
        """Return the vectors of a collection, up to date with SQL. Raises StoreError, ConfigError."""
        async with self._locks.setdefault(collection.space, asyncio.Lock()):
            store, fresh = await self._opened(collection.store, collection.space, collection.dimension)
            await self.follow(collection, collection.space, store)
            if fresh:
                await self._mend(collection, collection.space, store)
                self._open[collection.space] = (await self._parts.revision(collection.store), store)
            return store

    async def follow(
        self, collection: Collection, space: str, store: VectorStore, *, note: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write into a space what changed in SQL since its row was moved. Raises StoreError."""
        waited = 0.0
        while await self._behind(collection, space):
            if await self._lease(space):
                try:
                    await self._catch_up(collection, space, store, note)
                finally:
                    await self._release(space)
            elif waited > WAIT_SECONDS:
                raise StoreError("another process is writing to the vector store for long", hint="Try again in a moment.")
            else:
                await asyncio.sleep(POLL_SECONDS)
                waited += POLL_SECONDS

    async def forget(self, space: str) -> None:
        """Close what this process holds of a space."""
        known = self._open.pop(space, None)
        if known is not None:
            await asyncio.to_thread(known[1].close)

    async def sweep(self, *, older_than: timedelta, collection_id: str = "") -> None:
        """Remove retired spaces from their stores; one that cannot be reached now is tried again next time."""
        query = select(SpaceRow).where(SpaceRow.retired_at < now() - older_than)
        async with self._database.read() as session:
            rows = list(await session.scalars(query.where(SpaceRow.collection_id == collection_id) if collection_id else query))
        for row in rows:
            try:
                await self.forget(row.id)
                store = await self._parts.store(row.store, dimension=row.dimension, space=row.id)
                await asyncio.to_thread(store.drop)
                await asyncio.to_thread(store.close)
            except EngineError as error:
                logger.warning("space %s of store %s could not be removed yet: %s", row.id, row.store, error)
                continue
            async with self._database.write() as session:
                await _forget_previous(session, row)

    async def close(self) -> None:
        """Release everything."""
        for space in list(self._open):
            await self.forget(space)

    async def _opened(self, name: str, space: str, dimension: int) -> tuple[VectorStore, bool]:
        revision = await self._parts.revision(name)
        known = self._open.get(space)
        if known is not None and known[0] == revision:
            return known[1], False
        await self.forget(space)
        return await self._parts.store(name, dimension=dimension, space=space), True

    async def _behind(self, collection: Collection, space: str) -> bool:
        async with self._database.read() as session:
            row = await _row(session, space)
            return bool(await documents.changed_since(session, collection.id, row.seq))

    async def _lease(self, space: str) -> bool:
        free = or_(SpaceRow.owner == "", SpaceRow.owner == self._me, SpaceRow.lease_until < now())
        async with self._database.write() as session:
            until = now() + timedelta(seconds=LEASE_SECONDS)
            done = await session.execute(
                update(SpaceRow).where(SpaceRow.id == space, free).values(owner=self._me, lease_until=until)
            )
            return bool(done.rowcount)  # type: ignore[attr-defined]

    async def _release(self, space: str) -> None:
        async with self._database.write() as session:
            await session.execute(update(SpaceRow).where(SpaceRow.id == space, SpaceRow.owner == self._me).values(owner=""))

    async def _catch_up(self, collection: Collection, space: str, store: VectorStore, note: Callable[[int], None]) -> None:
        async with self._database.read() as session:
            changes = await documents.changed_since(session, collection.id, (await _row(session, space)).seq)
        gone = gone_ids(changes)
        if gone:
            await asyncio.to_thread(store.delete, gone)
        for batch in batches(version for version in changes if documents.is_live(version)):
            async with self._database.read() as session:
                rows = [row for version in batch for row in await content.chunks(session, version)]
                keys = [key for _, key in rows]
                vectors = await content.vectors(session, collection.model_id, keys, dimension=collection.dimension)
            await asyncio.to_thread(store.upsert, [entry(chunk) for chunk, _ in rows], vectors)
            note(len(rows))
            if not await self._lease(space):
                raise StoreError("another process took over writing to the vector store", hint="Try again in a moment.")
        # Last, so that an interruption repeats the work instead of believing in it.
        newest = max((documents.last_change(version) for version in changes), default=0)
        async with self._database.write() as session:
            row = await _row(session, space)
            row.seq = max(row.seq, newest)

    async def _mend(self, collection: Collection, space: str, store: VectorStore) -> None:
        # Opened for the first time: a store that lost a volume, or was restored from a backup, differs from SQL.
        async with self._database.read() as session:
            seq = (await _row(session, space)).seq
            live = await live_ids(session, collection.id)
            newer = await documents.changed_since(session, collection.id, seq)
        count = await asyncio.to_thread(store.count)
        if newer or (count == len(live) and count > COMPARED):
            return
        there = set(await asyncio.to_thread(store.ids))
        if there == live.keys():
            return
        logger.warning("space %s differs from SQL (%d there, %d in SQL) and is mended", space, len(there), len(live))
        await asyncio.to_thread(store.delete, sorted(there - live.keys()))
        missing = {version_id for one, version_id in live.items() if one not in there}
        async with self._database.read() as session:
            for version in [await session.get_one(Version, one) for one in sorted(missing)]:
                rows = await content.chunks(session, version)
                vectors = await content.vectors(
                    session, collection.model_id, [key for _, key in rows], dimension=collection.dimension
                )
                await asyncio.to_thread(store.upsert, [entry(chunk) for chunk, _ in rows], vectors)


async def live_ids(session: AsyncSession, collection_id: str) -> dict[str, str]:
    """Return chunk id -> version id of everything that is in the indexes of a collection."""
    query = (
        select(ChunkRow.id, ChunkRow.version_id)
        .join(Version, Version.id == ChunkRow.version_id)
        .where(Version.collection_id == collection_id, IN_INDEXES)
    )
    return {chunk: version for chunk, version in await session.execute(query)}


async def _row(session: AsyncSession, space: str) -> SpaceRow:
    row = await session.get(SpaceRow, space)
    if row is None:
        raise StoreError("the collection's place in the vector store is not known", hint="Move it to a store again.")
    return row


async def _forget_previous(session: AsyncSession, row: SpaceRow) -> None:
    values = {"previous_store": "", "previous_space": ""}
    await session.execute(update(Collection).where(Collection.previous_space == row.id).values(**values))
    await session.delete(await session.get_one(SpaceRow, row.id))
