"""Ingestion jobs: leased rows, so that a worker that dies is replaced and no job is done twice at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import job_events
from engine.database.collections import WORKING
from engine.database.columns import now
from engine.database.database import changed
from engine.database.models import Job, Version


class JobLost(Exception):  # noqa: N818 - a signal between worker and pipeline, not an error that anybody reads
    """Another worker has this version now: stop, and write nothing."""


LEASE = timedelta(seconds=60)
OPEN = ("queued", "running")
GONE = "its worker stopped without a word; another one goes on with it"
SWEPT = 200  # jobs that are looked at in one go
LONGEST_REST = timedelta(minutes=10)  # nothing is put off, or leased, for longer


def _free(moment: datetime) -> ColumnElement[bool]:
    # From further in the future than any lease: the clock of whoever wrote it is wrong, and nobody waits for it to come true.
    rested = or_(Job.lease_until.is_(None), Job.lease_until < moment, Job.lease_until > moment + LONGEST_REST)
    lapsed = or_(Job.lease_until < moment, Job.lease_until > moment + LONGEST_REST)
    return or_((Job.state == "queued") & rested, (Job.state == "running") & lapsed)


async def free(session: AsyncSession, *, only: Sequence[str] | None = None, limit: int = 1) -> list[str]:
    """Return the versions whose job could be claimed now, oldest first; `only` limits to these versions. Locks nothing."""
    query = select(Job.version_id).where(_free(now())).order_by(Job.created_at, Job.id).limit(limit)
    if only is not None:
        query = query.where(Job.version_id.in_(only[:500]))  # a database bounds the parameters of a statement
    return list(await session.scalars(query))


async def claim(
    session: AsyncSession, owner: str, *, only: Sequence[str] | None = None, lease: timedelta = LEASE, worker: str = ""
) -> Job | None:
    """Lease the oldest job that waits or whose lease is over, and return it; `only` limits to these versions.

    `worker` is the name of the process, for people.
    """
    moment = now()
    query = select(Job).where(_free(moment)).order_by(Job.created_at, Job.id).limit(1).with_for_update(skip_locked=True)
    if only is not None:
        query = query.where(Job.version_id.in_(only[:500]))
    job = await session.scalar(query)
    if job is not None:
        if job.state == "running":
            await _orphaned(session, job)
        job.state, job.lease_owner, job.lease_until, job.attempts = "running", owner, moment + lease, job.attempts + 1
        job.worker, job.started_at = worker, moment
        job.stage, job.stage_at, job.done, job.total = "", None, 0, 0
    return job


async def _orphaned(session: AsyncSession, job: Job) -> None:
    job.crashes += 1  # whoever had it never gave it back
    await job_events.add(session, job.version_id, GONE, stage=job.stage, level="warning")


async def stalled(session: AsyncSession) -> bool:
    """Whether there is a job whose worker is gone. Locks nothing."""
    query = select(Job.id).where(Job.state == "running", Job.lease_until < now()).limit(1)
    return await session.scalar(query) is not None


async def sweep(session: AsyncSession) -> list[str]:
    """Put jobs whose worker is gone back into the queue, and return their versions."""
    query = select(Job).where(Job.state == "running", Job.lease_until < now()).order_by(Job.created_at).limit(SWEPT)
    rows = list(await session.scalars(query.with_for_update(skip_locked=True)))
    for job in rows:
        await _orphaned(session, job)
        job.state, job.lease_owner, job.lease_until = "queued", "", None
    return [job.version_id for job in rows]


class Depth(NamedTuple):
    """How many jobs wait and run, and how long the oldest of them has been there."""

    waiting: int
    running: int
    oldest_seconds: float


async def depth(session: AsyncSession) -> Depth:
    """Return how long the queue is now."""
    query = select(Job.state, func.count(), func.min(Job.created_at)).where(Job.state.in_(OPEN))
    rows = {state: (count, oldest) for state, count, oldest in await session.execute(query.group_by(Job.state))}
    ages = [(now() - oldest).total_seconds() for _, oldest in rows.values()]
    counts = {state: count for state, (count, _) in rows.items()}
    return Depth(counts.get("queued", 0), counts.get("running", 0), max(0.0, *ages, 0.0))


async def last_moved(session: AsyncSession) -> datetime | None:
    """Return when a worker or a person last did something with a job other than queueing it; None if nobody ever did."""
    moved: datetime | None = await session.scalar(select(func.max(Job.updated_at)).where(Job.state != "queued"))
    return moved


async def unfinished(session: AsyncSession, version_ids: Sequence[str]) -> set[str]:
    """Return those of these versions whose job waits or runs."""
    found: set[str] = set()
    for start in range(0, len(version_ids), 500):
        batch = version_ids[start : start + 500]
        query = select(Job.version_id).where(Job.version_id.in_(batch), Job.state.in_(OPEN))
        found |= set(await session.scalars(query))
    return found


async def beat(session: AsyncSession, version_id: str, owner: str, *, lease: timedelta = LEASE, **values: object) -> bool:
    """Prolong the lease and note these columns; False when the job is not this owner's any more, or was cancelled."""
    mine = (Job.version_id == version_id) & (Job.lease_owner == owner) & (Job.state == "running")
    return await changed(session, update(Job).where(mine).values(lease_until=now() + lease, **values)) > 0


async def owners(session: AsyncSession, version_ids: Sequence[str], *, alive_at: datetime | None = None) -> dict[str, str]:
    """Return version -> who has its job, for those that are in work; with `alive_at` only where the lease lasts until then."""
    query = select(Job.version_id, Job.lease_owner).where(Job.version_id.in_(version_ids), Job.state == "running")
    if alive_at is not None:
        query = query.where(Job.lease_until >= alive_at)
    return {version_id: owner for version_id, owner in await session.execute(query)}


async def on_their_way(session: AsyncSession, document_id: str) -> list[str]:
    """Return the ids of the versions of a document that are not live yet, and have not failed."""
    query = select(Version.id).where(Version.document_id == document_id, Version.state.in_(WORKING))
    return list(await session.scalars(query))


async def cancel(session: AsyncSession, version_ids: Sequence[str]) -> list[str]:
    """End the jobs of these versions that wait or run, and return which. Who works on one notices that it has lost it."""
    query = select(Job).where(Job.version_id.in_(version_ids), Job.state.in_(OPEN)).with_for_update()
    rows = list(await session.scalars(query))
    for job in rows:
        job.state, job.lease_owner, job.lease_until, job.cancelled_at = "cancelled", "", None, now()
    return [job.version_id for job in rows]


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
    limit: int,
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


async def release(session: AsyncSession, owner: str) -> bool:
    """Give a job back to the queue because its worker stops; the attempt does not count. False: it is not its job any more."""
    mine = (Job.lease_owner == owner) & (Job.state == "running")
    values = {"state": "queued", "lease_owner": "", "lease_until": None}
    return await changed(session, update(Job).where(mine).values(attempts=Job.attempts - 1, **values)) > 0


async def queue_again(session: AsyncSession, version: Version) -> None:
    """Put the job of a version back to the start of its life."""
    job = await session.scalar(select(Job).where(Job.version_id == version.id))
    if job is None:
        session.add(Job(version_id=version.id))
    else:
        job.state, job.attempts, job.progress, job.lease_owner, job.lease_until = "queued", 0, 0.0, "", None
        job.crashes, job.created_at, job.cancelled_at = 0, now(), None


async def resume(session: AsyncSession, version_ids: Sequence[str]) -> None:
    """Queue the jobs of these versions that were cancelled; they go on where they stopped."""
    mine = Job.version_id.in_(version_ids) & (Job.state == "cancelled")
    values = {"state": "queued", "attempts": 0, "cancelled_at": None, "created_at": now()}
    await session.execute(update(Job).where(mine).values(**values))
