"""What the charts of the health page show: the history of all replicas, summed up for one range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from engine.access_views import Scope
from engine.database import rollups
from engine.database.columns import now
from engine.database.database import Database
from engine.database.rollups import FOUR_HOURS, HALF_DAY, HALF_HOUR, MINUTE, Cell, Sums
from engine.errors import InputError
from engine.monitoring.sketch import quantile
from engine.operations_views import (
    CacheInfo,
    Dependency,
    Measurements,
    Quality,
    Range,
    Timing,
    TimingPoint,
    TrafficPoint,
)
from engine.services.accounts import require_operator
from engine.services.history import KEPT_DAYS, History
from engine.services.measurements_csv import table
from engine.services.queue_view import ingestion
from engine.services.spending import spending
from engine.types import Principal

STAGES = ("rewrite", "cache", "embed", "search", "rerank", "first_token", "generate", "ground", "total")


STEPS = {
    Range.QUARTER: MINUTE,
    Range.HOUR: MINUTE,
    Range.DAY: HALF_HOUR,
    Range.WEEK: FOUR_HOURS,
    Range.MONTH: HALF_DAY,
}
"""Seconds of a step of each chart: 16 to 62 steps."""
_TIMINGS = ("stage_seconds", "dependency_seconds")
_COUNTERS = (
    "questions_total",
    "answers_total",
    "sentences_total",
    "cache_requests_total",
    "errors_total",
    "documents_total",
)


class Measured:
    """The history as operators see it. `wall` is the clock that ranges end at."""

    def __init__(self, *, database: Database, history: History, wall: Callable[[], datetime] = now) -> None:
        self._database = database
        self._history = history
        self._wall = wall

    async def measurements(self, principal: Principal, range_: Range | str) -> Measurements:
        """Return everything for one range, this minute included. Raises InputError, AccessDenied, StoreError."""
        require_operator(principal)
        if range_ not in list(Range):
            raise InputError("there is no such range", hint=f"known: {', '.join(Range)}")
        range_ = Range(range_)
        step, moment = STEPS[range_], self._wall()
        since = rollups.floored(moment - timedelta(seconds=range_.seconds), step)
        timings = await self._history.read(_TIMINGS, resolution=step, since=since, buckets=True)
        counters = await self._history.read(_COUNTERS, resolution=step, since=since)
        redis = await self._history.gauges("redis_up")
        async with self._database.read() as session:
            queue = await ingestion(session, principal, since=since, moment=moment)
            costs = await spending(session, moment)
        if principal.scopes is not None and Scope.ADMIN not in principal.scopes:
            costs = replace(costs, by_user=())  # who spends what is for people; a program that draws charts needs no names
        stages = [cell for cell in timings if cell.metric == "stage_seconds"]
        return Measurements(
            range=range_,
            since=since,
            step_seconds=step,
            empty=not any(cell.metric == "questions_total" for cell in counters) and not await self._ever(),
            stages=_timings(stages),
            stage_points=_points(stages, step),
            dependencies=_timings(cell for cell in timings if cell.metric == "dependency_seconds"),
            traffic=_traffic(counters, since=since, until=moment, seconds=step),
            caches=_caches(counters, "redis" if any(value for values in redis.values() for value in values) else "memory"),
            errors=_errors(counters),
            ingestion=queue,
            spending=costs,
            quality=_quality(counters),
        )

    async def measurements_csv(self, principal: Principal, range_: Range | str) -> str:
        """Return everything that `measurements` shows as one long table. Raises InputError, AccessDenied, StoreError."""
        return table(await self.measurements(principal, range_), at=self._wall())

    async def _ever(self) -> bool:
        # The half days are kept as long as anything.
        first = self._wall() - timedelta(days=KEPT_DAYS)
        return bool(await self._history.read(["questions_total"], resolution=HALF_DAY, since=first))


def timing(label: str, sums: Sums) -> Timing:
    """Return sums of durations as what is shown: a mean that is exact, and percentiles within 5 %."""
    buckets = {int(bucket): count for bucket, count in sums.buckets.items()}
    p50, p95, p99 = (quantile(buckets, q) * 1000 for q in (0.5, 0.95, 0.99))
    return Timing(
        label=label,
        count=sums.count,
        errors=sums.errors,
        mean_ms=sums.total / sums.count * 1000 if sums.count else 0.0,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def shown(label: str) -> str:
    """Return a label as people read it: "chat|openai|gpt" is "chat · openai · gpt"."""
    parts = label.split("|")
    return str(Dependency(operation=parts[0], provider=parts[1], model="|".join(parts[2:]))) if len(parts) > 2 else label


def by_label(cells: Iterable[Cell], metric: str = "") -> dict[str, Sums]:
    """Return label -> the sums of all steps, of one metric or of whatever is there."""
    found: dict[str, Sums] = {}
    for cell in cells:
        if not metric or cell.metric == metric:
            found.setdefault(cell.label, Sums()).add(cell.sums)
    return found


def _timings(cells: Iterable[Cell]) -> tuple[Timing, ...]:
    sums = by_label(cells)
    return tuple(timing(shown(label), sums[label]) for label in sorted(sums, key=_place))


def _points(cells: Iterable[Cell], seconds: int) -> tuple[TimingPoint, ...]:
    found: dict[tuple[datetime, str], Sums] = {}
    for cell in cells:
        found.setdefault((rollups.floored(cell.at, seconds), cell.label), Sums()).add(cell.sums)
    ordered = sorted(found, key=lambda key: (key[0], _place(key[1])))
    return tuple(TimingPoint(at=at, timing=timing(shown(label), found[at, label])) for at, label in ordered)


def _place(label: str) -> tuple[int, str]:
    return (STAGES.index(label) if label in STAGES else len(STAGES), label)


def _traffic(cells: Sequence[Cell], *, since: datetime, until: datetime, seconds: int) -> tuple[TrafficPoint, ...]:
    counts: dict[datetime, dict[tuple[str, str], float]] = defaultdict(lambda: defaultdict(float))
    for cell in cells:
        counts[rollups.floored(cell.at, seconds)][cell.metric, cell.label] += cell.sums.total
    length = int((until - since).total_seconds()) // seconds + 1
    points = []
    for at in (since + timedelta(seconds=number * seconds) for number in range(length)):
        step = counts[at]
        points.append(
            TrafficPoint(
                at=at,
                questions=round(sum(total for (metric, _), total in step.items() if metric == "questions_total")),
                failed=round(step["questions_total", "failed"]),
                refused=round(step["questions_total", "refused"]),
                fallback=round(step["answers_total", "fallback"]),
                cached=round(step["answers_total", "cache"]),
                documents_done=round(step["documents_total", "live"]),
                documents_failed=round(step["documents_total", "failed"]),
            )
        )
    return tuple(points)


def _caches(cells: Iterable[Cell], where: str) -> tuple[CacheInfo, ...]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for label, sums in by_label(cells, "cache_requests_total").items():
        name, _, result = label.partition("|")
        counts[name][result] += round(sums.total)
    return tuple(
        CacheInfo(
            name=name,
            where=where,
            hits=results["hit"],
            misses=results["miss"],
            rate=share(results["hit"], results["hit"] + results["miss"]),
        )
        for name, results in sorted(counts.items())
    )


def _errors(cells: Iterable[Cell]) -> tuple[tuple[str, int], ...]:
    counts = {label: round(sums.total) for label, sums in by_label(cells, "errors_total").items()}
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _quality(cells: Sequence[Cell]) -> Quality:
    questions = {label: sums.total for label, sums in by_label(cells, "questions_total").items()}
    sentences = {label: sums.total for label, sums in by_label(cells, "sentences_total").items()}
    answered, refused = questions.get("answered", 0.0), questions.get("refused", 0.0)
    return Quality(
        answers=round(answered),
        unsupported_rate=share(sentences.get("unsupported", 0.0), sum(sentences.values())),
        refusal_rate=share(refused, answered + refused),
    )


def share(part: float, of: float) -> float | None:
    """Return part / of, None when there is nothing."""
    return part / of if of else None
