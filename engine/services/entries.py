"""Chunks in SQL -> rows of an index: their ids, what filters may name, and batches of like size."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

from engine.database.cuts import Change
from engine.database.models import Collection, Version
from engine.documents import Chunk
from engine.types import Entry

BATCH_CHUNKS = 5000


def chunk_id(collection: Collection, version_id: str, ordinal: int) -> str:
    """Return the id of a chunk: a UUIDv5, so that it can be derived again after the chunk is gone.

    The first generation of a collection, which is called like it, is not part of the name.
    """
    name = str(ordinal) if collection.generation == collection.id else f"{collection.generation} {ordinal}"
    return str(uuid.uuid5(uuid.UUID(hex=version_id), name))


def gone_ids(collection: Collection, changes: Sequence[Change]) -> list[str]:
    """Return the ids of all chunks of those versions that are not in the indexes any more."""
    return [chunk_id(collection, row.version.id, n) for row in changes if not row.live for n in range(row.chunks)]


def batches(changes: Iterable[Change]) -> Iterator[list[Version]]:
    """Yield the live ones of these versions in groups of at least `BATCH_CHUNKS` chunks, the last one smaller."""
    batch, chunks = list[Version](), 0
    for change in changes:
        if not change.live:
            continue
        batch.append(change.version)
        chunks += change.chunks
        if chunks >= BATCH_CHUNKS:
            yield batch
            batch, chunks = [], 0
    if batch:
        yield batch


def entry(chunk: Chunk) -> Entry:
    """Return the row of a chunk."""
    return Entry(
        id=chunk.id,
        metadata={
            "collection": chunk.collection_id,
            "document": chunk.document_id,
            "name": chunk.document_name,
            "media_type": chunk.media_type,
            "page": chunk.page,
        },
    )
