"""What users sent within the last hour: what the limits on uploads count."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.access_models import Upload


async def since(session: AsyncSession, user_id: str, moment: datetime) -> tuple[int, int, datetime | None]:
    """Return how many files and bytes a user sent after `moment`, and when the first of them came."""
    sums = select(func.count(), func.coalesce(func.sum(Upload.size_bytes), 0), func.min(Upload.at))
    files, size, first = (await session.execute(sums.where(Upload.user_id == user_id, Upload.at > moment))).one()
    return files, int(size), first


async def purge(session: AsyncSession, before: datetime) -> None:
    """Forget older ones."""
    await session.execute(delete(Upload).where(Upload.at <= before))
