"""Chunks in SQL -> rows of an index: their ids, what filters may name, and batches of like size."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

from engine.database import documents
from engine.database.models import Version
from engine.documents import Chunk
from engine.types import Entry

BATCH_CHUNKS = 5000


def chunk_id(version_id: str, ordinal: int) -> str:
    """Return the id of a chunk: a UUIDv5, so that it can be derived again after the chunk is gone."""
    return str(uuid.uuid5(uuid.UUID(hex=version_id), str(ordinal)))


def gone_ids(changes: Sequence[Version]) -> list[str]:
    """Return the ids of all chunks of those versions that are not in the indexes any more."""
    return [chunk_id(row.id, n) for row in changes if not documents.is_live(row) for n in range(row.chunks)]


def batches(versions: Iterable[Version]) -> Iterator[list[Version]]:
    """Yield the versions in groups of at least `BATCH_CHUNKS` chunks, the last one smaller."""
    batch: list[Version] = []
    for version in versions:
        batch.append(version)
        if sum(one.chunks for one in batch) >= BATCH_CHUNKS:
            yield batch
            batch = []
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
