"""What is inside a version: pages, chunks and vectors; written in bulk, read in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.ingestion_models import Cut, Generation
from engine.database.models import IN_INDEXES, ChunkRow, Collection, DocumentRow, PageRow, VectorRow, Version
from engine.database.quarantine import HELD, RELEASED
from engine.documents import Block, Chunk, Finding, Line, Page
from engine.errors import NotFound
from engine.protocols import Array

BATCH = 500  # below SQLite's limit of bound parameters with room to spare


async def save_pages(session: AsyncSession, version_id: str, pages: Sequence[Page]) -> None:
    """Replace the pages of a version."""
    await session.execute(delete(PageRow).where(PageRow.version_id == version_id))
    rows = [
        {
            "version_id": version_id,
            "number": page.number,
            "text": page.text,
            "section": list(page.section),
            "blocks": [asdict(block) for block in page.blocks],
            "has_image": page.has_image,
            "recognised": page.recognised,
            "lines": [[line.start, line.end, *line.box] for line in page.lines],
        }
        for page in pages
    ]
    if rows:
        await session.execute(insert(PageRow), rows)


async def pages(session: AsyncSession, version_id: str) -> list[Page]:
    """Return all pages of a version, in order."""
    rows = await session.scalars(select(PageRow).where(PageRow.version_id == version_id).order_by(PageRow.number))
    return [_page(row) for row in rows]


async def page(session: AsyncSession, version_id: str, number: int) -> Page:
    """Return one page. Raises NotFound."""
    row = await session.get(PageRow, (version_id, number))
    if row is None:
        raise NotFound(f"there is no page {number} in this version", hint="The document may have been removed since.")
    return _page(row)


def _page(row: PageRow) -> Page:
    return Page(
        number=row.number,
        text=row.text,
        section=tuple(row.section),
        blocks=tuple(Block(**block) for block in row.blocks),
        has_image=row.has_image,
        recognised=row.recognised,
        lines=tuple(Line(start=start, end=end, box=(a, b, c, d)) for start, end, a, b, c, d in row.lines),
    )


async def save_chunks(session: AsyncSession, version_id: str, generation: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Replace the chunks that a generation has of a version; `rows` have the other columns of ChunkRow.

    Whether they were recognised is known here.
    """
    query = select(PageRow.number).where(PageRow.version_id == version_id, PageRow.recognised)
    recognised = set(await session.scalars(query))
    await session.execute(delete(ChunkRow).where(ChunkRow.version_id == version_id, ChunkRow.generation == generation))
    own = {"version_id": version_id, "generation": generation}
    if rows:
        told = [{**row, **own, "recognised": row["page"] in recognised} for row in rows]
        await session.execute(insert(ChunkRow), told)
    await session.merge(Cut(**own, chunks=len(rows), embedded=False))


async def chunks(session: AsyncSession, version: Version, generation: str) -> list[tuple[Chunk, str]]:
    """Return (chunk, vector key) of a version as a generation cut it, in reading order."""
    document = await session.get_one(DocumentRow, version.document_id)
    mine = (ChunkRow.version_id == version.id) & (ChunkRow.generation == generation)
    rows = await session.scalars(select(ChunkRow).where(mine).order_by(ChunkRow.ordinal))
    return [(_chunk(row, version, document), row.vector_sha256) for row in rows]


async def live_chunks(session: AsyncSession, ids: Sequence[str], collection_ids: Sequence[str]) -> dict[str, tuple[Chunk, str]]:
    """Return id -> (chunk, vector key) for those of `ids` that are live in these collections now; others are absent.

    Chunks of any generation: a question that is under way when a collection switches ends with those it began with.
    This is the second check of permissions, deletions and quarantine, on the truth, behind whatever an index answered.
    """
    found: dict[str, tuple[Chunk, str]] = {}
    for batch in _batches(ids):
        query = _live(select(ChunkRow, Version, DocumentRow), batch, collection_ids)
        rows = await session.execute(query)
        found |= {row.id: (_chunk(row, version, document), row.vector_sha256) for row, version, document in rows}
    return found


async def live_names(session: AsyncSession, ids: Sequence[str], collection_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return chunk id -> (document id, file name) under the same conditions as `live_chunks`."""
    found: dict[str, tuple[str, str]] = {}
    for batch in _batches(ids):
        rows = await session.execute(_live(select(ChunkRow.id, DocumentRow.id, DocumentRow.name), batch, collection_ids))
        found |= {key: (document_id, name) for key, document_id, name in rows}
    return found


async def moved(session: AsyncSession, collection_ids: Sequence[str]) -> dict[str, tuple[int, int, tuple[str, ...]]]:
    """Return collection id -> what moves when its content changes, or what people decided about it.

    These are the newest numbers of the global order at which a version went live and went away, which are never given again
    (a document that is deleted and restored is at another number than before), and what people decided about passages.
    """
    # One index look-up each: a question waits for this, and a collection may have very many versions.
    newest = select(func.max(Version.live_seq)).where(Version.collection_id == Collection.id).scalar_subquery()
    gone = select(func.max(Version.dead_seq)).where(Version.collection_id == Collection.id).scalar_subquery()
    rows = await session.execute(select(Collection.id, newest, gone).where(Collection.id.in_(collection_ids)))
    sequences = {collection_id: (live or 0, dead or 0) for collection_id, live, dead in rows}
    decided: dict[str, list[str]] = {collection_id: [] for collection_id in sequences}
    query = (
        select(Version.collection_id, ChunkRow.id, ChunkRow.quarantine)
        .join(Version, Version.id == ChunkRow.version_id)
        .join(Collection, (Collection.id == Version.collection_id) & (Collection.generation == ChunkRow.generation))
        .where(
            ChunkRow.quarantine.in_([HELD, RELEASED]),
            ChunkRow.decided_by != "",
            Version.collection_id.in_(collection_ids),
            IN_INDEXES,
        )
        .order_by(ChunkRow.id)
    )
    for collection_id, chunk_id, state in await session.execute(query):
        decided[collection_id].append(f"{chunk_id} {state}")
    return {one: (*numbers, tuple(decided[one])) for one, numbers in sequences.items()}


def _live(query: Any, ids: Sequence[str], collection_ids: Sequence[str]) -> Any:
    return (
        query.select_from(ChunkRow)
        .join(Version, Version.id == ChunkRow.version_id)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(
            ChunkRow.id.in_(ids),
            Version.collection_id.in_(collection_ids),
            IN_INDEXES,
            DocumentRow.deleted_at.is_(None),
            ChunkRow.quarantine != HELD,
        )
    )


def _chunk(row: ChunkRow, version: Version, document: DocumentRow) -> Chunk:
    return Chunk(
        id=row.id,
        collection_id=version.collection_id,
        document_id=document.id,
        document_name=document.name,
        version=version.number,
        version_id=version.id,
        ordinal=row.ordinal,
        page=row.page,
        start=row.start,
        end=row.end,
        text=row.text,
        section=tuple(row.section),
        context=row.context,
        media_type=version.media_type,
        title=version.title,
        recognised=row.recognised,
        findings=() if row.quarantine == RELEASED else tuple(Finding(**one) for one in row.findings),
    )


# --- vectors ---------------------------------------------------------------------------------------------------------


async def missing_vectors(session: AsyncSession, model_id: str, keys: Iterable[str]) -> set[str]:
    """Return those of `keys` (text hashes) that this model has not embedded yet."""
    wanted = set(keys)
    for batch in _batches(sorted(wanted)):
        have = await session.scalars(
            select(VectorRow.text_sha256).where(VectorRow.model_id == model_id, VectorRow.text_sha256.in_(batch))
        )
        wanted -= set(have)
    return wanted


async def save_vectors(session: AsyncSession, model_id: str, keys: Sequence[str], vectors: Array) -> None:
    """Add vectors (float32, one row a key); keys that are there already stay as they are."""
    have = set(keys) - await missing_vectors(session, model_id, keys)
    rows = {
        key: {"model_id": model_id, "text_sha256": key, "data": np.ascontiguousarray(vector, dtype="<f4").tobytes()}
        for key, vector in zip(keys, vectors, strict=True)
        if key not in have
    }
    if rows:
        await session.execute(insert(VectorRow), list(rows.values()))


async def vectors(session: AsyncSession, model_id: str, keys: Sequence[str], *, dimension: int) -> Array:
    """Return float32 of shape (len(keys), dimension), in the order of `keys`. Raises NotFound when one is missing."""
    data: dict[str, bytes] = {}
    for batch in _batches(sorted(set(keys))):
        rows = await session.execute(
            select(VectorRow.text_sha256, VectorRow.data).where(
                VectorRow.model_id == model_id, VectorRow.text_sha256.in_(batch)
            )
        )
        data |= {key: value for key, value in rows}
    if len(data) < len(set(keys)):
        raise NotFound("vectors are missing in the database", hint="Process the document again.")
    joined = b"".join(data[key] for key in keys)
    return np.frombuffer(joined, dtype="<f4").reshape(len(keys), dimension).astype(np.float32)


async def vector_keys(session: AsyncSession, collection_id: str) -> set[str]:
    """Return the vector keys of all chunks of a collection."""
    query = select(ChunkRow.vector_sha256).join(Version, Version.id == ChunkRow.version_id)
    return set(await session.scalars(query.where(Version.collection_id == collection_id)))


async def sweep_vectors(session: AsyncSession, keys: Iterable[str]) -> None:
    """Remove those of these vectors whose text is in no chunk any more: deleted text must not live on as numbers."""
    used = select(ChunkRow.vector_sha256).where(ChunkRow.vector_sha256 == VectorRow.text_sha256)
    for batch in _batches(sorted(keys)):
        await session.execute(delete(VectorRow).where(VectorRow.text_sha256.in_(batch), ~used.exists()))


async def sweep_model(session: AsyncSession, model_id: str, keys: Iterable[str]) -> None:
    """Remove those vectors of one model whose text is only in chunks that another model embeds."""
    here = select(Collection.generation).where(Collection.model_id == model_id)
    other = select(Generation.id).where(Generation.model_id == model_id)
    same = ChunkRow.vector_sha256 == VectorRow.text_sha256
    used = select(ChunkRow.vector_sha256).where(same, ChunkRow.generation.in_(here) | ChunkRow.generation.in_(other))
    for batch in _batches(sorted(keys)):
        mine = (VectorRow.model_id == model_id) & VectorRow.text_sha256.in_(batch)
        await session.execute(delete(VectorRow).where(mine, ~used.exists()))


def _batches(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
