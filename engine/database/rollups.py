"""The history of measurements: sums of minutes, half hours, four hours and half days, of each replica.

All of them are added to when something is written, so that each chart reads the one resolution that it draws, and nothing
has to be merged later: there is no job that could be late, run twice, or be cut off half-way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.operations_models import RollupRow

MINUTE, HALF_HOUR, FOUR_HOURS, HALF_DAY = 60, 1800, 14_400, 43_200
RESOLUTIONS = (MINUTE, HALF_HOUR, FOUR_HOURS, HALF_DAY)
BATCH = 60  # steps of one query

Series = tuple[str, str]
"""A metric and its label (the values of its labels, joined by "|")."""


@dataclass(slots=True)
class Sums:
    """What came of one series in some time. `total` is in seconds or in what a counter counts.

    `buckets` counts durations: bucket of `engine.monitoring.sketch` as text (the keys of JSON are) -> how many.
    """

    count: int = 0
    errors: int = 0
    total: float = 0.0
    buckets: dict[str, int] = field(default_factory=dict)

    def add(self, other: Sums) -> None:
        """Add what came at another time, or elsewhere."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count


@dataclass(frozen=True, slots=True)
class Cell:
    """The sums of one series in the step that begins at `at`."""

    at: datetime
    metric: str
    label: str
    sums: Sums


def floored(at: datetime, seconds: int) -> datetime:
    """Return the beginning of the step of so many seconds that `at` is in; steps begin at midnight UTC."""
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def in_steps(minutes: Mapping[datetime, Mapping[Series, Sums]], seconds: int) -> dict[datetime, dict[Series, Sums]]:
    """Return the same sums in longer steps."""
    found: dict[datetime, dict[Series, Sums]] = defaultdict(dict)
    for at, some in minutes.items():
        step = found[floored(at, seconds)]
        for series, sums in some.items():
            step.setdefault(series, Sums()).add(sums)
    return found


async def add(session: AsyncSession, replica: str, minutes: Mapping[datetime, Mapping[Series, Sums]]) -> None:
    """Add sums of minutes to what `replica` has in every resolution.

    Processes that share a name share rows: each row is locked, and a series that two begin at once has two rows, which every
    reader adds up.
    """
    for resolution in RESOLUTIONS:
        steps = sorted(in_steps(minutes, resolution).items())
        for start in range(0, len(steps), BATCH):
            batch = steps[start : start + BATCH]
            metrics = {metric for _, some in batch for metric, _ in some}
            rows = await _rows(session, resolution, replica, [at for at, _ in batch], metrics)
            for at, some in batch:
                for series, sums in some.items():
                    if (at, series) in rows:
                        _grow(rows[at, series], sums)
                    else:
                        session.add(_row(resolution, at, replica, series, sums))
            await session.flush()


async def set_gauges(session: AsyncSession, replica: str, at: datetime, values: Mapping[Series, float]) -> None:
    """Set what each gauge of a process was in the minute of `at`; gauges have no longer history than minutes."""
    at = floored(at, MINUTE)
    rows = await _rows(session, MINUTE, replica, [at], {metric for metric, _ in values})
    for series, value in values.items():
        if (at, series) in rows:
            rows[at, series].total = value
        else:
            session.add(_row(MINUTE, at, replica, series, Sums(count=1, total=value)))


async def read(
    session: AsyncSession, *, resolution: int, metrics: Sequence[str], since: datetime, until: datetime, buckets: bool = False
) -> list[Cell]:
    """Return what all replicas have together, in steps that begin at `since` or later and before `until`, oldest first.

    Without `buckets` the database adds up; with them every row is read.
    """
    keys = (RollupRow.at, RollupRow.metric, RollupRow.label)
    chosen = (
        RollupRow.resolution == resolution,
        RollupRow.metric.in_(metrics),
        RollupRow.at >= since,
        RollupRow.at < until,
    )
    if not buckets:
        sums = (func.sum(RollupRow.count), func.sum(RollupRow.errors), func.sum(RollupRow.total))
        query = select(*keys, *sums).where(*chosen).group_by(*keys).order_by(*keys)
        return [
            Cell(at, metric, label, Sums(int(count), int(errors), float(total)))
            for at, metric, label, count, errors, total in await session.execute(query)
        ]
    found: dict[tuple[datetime, str, str], Sums] = {}
    numbers = (RollupRow.count, RollupRow.errors, RollupRow.total, RollupRow.buckets)
    rows = await session.execute(select(*keys, *numbers).where(*chosen).order_by(*keys))
    for at, metric, label, count, errors, total, counts in rows:
        found.setdefault((at, metric, label), Sums()).add(Sums(count, errors, total, counts))
    return [Cell(*key, sums) for key, sums in found.items()]


async def gauges(session: AsyncSession, metric: str, *, since: datetime) -> dict[tuple[str, str], float]:
    """Return (process, label) -> the newest value of a gauge that the process gave since then."""
    query = (
        select(RollupRow.replica, RollupRow.label, RollupRow.total)
        .where(RollupRow.resolution == MINUTE, RollupRow.metric == metric, RollupRow.at >= since)
        .order_by(RollupRow.at)
    )
    return {(replica, label): value for replica, label, value in await session.execute(query)}


async def labels(session: AsyncSession, metric: str, *, resolution: int, since: datetime) -> list[str]:
    """Return the labels that a metric had since then, sorted."""
    query = (
        select(RollupRow.label)
        .where(RollupRow.resolution == resolution, RollupRow.metric == metric, RollupRow.at >= since)
        .distinct()
    )
    return sorted(await session.scalars(query))


async def purge(session: AsyncSession, resolution: int, *, before: datetime) -> None:
    """Remove the rows of one resolution that began before then."""
    await session.execute(delete(RollupRow).where(RollupRow.resolution == resolution, RollupRow.at < before))


async def _rows(
    session: AsyncSession, resolution: int, replica: str, steps: Sequence[datetime], metrics: set[str]
) -> dict[tuple[datetime, Series], RollupRow]:
    query = (
        select(RollupRow)
        .where(
            RollupRow.resolution == resolution,
            RollupRow.metric.in_(sorted(metrics)),
            RollupRow.at.in_(steps),
            RollupRow.replica == replica,
        )
        .order_by(RollupRow.id)  # two processes of one name lock in the same order
        .with_for_update()
    )
    return {(row.at, (row.metric, row.label)): row for row in await session.scalars(query)}


def _row(resolution: int, at: datetime, replica: str, series: Series, sums: Sums) -> RollupRow:
    metric, label = series
    return RollupRow(
        resolution=resolution,
        at=at,
        replica=replica,
        metric=metric,
        label=label,
        count=sums.count,
        errors=sums.errors,
        total=sums.total,
        buckets=dict(sums.buckets),
    )


def _grow(row: RollupRow, sums: Sums) -> None:
    grown = Sums(row.count, row.errors, row.total, dict(row.buckets))
    grown.add(sums)
    row.count, row.errors, row.total = grown.count, grown.errors, grown.total
    row.buckets = grown.buckets  # a new dict: SQLAlchemy does not see changes within one
