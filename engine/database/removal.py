"""Removing the content of versions: pages, chunks, jobs, vectors that nothing else has; the rows stay as tombstones."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import content
from engine.database.models import ChunkRow, Job, PageRow, Version, VersionState


async def remove_content(session: AsyncSession, versions: Sequence[Version]) -> list[str]:
    """Empty these versions; return the keys of originals that no other version names, to be removed after the commit."""
    ids = [row.id for row in versions]
    for row in versions:
        row.state = VersionState.DELETED
    await session.flush()  # first: whoever cuts a version just now waits for its row, and then sees that it is gone
    keys: set[str] = set()
    for version_id in ids:
        await session.execute(delete(Job).where(Job.version_id == version_id))
        # Locked: an embedder that is still at it writes before, and is swept, or finds the version gone.
        await session.execute(select(Version.id).where(Version.id == version_id).with_for_update())
        keys |= set(await session.scalars(select(ChunkRow.vector_sha256).where(ChunkRow.version_id == version_id)))
        for table in (PageRow, ChunkRow):
            await session.execute(delete(table).where(table.version_id == version_id))
    await content.sweep_vectors(session, keys)
    wanted = {row.blob for row in versions}
    used = select(Version.blob).where(Version.blob.in_(wanted), Version.state != VersionState.DELETED)
    return sorted(wanted - set(await session.scalars(used)))
