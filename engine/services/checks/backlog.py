"""Whether stores that keep their vectors know what SQL knows: how many changes they lack, and since when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select

from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection
from engine.monitoring.health import DEGRADED, HealthCheck, Outcome
from engine.services.backlog import behind

LIMIT_SECONDS = 5.0
LATE_SECONDS = 60.0


def backlog_check(database: Database, *, wall: Callable[[], datetime] = now) -> HealthCheck:
    """Return the check of what stores have still to take in. It asks SQL alone, so it also works while a store is away."""

    async def run(_asked: bool) -> Outcome:
        async with asyncio.timeout(LIMIT_SECONDS), database.read() as session:
            late = await behind(session)
            total = await session.scalar(select(func.count()).select_from(Collection).where(Collection.space != "")) or 0
        if not total:
            return Outcome(detail="no collection is kept in a store of its own")
        if not late:
            return Outcome(detail=f"{total} collection{'s are' if total > 1 else ' is'} up to date with the database")
        age = max(0.0, (wall() - late[0].since).total_seconds())
        changes = sum(one.changes for one in late)
        what = f"{changes} document{'s' * (changes != 1)} of {len(late)} of {total} collections"
        detail = f"{what} have still to reach {', '.join(sorted({one.store for one in late}))}, the oldest for {age:.0f} s"
        if age < LATE_SECONDS:
            return Outcome(detail=detail)
        return Outcome(
            state=DEGRADED,
            detail=detail,
            effect="These documents are found by words only; what was deleted is in no answer all the same. Nothing is lost.",
            hint="See the check of the store itself; when it answers again, it is brought up to date by itself.",
        )

    return HealthCheck(
        name="store backlog",
        run=run,
        limit=LIMIT_SECONDS + 1,
        serving=True,
        effect="How far the stores are behind is not known.",
    )
