"""What alert rules can watch: one table of names, what each is called, its unit, and how it is measured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.database import jobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.rollups import MINUTE, Sums, floored
from engine.errors import InputError
from engine.operations_views import AlertMetric
from engine.services.history import History
from engine.services.measurements import STAGES, by_label, share, shown, timing
from engine.services.spending import spent_today

OPEN = 2.0  # of the gauge breaker_state: open, or forced open
FAILED = 2.0  # of the gauge check_state

Labels = Callable[[], Awaitable[tuple[str, ...]]]
Measure = Callable[[str, float], Awaitable["float | None"]]  # of a label ("" = all together), over the last minutes

_COUNTED = {"breaker_open": ("breaker_state", OPEN), "check_failed": ("check_state", FAILED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    label: str
    unit: str
    value: Measure
    labels: Labels


class Alertable:
    """All replicas together: this process as it is now, the others as they were at the end of their last minute."""

    def __init__(self, *, database: Database, history: History, wall: Callable[[], datetime] = now) -> None:
        self._database = database
        self._history = history
        self._wall = wall
        self._table = self._rows()

    async def metrics(self) -> list[AlertMetric]:
        """Return what can be watched, with the labels that it can be narrowed to now. Raises StoreError."""
        return [
            AlertMetric(name=name, label=row.label, unit=row.unit, labels=await row.labels())
            for name, row in self._table.items()
        ]

    async def value(self, name: str, label: str = "", minutes: float = 5.0) -> float | None:
        """Return what a metric is over the last minutes, None while there is nothing to measure.

        `label` narrows it to one of its labels; "" is all together: of durations all calls, of states the worst. States, the
        queue and spending are as of now, whatever `minutes`. Raises InputError for an unknown name, StoreError.
        """
        if name not in self._table:
            raise InputError("there is nothing of this name to watch", hint=f"known: {', '.join(self._table)}")
        return await self._table[name].value(label, minutes)

    def _rows(self) -> Mapping[str, _Row]:
        part, dependencies = self._part, self._named("dependency_seconds")

        def row(label: str, unit: str, value: Measure, labels: Labels = _none) -> _Row:
            return _Row(label=label, unit=unit, value=value, labels=labels)

        questions, answers = "questions_total", "answers_total"
        return {
            "error_rate": row("Questions that failed", "%", part(questions, "failed")),
            "refusal_rate": row(
                "Questions that found no answer", "%", part(questions, "refused", among=("answered", "refused"))
            ),
            "unsupported_rate": row("Sentences that nothing supports", "%", part("sentences_total", "unsupported")),
            "fallback_rate": row("Answers by another than the first link", "%", part(answers, "fallback")),
            "cache_hit_rate": row("Look-ups found in a cache", "%", self._cache_hits, self._caches),
            "questions_per_minute": row("Questions a minute", "", self._pace(questions)),
            "stage_p50_ms": row(
                "Time of an answer, or of a stage of it: median",
                "ms",
                self._quantile("stage_seconds", "p50_ms", "total"),
                _stages,
            ),
            "stage_p95_ms": row(
                "Time of an answer, or of a stage of it: 95th percentile",
                "ms",
                self._quantile("stage_seconds", "p95_ms", "total"),
                _stages,
            ),
            "dependency_p50_ms": row(
                "Time of a call of a model or store: median", "ms", self._quantile("dependency_seconds", "p50_ms"), dependencies
            ),
            "dependency_p95_ms": row(
                "Time of a call of a model or store: 95th percentile",
                "ms",
                self._quantile("dependency_seconds", "p95_ms"),
                dependencies,
            ),
            "dependency_error_rate": row("Calls of a model or store that failed", "%", self._call_errors, dependencies),
            "not_permitted_per_minute": row("Calls refused a minute", "", self._pace("not_permitted_total"), dependencies),
            "breaker_open": row(
                "Breakers that are open", "", self._at_least("breaker_state", OPEN), self._named("breaker_state")
            ),
            "check_failed": row(
                "Health checks that fail", "", self._at_least("check_state", FAILED), self._named("check_state")
            ),
            "queue_documents": row("Documents that wait or are in work", "", self._queue_documents),
            "queue_oldest_seconds": row("How long the oldest document has waited", "s", self._queue_oldest),
            "spending_today": row("Spent today (UTC)", "US$", self._spent),
        }

    # --- of the last minutes -----------------------------------------------------------------------------------------

    async def _sums(self, metric: str, minutes: float, *, buckets: bool = False) -> dict[str, Sums]:
        """Return label -> sums of the last minutes, the one that has begun included."""
        return by_label(await self._history.read([metric], resolution=MINUTE, since=self._since(minutes), buckets=buckets))

    def _since(self, minutes: float) -> datetime:
        return floored(self._wall() - timedelta(minutes=minutes), MINUTE)

    def _part(self, metric: str, outcome: str, *, among: tuple[str, ...] = ()) -> Measure:
        async def value(_label: str, minutes: float) -> float | None:
            sums = await self._sums(metric, minutes)
            totals = {label: one.total for label, one in sums.items() if not among or label in among}
            return _percent(totals.get(outcome, 0.0), sum(totals.values()))

        return value

    def _pace(self, metric: str) -> Measure:
        async def value(label: str, minutes: float) -> float | None:
            sums = await self._sums(metric, minutes)
            lasted = (self._wall() - self._since(minutes)).total_seconds() / MINUTE
            return sum(one.total for name, one in sums.items() if _within(name, label)) / max(lasted, 1.0)

        return value

    def _quantile(self, metric: str, which: str, together: str = "") -> Measure:
        """`together` is the label that "" stands for: a question as a whole, not its stages side by side."""

        async def value(label: str, minutes: float) -> float | None:
            sums, wanted = Sums(), label or together
            for name, one in (await self._sums(metric, minutes, buckets=True)).items():
                if _within(name, wanted):
                    sums.add(one)
            return float(getattr(timing("", sums), which)) if sums.count else None

        return value

    async def _call_errors(self, label: str, minutes: float) -> float | None:
        sums = [one for name, one in (await self._sums("dependency_seconds", minutes)).items() if _within(name, label)]
        return _percent(sum(one.errors for one in sums), sum(one.count for one in sums))

    async def _cache_hits(self, label: str, minutes: float) -> float | None:
        found = {"hit": 0.0, "miss": 0.0}
        for name, one in (await self._sums("cache_requests_total", minutes)).items():
            cache, _, result = name.partition("|")
            if result in found and label in ("", cache):
                found[result] += one.total
        return _percent(found["hit"], sum(found.values()))

    # --- of now ------------------------------------------------------------------------------------------------------

    def _at_least(self, metric: str, level: float) -> Measure:
        async def value(label: str, _minutes: float) -> float | None:
            found = {
                name: max(some) for name, some in (await self._history.gauges(metric)).items() if some and _within(name, label)
            }
            return float(sum(one >= level for one in found.values())) if found else None

        return value

    async def which(self, name: str, label: str) -> list[str]:
        """Return what a number counts, where it counts things that have names: the breakers that are open, say."""
        metric, level = _COUNTED.get(name, ("", 0.0))
        gauges = await self._history.gauges(metric) if metric else {}
        return sorted(shown(one) for one, some in gauges.items() if _within(one, label) and max(some, default=-1.0) >= level)

    async def _queue_documents(self, _label: str, _minutes: float) -> float | None:
        async with self._database.read() as session:
            depth = await jobs.depth(session)
        return float(depth.waiting + depth.running)

    async def _queue_oldest(self, _label: str, _minutes: float) -> float | None:
        async with self._database.read() as session:
            return (await jobs.depth(session)).oldest_seconds

    async def _spent(self, _label: str, _minutes: float) -> float | None:
        async with self._database.read() as session:
            return await spent_today(session, self._wall())

    # --- labels ------------------------------------------------------------------------------------------------------

    def _named(self, metric: str) -> Labels:
        async def labels() -> tuple[str, ...]:
            found = await self._history.gauges(metric) if metric.endswith("_state") else await self._history.labels(metric)
            return tuple(sorted({shown(label) for label in found}))

        return labels

    async def _caches(self) -> tuple[str, ...]:
        return tuple(sorted({label.partition("|")[0] for label in await self._history.labels("cache_requests_total")}))


async def _none() -> tuple[str, ...]:
    return ()


async def _stages() -> tuple[str, ...]:
    return STAGES


def _within(name: str, label: str) -> bool:
    """Whether a series of the history belongs to a label as shown: the same, or one that tells more apart ("… · open")."""
    told = shown(name)
    return not label or told == label or told.startswith(f"{label} · ") or told.startswith(f"{label}|")


def _percent(part: float, of: float) -> float | None:
    found = share(part, of)
    return None if found is None else found * 100
