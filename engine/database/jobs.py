"""Ingestion jobs: leased rows, so that a worker that dies is replaced and no job is done twice at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import now
from engine.database.database import changed
from engine.database.models import Job, Version


class JobLost(Exception):  # noqa: N818 - a signal between worker and pipeline, not an error that anybody reads
    """Another worker has this version now: stop, and write nothing."""


LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 3
LONGEST_REST = timedelta(minutes=10)  # nothing is put off for longer


async def claim(session: AsyncSession, owner: str, *, only: Sequence[str] | None = None) -> Job | None:
    """Lease the oldest job that waits or whose lease is over, and return it; `only` limits to these versions."""
    moment = now()
    rested = or_(Job.lease_until.is_(None), Job.lease_until < moment, Job.lease_until > moment + LONGEST_REST)
    # From further in the future than any lease: the clock of whoever wrote it is wrong, and nobody waits for it to come true.
    lapsed = or_(Job.lease_until < moment, Job.lease_until > moment + 2 * LEASE)
    free = or_((Job.state == "queued") & rested, (Job.state == "running") & lapsed)
    query = select(Job).where(free).order_by(Job.created_at, Job.id).limit(1).with_for_update(skip_locked=True)
    if only is not None:
        query = query.where(Job.version_id.in_(only[:500]))  # a database bounds the parameters of a statement
    job = await session.scalar(query)
    if job is not None:
        if job.state == "running":
            job.crashes += 1  # whoever had it never gave it back
        job.state, job.lease_owner, job.lease_until, job.attempts = "running", owner, moment + LEASE, job.attempts + 1
    return job


class Depth(NamedTuple):
    """How many jobs wait and run, and how long the oldest of them has been there."""

    waiting: int
    running: int
    oldest_seconds: float


async def depth(session: AsyncSession) -> Depth:
    """Return how long the queue is now."""
    query = select(Job.state, func.count(), func.min(Job.created_at)).where(Job.state.in_(["queued", "running"]))
    rows = {state: (count, oldest) for state, count, oldest in await session.execute(query.group_by(Job.state))}
    ages = [(now() - oldest).total_seconds() for _, oldest in rows.values()]
    counts = {state: count for state, (count, _) in rows.items()}
    return Depth(counts.get("queued", 0), counts.get("running", 0), max(0.0, *ages, 0.0))


async def unfinished(session: AsyncSession, version_ids: Sequence[str]) -> set[str]:
    """Return those of these versions whose job waits or runs."""
    found: set[str] = set()
    for start in range(0, len(version_ids), 500):
        batch = version_ids[start : start + 500]
        query = select(Job.version_id).where(Job.version_id.in_(batch), Job.state.in_(["queued", "running"]))
        found |= set(await session.scalars(query))
    return found


async def beat(session: AsyncSession, version_id: str, owner: str, *, progress: float | None = None) -> bool:
    """Prolong the lease and note progress (0..1); False when somebody else has the job by now."""
    values: dict[str, object] = {"lease_until": now() + LEASE}
    if progress is not None:
        values["progress"] = progress
    mine = (Job.version_id == version_id) & (Job.lease_owner == owner) & (Job.state == "running")
    return await changed(session, update(Job).where(mine).values(**values)) > 0


async def finish(session: AsyncSession, version_id: str, owner: str, state: str) -> None:
    """End a job as "done" or "failed". Raises JobLost when it is somebody else's by now."""
    mine = (Job.version_id == version_id) & (Job.lease_owner == owner)
    values = {"state": state, "lease_owner": "", "lease_until": None, "progress": 1.0}
    if not await changed(session, update(Job).where(mine).values(**values)):
        raise JobLost(version_id)


async def give_back(
    session: AsyncSession,
    version_id: str,
    owner: str,
    *,
    limit: int = MAX_ATTEMPTS,
    wait: Callable[[int], float] = lambda _: 0.0,
) -> bool:
    """Put one job back into the queue and return False; True, and it stays, when it was tried `limit` times.

    `wait(attempts)` are the seconds in which nobody takes it.
    """
    mine = (Job.version_id == version_id) & (Job.lease_owner == owner)
    job = await session.scalar(select(Job).where(mine))
    if job is None:
        return False
    if job.attempts >= limit:
        return True
    job.state, job.lease_owner, job.lease_until = "queued", "", now() + timedelta(seconds=wait(job.attempts))
    return False


async def postpone(session: AsyncSession, version_id: str, owner: str, *, seconds: float) -> None:
    """Put one job back into the queue, where nobody takes it for `seconds`; the attempt does not count."""
    mine = (Job.version_id == version_id) & (Job.lease_owner == owner)
    values = {"state": "queued", "lease_owner": "", "lease_until": now() + timedelta(seconds=seconds)}
    await session.execute(update(Job).where(mine).values(attempts=Job.attempts - 1, **values))


async def release(session: AsyncSession, owner: str) -> None:
    """Give all jobs of a worker that stops back to the queue; the interrupted attempt does not count."""
    await session.execute(
        update(Job)
        .where(Job.lease_owner == owner, Job.state == "running")
        .values(state="queued", lease_owner="", lease_until=None, attempts=Job.attempts - 1)
    )


async def queue_again(session: AsyncSession, version: Version) -> None:
    """Put the job of a version back to the start of its life."""
    job = await session.scalar(select(Job).where(Job.version_id == version.id))
    if job is None:
        session.add(Job(version_id=version.id))
    else:
        job.state, job.attempts, job.progress, job.lease_owner, job.lease_until = "queued", 0, 0.0, "", None
        job.crashes, job.created_at = 0, now()
