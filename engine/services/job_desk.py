"""Files on their way, as people see and steer them; every call checks what the principal may do, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.database import collections, documents, job_events, jobs
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import DocumentRow, Job, Version, VersionState
from engine.database.present import PAST
from engine.errors import InputError
from engine.ingestion_views import JobEvent, JobInfo, JobState, Tray
from engine.services import heartbeats
from engine.services.job_forecast import Forecast, forecast
from engine.services.visible import visible
from engine.types import Principal, Right

SHOWN = 500
IN_TRAY = 20
RECENT = timedelta(minutes=10)  # how long the tray shows what ended
LISTED = timedelta(days=1)  # how long the list shows what went well
UNTAKEN = timedelta(seconds=60)
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
NEWEST = (Job.created_at.desc(), Job.id)


class _States(NamedTuple):
    """What jobs are at a moment: `what` as an expression of SQL, so that any number of them is counted there."""

    moment: datetime
    slots: int
    what: ColumnElement[str]


class JobDesk:
    """`wake` says that there may be a job to do."""

    def __init__(self, *, database: Database, stalled_seconds: float, wake: Callable[[], None]) -> None:
        self._database = database
        self._untaken = max(UNTAKEN, timedelta(seconds=stalled_seconds))
        self._wake = wake

    async def jobs(self, principal: Principal, collection_id: str | None = None) -> list[JobInfo]:
        """Return what runs, waits, failed or was stopped, and what ended well within a day, each newest first; at most 500.

        Raises NotFound.
        """
        async with self._database.read() as session:
            readable = list(await collections.rights(session, principal))
            if collection_id is not None:
                readable = [(await collections.require(session, principal, collection_id, Right.READ)).id]
            unsolved = Job.state.in_(("failed", "cancelled")) & (Version.state == VersionState.FAILED)
            wanted = or_(Job.state.in_(jobs.OPEN), unsolved, Job.updated_at >= now() - LISTED)
            return await self._infos(session, readable, wanted, await self._states(session))

    async def tray(self, principal: Principal) -> Tray:
        """Return what is on its way, and what ended within the last minutes, in all collections that the principal may read."""
        async with self._database.read() as session:
            readable = list(await collections.rights(session, principal))
            ended = Job.state.in_(ENDED) & (Job.updated_at >= now() - RECENT)
            wanted = or_(Job.state.in_(jobs.OPEN), ended)
            states = await self._states(session)
            counts = await _counted(session, readable, wanted, states.what)
            infos = await self._infos(session, readable, wanted, states)
        total = sum(counts.values())
        etas = [one.eta_seconds for one in infos if one.state not in ENDED]
        known = [eta for eta in etas if eta is not None]
        return Tray(
            working=total - sum(counts.get(state, 0) for state in ENDED),
            total=total,
            failed=counts.get(JobState.FAILED, 0),
            stalled=counts.get(JobState.STALLED, 0),
            eta_seconds=max(known) if known and len(known) == len(etas) else None,
            jobs=tuple(infos[:IN_TRAY]),
        )

    async def job_log(self, principal: Principal, document_id: str) -> list[JobEvent]:
        """Return what became of the versions of a document on their way, oldest first. Raises NotFound."""
        async with self._database.read() as session:
            await visible(session, principal, document_id)
            rows = await session.execute(select(Version.id, Version.number).where(Version.document_id == document_id))
            numbers = {version_id: number for version_id, number in rows}
            events = await job_events.of_versions(session, list(numbers))
        return [
            JobEvent(at=row.at, version=numbers[row.version_id], stage=row.stage, level=row.level, text=row.text)
            for row in events
        ]

    async def cancel(self, principal: Principal, document_id: str) -> None:
        """Stop the processing of a document; what answers by now stays as it is. Raises NotFound, AccessDenied, InputError.

        It takes effect at once; a worker that has it in hands stops within two seconds.
        """
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            found = await jobs.on_their_way(session, row.id)
            if not found:
                raise InputError(f"{row.name!r} is not being processed", hint="It may have been done a moment ago.")
            await jobs.cancel(session, found)
            for version_id in found:
                reason, hint = f"stopped by {principal.name}", "Nothing else was changed. Process it again to go on."
                await documents.fail(session, version_id, reason=reason, hint=hint)
                await job_events.add(session, version_id, reason, level="warning")
            await record(session, principal, "document.cancel", row.id, name=row.name)

    async def requeue(self, principal: Principal, document_id: str) -> None:
        """Queue a document anew that stalled, rests, failed or was stopped. Raises NotFound, AccessDenied, InputError."""
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            version = await documents.present_version(session, row.id)
            owned = (await jobs.owners(session, [version.id], alive_at=now())).get(version.id)
            if owned is not None:
                raise InputError(f"{row.name!r} is being worked on", hint="Wait until it is done, or stop it first.")
            if version.state == VersionState.FAILED:
                await documents.retry(session, version)
            elif version.state in collections.WORKING:
                await jobs.queue_again(session, version)
            else:
                raise InputError(f"{row.name!r} is done", hint="Process it again if you want it read anew.")
            await job_events.add(session, version.id, f"queued again by {principal.name}")
            await record(session, principal, "document.requeue", row.id, name=row.name, version=version.number)
        self._wake()

    async def _states(self, session: AsyncSession) -> _States:
        moment, slots = now(), await heartbeats.slots(session)
        idle = False
        if not slots or (await jobs.depth(session)).running < slots:
            # also for the moment between two files, so it counts once nothing moved for a while
            moved = await jobs.last_moved(session)
            idle = moved is None or moved < moment - self._untaken
        return _States(moment, slots, _state(moment, moment - self._untaken if idle else None))

    async def _infos(
        self, session: AsyncSession, readable: Sequence[str], wanted: ColumnElement[bool], states: _States
    ) -> list[JobInfo]:
        query = _jobs_of(readable, wanted, Job, Version, DocumentRow, states.what).limit(SHOWN)
        rows = (await session.execute(query.order_by(Job.state != "running", Job.state.not_in(jobs.OPEN), *NEWEST))).all()
        expected = Forecast({})
        if any(job.state in jobs.OPEN for job, *_ in rows):
            expected = await forecast(session, slots=states.slots, moment=states.moment)
        return [_info(job, version, row, JobState(state), expected, states.moment) for job, version, row, state in rows]


async def _counted(
    session: AsyncSession, readable: Sequence[str], wanted: ColumnElement[bool], what: ColumnElement[str]
) -> Mapping[str, int]:
    each = _jobs_of(readable, wanted, what.label("state")).subquery()
    rows = await session.execute(select(each.c.state, func.count()).group_by(each.c.state))
    return {state: count for state, count in rows}


def _jobs_of(readable: Sequence[str], wanted: ColumnElement[bool], *columns: Any) -> Select[*tuple[Any, ...]]:
    newer = aliased(Version)
    has_newer = (
        select(newer.id)
        .where(newer.document_id == Version.document_id, newer.number > Version.number, newer.state.not_in(PAST))
        .exists()
    )
    return (
        select(*columns)
        .select_from(Job)
        .join(Version, Version.id == Job.version_id)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(
            DocumentRow.collection_id.in_(readable),
            DocumentRow.deleted_at.is_(None),
            wanted,
            or_(Job.state.in_(jobs.OPEN), ~has_newer),
        )
    )


def _state(moment: datetime, left_since: datetime | None) -> ColumnElement[str]:
    """What a job is at `moment`; with a worker at rest, one that nobody took since `left_since` is stalled."""
    running, queued = Job.state == "running", Job.state == "queued"
    return case(
        (running & (Job.lease_until >= moment), JobState.RUNNING.value),
        (running, JobState.STALLED.value),
        (queued & (Job.lease_until > moment), JobState.RESTING.value),
        *([(queued & (Job.updated_at < left_since), JobState.STALLED.value)] if left_since else []),
        else_=Job.state,
    )


def _info(job: Job, version: Version, document: DocumentRow, state: JobState, expected: Forecast, moment: datetime) -> JobInfo:
    ended = job.updated_at if job.state in ENDED else moment
    seconds = (moment - job.stage_at).total_seconds() if job.stage_at else 0.0
    rate = job.done / seconds if state is JobState.RUNNING and job.done and seconds > 0 else None
    hints = {
        JobState.STALLED: "Queue it again, and look whether a worker runs (docs/ingestion.md).",
        JobState.RESTING: "It is tried again by itself.",
    }
    return JobInfo(
        document_id=document.id,
        document=document.name,
        collection_id=document.collection_id,
        version=version.number,
        state=state,
        stage=job.stage,
        progress=job.progress,
        done=job.done,
        total=job.total,
        rate=rate,
        eta_seconds=expected.seconds.get(version.id),
        elapsed_seconds=max(0.0, (ended - job.created_at).total_seconds()),
        attempts=job.attempts,
        worker=job.worker if state is JobState.RUNNING else "",
        reason=version.reason,
        hint=version.hint or hints.get(state, ""),
        created_at=job.created_at,
    )
