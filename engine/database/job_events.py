"""The log of a job: what began, ended, waited, stopped and why. Bounded, and without a word of the document."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.ingestion_models import JobEventRow

KEPT = 200  # newest lines of a version
TEXT_CHARS = 500


async def add(session: AsyncSession, version_id: str, text: str, *, stage: str = "", level: str = "info") -> None:
    """Add a line; `level` is "info", "warning" or "error". The oldest go when there are more than KEPT."""
    session.add(JobEventRow(version_id=version_id, stage=stage, level=level, text=text[:TEXT_CHARS]))
    await session.flush()
    of_version = select(JobEventRow.id).where(JobEventRow.version_id == version_id)
    last = await session.scalar(of_version.order_by(JobEventRow.id.desc()).offset(KEPT).limit(1))
    if last is not None:
        await session.execute(delete(JobEventRow).where(JobEventRow.version_id == version_id, JobEventRow.id <= last))


async def of_versions(session: AsyncSession, version_ids: Sequence[str]) -> list[JobEventRow]:
    """Return the lines of these versions, oldest first."""
    query = select(JobEventRow).where(JobEventRow.version_id.in_(version_ids)).order_by(JobEventRow.id)
    return list(await session.scalars(query))
