"""What operators see of ingestion: the queue, the slowest files, and those that wait although somebody could take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import Scope
from engine.database import collections, jobs
from engine.database.models import DocumentRow, Job, Version
from engine.operations_views import Ingestion, SlowFile
from engine.services import heartbeats
from engine.types import Principal

SHOWN = 10
LOOKED_AT = 2000  # newest jobs among which the slowest are looked for
STALLED_AFTER = timedelta(seconds=60)
HIDDEN = "(not shared with you)"


class _Job(NamedTuple):
    version_id: str
    state: str
    created_at: datetime
    updated_at: datetime


_COLUMNS = (Job.version_id, Job.state, Job.created_at, Job.updated_at)


async def ingestion(session: AsyncSession, principal: Principal, *, since: datetime, moment: datetime) -> Ingestion:
    """Return the queue at `moment` and the slowest files since `since`. Names are those of files the principal may read."""
    depth = await jobs.depth(session)
    newest = select(*_COLUMNS).where(Job.updated_at >= since, Job.state != "queued")
    rows = [_Job(*row) for row in await session.execute(newest.order_by(Job.created_at.desc()).limit(LOOKED_AT))]
    took = sorted(((row, _seconds(row, moment)) for row in rows), key=lambda one: -one[1])[:SHOWN]
    stalled = [(row, _seconds(row, moment)) for row in await _stalled(session, depth.running, moment)]
    files = await _files(session, principal, [row.version_id for row, _ in [*took, *stalled]])
    return Ingestion(
        waiting=depth.waiting,
        running=depth.running,
        oldest_seconds=depth.oldest_seconds,
        slowest=_shown(took, files),
        stalled=_shown(stalled, files),
    )


async def _stalled(session: AsyncSession, running: int, moment: datetime) -> Sequence[_Job]:
    """Return jobs whose worker is gone and, unless every slot is busy, those that nobody took for a minute."""
    late = moment - STALLED_AFTER
    gone = (Job.state == "running") & (Job.lease_until < late)
    slots = await heartbeats.slots(session)
    rested = or_(Job.lease_until.is_(None), Job.lease_until < late)  # a job that rests until its next try is not stalled
    left = (Job.state == "queued") & rested & (Job.updated_at < late)
    busy = slots and running >= slots
    query = select(*_COLUMNS).where(gone if busy else or_(gone, left)).order_by(Job.created_at).limit(SHOWN)
    return [_Job(*row) for row in await session.execute(query)]


async def _files(session: AsyncSession, principal: Principal, version_ids: Sequence[str]) -> Mapping[str, tuple[str, str, str]]:
    """Return version id -> document id, the name that the principal may know, and the version's state."""
    reads = principal.scopes is None or bool(principal.scopes & {Scope.READ, Scope.ADMIN})
    readable = await collections.rights(session, principal) if reads else {}
    query = (
        select(Version.id, Version.state, DocumentRow.id, DocumentRow.name, DocumentRow.collection_id)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(Version.id.in_(version_ids))
    )
    return {
        version_id: (document_id, name if collection_id in readable else HIDDEN, state)
        for version_id, state, document_id, name, collection_id in await session.execute(query)
    }


def _seconds(row: _Job, moment: datetime) -> float:
    ended = row.updated_at if row.state in {"done", "failed"} else moment
    return max(0.0, float((ended - row.created_at).total_seconds()))


def _shown(rows: Sequence[tuple[_Job, float]], files: Mapping[str, tuple[str, str, str]]) -> tuple[SlowFile, ...]:
    return tuple(
        SlowFile(document_id=document_id, document=name, state=state, seconds=round(seconds, 1))
        for row, seconds in rows
        for document_id, name, state in [files.get(row.version_id, ("", HIDDEN, row.state))]
    )
