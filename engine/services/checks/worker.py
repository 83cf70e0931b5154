"""Processing of documents: how long files wait, whether anybody works on them, and who is alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select

from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Job
from engine.database.operations_models import Heartbeat
from engine.monitoring.health import DEGRADED, FAILED, HealthCheck, Outcome

LIMIT_SECONDS = 5.0
OLD_SECONDS = 600.0
STALLED_SECONDS = 120.0
ALIVE = timedelta(seconds=90)


def worker_check(database: Database, *, wall: Callable[[], datetime] = now) -> HealthCheck:
    """Return the check of the queue. A file is stalled when workers could have taken it for two minutes, and none did."""

    async def run(_asked: bool) -> Outcome:
        moment = wall()
        # Since when: a job that was queued anew waits since then, one whose worker died since its lease ended.
        since = func.coalesce(Job.lease_until, Job.updated_at)
        waiting = Job.state.in_(["queued", "running"])
        free = or_(Job.state == "queued", Job.lease_until < moment)
        async with asyncio.timeout(LIMIT_SECONDS), database.read() as session:
            count, oldest = (await session.execute(select(func.count(), func.min(Job.created_at)).where(waiting))).one()
            stalled = await session.scalar(
                select(func.count()).where(waiting, free, since < moment - timedelta(seconds=STALLED_SECONDS))
            )
            working = await session.scalar(select(func.count()).where(Job.state == "running", Job.lease_until >= moment))
            kinds = select(Heartbeat.kind, Heartbeat.at).where(Heartbeat.kind.in_(("server", "worker")))
            beats = [(kind, at >= moment - ALIVE) for kind, at in await session.execute(kinds)]
        alive = sum(fresh for _, fresh in beats)
        workers = sum(fresh and kind == "worker" for kind, fresh in beats)
        age = (moment - oldest).total_seconds() if oldest else 0.0
        detail = _waiting(count, age)
        if beats:
            detail += f"; {alive} process{' is' if alive == 1 else 'es are'} alive"
            detail += f", {workers} of them to work on files" if workers else ""
        if stalled and not working:
            return Outcome(
                state=FAILED,
                detail=f"{detail}; {stalled} could be worked on, and nobody does",
                effect="New documents are not answered from; those that are in already are.",
                hint="Look whether workers run (docs/ingestion.md), or restart the server: files go on where they stopped.",
            )
        if age < OLD_SECONDS:
            return Outcome(detail=detail)
        return Outcome(
            state=DEGRADED,
            detail=detail,
            effect="New documents are answered from later than usual.",
            hint="See which files wait on the documents page; more ingest_workers, or another worker, work on more at once.",
        )

    return HealthCheck(
        name="ingestion", run=run, limit=LIMIT_SECONDS + 1, effect="Whether new documents are processed is not known."
    )


def _waiting(count: int, age: float) -> str:
    if not count:
        return "no file waits"
    return f"{count} file{' waits or is' if count == 1 else 's wait or are'} in work, the oldest for {age:.0f} s"
