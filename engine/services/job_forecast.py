"""When files on their way will answer, from what files of their kind took before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.jobs import OPEN
from engine.database.models import DocumentRow, Job, Version

LEARNED_FROM = 50  # newest files that went well
LOOKED_AT = 2000  # oldest files on their way
MB = 1 << 20
LEAST = MB // 4  # a smaller file counts as this much: opening it and its first passages take the most of its time


class Took(NamedTuple):
    """What a file took: its kind (the ending of its name), its size in bytes, and the seconds that it was worked on."""

    kind: str
    size_bytes: int
    seconds: float


class Open(NamedTuple):
    """A file on its way. `worked_seconds` since a worker took it, None while it waits.

    `left_seconds` is what the present stage takes yet at its present rate, None where that is not known.
    """

    version_id: str
    kind: str
    size_bytes: int
    worked_seconds: float | None
    left_seconds: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds until each version answers; those of which nothing is known are left out."""

    seconds: Mapping[str, float]


async def forecast(session: AsyncSession, *, slots: int, moment: datetime) -> Forecast:
    """Return the forecast for all that is on its way, for `slots` files at a time."""
    return expected(await _open(session, moment), await _took(session), slots=slots)


def expected(waiting: Sequence[Open], took: Sequence[Took], *, slots: int) -> Forecast:
    """Return the forecast: files are taken in this order, `slots` at a time, and cost what their kind cost by the megabyte."""
    pace, seconds, ahead = _pace(took), dict[str, float](), 0.0
    for one in waiting:
        per_mb = pace.get(one.kind, pace.get(""))
        own = per_mb * _weight(one.size_bytes) if per_mb is not None else None
        if one.worked_seconds is not None:
            guesses = [one.left_seconds, None if own is None else max(0.0, own - one.worked_seconds)]
            left = max((guess for guess in guesses if guess is not None), default=None)
        else:
            left = own
        if left is None:
            return Forecast(seconds)  # nothing is known about it, and so about none behind it
        wait = 0.0 if one.worked_seconds is not None else ahead / max(slots, 1)
        seconds[one.version_id] = wait + left
        ahead += left
    return Forecast(seconds)


def _pace(took: Sequence[Took]) -> dict[str, float]:
    """Return kind -> seconds for a megabyte; "" for all kinds together."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in took:
        for kind in {one.kind, ""}:
            totals[kind][0] += one.seconds
            totals[kind][1] += _weight(one.size_bytes)
    return {kind: seconds / size for kind, (seconds, size) in totals.items() if size > 0}


def _weight(size_bytes: int) -> float:
    """Return the megabytes that a file counts as."""
    return max(size_bytes, LEAST) / MB


async def _open(session: AsyncSession, moment: datetime) -> list[Open]:
    query = (
        select(Job, Version.size_bytes, DocumentRow.name)
        .join(Version, Version.id == Job.version_id)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(Job.state.in_(OPEN))
        .order_by(Job.state.desc(), Job.created_at, Job.id)  # "running" before "queued"
        .limit(LOOKED_AT)
    )
    return [_as_open(job, size, name, moment) for job, size, name in await session.execute(query)]


def _as_open(job: Job, size_bytes: int, name: str, moment: datetime) -> Open:
    working = job.state == "running"
    stage = (moment - job.stage_at).total_seconds() if working and job.stage_at else 0.0
    return Open(
        version_id=job.version_id,
        kind=_kind(name),
        size_bytes=size_bytes,
        worked_seconds=(moment - job.started_at).total_seconds() if working and job.started_at else None,
        left_seconds=stage / job.done * max(0, job.total - job.done) if job.done and stage > 0 else None,
    )


async def _took(session: AsyncSession) -> list[Took]:
    query = (
        select(DocumentRow.name, Version.size_bytes, Job.started_at, Job.updated_at)
        .join(Version, Version.id == Job.version_id)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(Job.state == "done", Job.started_at.is_not(None))
        .order_by(Job.updated_at.desc())
        .limit(LEARNED_FROM)
    )
    return [
        Took(_kind(name), size, max(0.0, (ended - started).total_seconds()))
        for name, size, started, ended in await session.execute(query)
        if started is not None
    ]


def _kind(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else "?"
