"""What screens show of the generations of a collection."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import generations
from engine.database.columns import now
from engine.database.ingestion_models import Cut, Generation
from engine.database.models import IN_INDEXES, Collection, Version
from engine.keeping_views import GenerationInfo, GenerationState

REVERT_PERIOD = timedelta(days=7)


async def listed(session: AsyncSession, collection: Collection) -> list[GenerationInfo]:
    """Return the generations of a collection, newest first; the first alone where nothing was ever changed."""
    rows = await generations.all_of(session, collection.id) or [_first(collection)]
    counts = {generation: int(chunks) for generation, chunks in await session.execute(_counted(collection.id))}
    extent = await generations.progress(session, collection)
    return [described(row, counts.get(row.id, 0), extent if row.state == GenerationState.LIVE else None) for row in rows]


def _first(collection: Collection) -> Generation:
    return Generation(
        id=collection.generation,
        collection_id=collection.id,
        number=1,
        state=GenerationState.LIVE,
        started_at=collection.created_at,
        started_by="",
        report={},
        questions=0,
        reason="",
        hint="",
        **{name: getattr(collection, name) for name in generations.PARAMETERS},
    )


def _counted(collection_id: str) -> Select[str, int]:
    live = (Version.collection_id == collection_id) & IN_INDEXES & Cut.embedded
    query = select(Cut.generation, func.sum(Cut.chunks)).join(Version, Version.id == Cut.version_id)
    return query.where(live).group_by(Cut.generation)


def described(row: Generation, chunks: int, extent: tuple[int, int] | None = None) -> GenerationInfo:
    """Return what screens show of a generation that has so many live chunks; `extent`: versions (there, wanted)."""
    done, total = extent or (row.documents_done or 0, row.documents_total or 0)
    state = GenerationState(row.state)
    kept = row.retired_at + REVERT_PERIOD if state is GenerationState.FORMER and row.retired_at else None
    return GenerationInfo(
        id=row.id,
        collection_id=row.collection_id,
        number=row.number,
        state=state,
        embedder=row.embedder,
        embedding_model=row.embedding_model,
        chunker=row.chunker,
        chunk_tokens=row.chunk_tokens,
        overlap_tokens=row.overlap_tokens,
        store=row.store,
        documents_done=done,
        documents_total=total,
        chunks=int(chunks),
        recall=row.recall,
        questions=row.questions,
        reason=row.reason,
        hint=row.hint,
        started_by=row.started_by,
        started_at=row.started_at,
        switched_at=row.switched_at,
        eta_seconds=_eta(row, done, total) if state is GenerationState.BUILDING else None,
        revertible_until=kept if kept is not None and kept > now() else None,
    )


def _eta(row: Generation, done: int, total: int) -> float | None:
    since, begun = row.report.get("since"), int(row.report.get("from", 0))
    if not since or done <= begun:
        return None
    elapsed = (now() - datetime.fromisoformat(since)).total_seconds()
    return round(elapsed / (done - begun) * max(0, total - done), 1)
