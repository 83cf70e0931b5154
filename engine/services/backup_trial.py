"""Restoring a backup for a test: to an empty place, over SQLite, looked at and thrown away. No provider, no store is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select, update

from engine.database.database import Database
from engine.database.models import IN_INDEXES, ChunkRow, Collection, Version
from engine.errors import StoreError
from engine.services.backup_reading import working_folder
from engine.services.indexes import Indexes
from engine.services.restore import restore
from engine.settings import Settings

IndexesOf = Callable[[Database, Path], Indexes]
"""What gives the local indexes over another database, below a folder."""
COLLECTIONS, CHUNKS, NEAR = 3, 3, 20
SAME = 0.999  # cosine of a vector with itself, after rounding


async def tried(path: Path, settings: Settings, indexes_of: IndexesOf, *, passphrase: str) -> str:
    """Restore `path`, compare counts, verify the audit, search, and return what was seen. Raises InputError, StoreError.

    The searches look for passages by their own vector and words, in the smallest collections: indexes are built from the
    restored rows as they would be after a disaster, and nothing is embedded.
    """
    async with working_folder(settings.data_dir) as folder:
        elsewhere = settings.model_copy(
            update={
                "data_dir": folder / "data",
                "database_url": "",
                "audit": settings.audit.model_copy(update={"checkpoint_file": ""}),
            }
        )
        report = await restore(elsewhere, path, passphrase=passphrase, durable=False)
        database = Database(elsewhere.url)
        indexes = indexes_of(database, folder / "data" / "indexes")
        try:
            searches = await _search(database, indexes)
        finally:
            await indexes.close()
            await database.close()
    came = f"{report.rows:,} rows and {report.files:,} originals came back in {report.seconds:.1f} s"
    return "; ".join((came, f"{searches} searches found what they should", *report.problems))


async def _search(database: Database, indexes: Indexes) -> int:
    live = func.sum(Version.chunks)
    query = select(Version.collection_id).where(IN_INDEXES).group_by(Version.collection_id).having(live > 0).order_by(live)
    async with database.write() as session:
        # Whatever store it was in: here the vectors come from SQL into memory, and nobody else's store is touched.
        await session.execute(update(Collection).values(store="memory", space=""))
        chosen = list(await session.scalars(query.limit(COLLECTIONS)))
    return sum([await _searched(database, indexes, collection_id) for collection_id in chosen])


async def _searched(database: Database, indexes: Indexes, collection_id: str) -> int:
    """Search one collection, and return how many searches found their passage. Raises StoreError when they do not."""
    async with database.read() as session:
        collection = await session.get_one(Collection, collection_id)
    vectors, words = await indexes.current(collection)
    ids = await asyncio.to_thread(vectors.ids)
    chosen = ids[:: max(1, len(ids) // CHUNKS)][:CHUNKS]
    by_words = 0
    for chunk_id in chosen:
        own = (await asyncio.to_thread(vectors.fetch, [chunk_id]))[0]
        near = await asyncio.to_thread(vectors.search, own, k=1)
        if not near or near[0].score < SAME:  # its own vector; of alike passages any will do
            raise StoreError("a search by a vector does not find its passage there", hint="Use an older backup.")
        async with database.read() as session:
            chunk = await session.get_one(ChunkRow, chunk_id)
        found = await asyncio.to_thread(words.search, chunk.text, k=NEAR)
        by_words += chunk_id in {match.id for match in found}
    # A passage of nothing but signs has no words, and of very many alike ones only some are found.
    if chosen and (not by_words or await asyncio.to_thread(words.count) != len(ids)):
        raise StoreError("searches by words do not find their passages there", hint="Use an older backup.")
    return len(chosen) + by_words
