"""What this process measures becomes history in SQL, once a minute, and is read back together with what is not there yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from engine.database import jobs, rollups
from engine.database.columns import now
from engine.database.database import Database
from engine.database.rollups import HALF_HOUR, MINUTE, RESOLUTIONS, Cell, Series, Sums, floored
from engine.errors import EngineError
from engine.monitoring.hub import Hub
from engine.services.backlog import by_store
from engine.services.replicas import Replica

logger = logging.getLogger(__name__)

KEPT_DAYS = 400
MINUTES_HELD = 60  # while SQL is away; what is older is held by the half hour
STEPS_HELD = 240
PURGE_EVERY = timedelta(hours=1)
GAUGE_LASTS = timedelta(minutes=3)  # a process that has not written for so long is not asked any more


class History:
    """One a process. `wall` is its clock: minutes are this clock's, and a skewed one shifts its share of the charts."""

    def __init__(
        self, *, database: Database, hub: Hub, replica: Replica, minute_hours: int, wall: Callable[[], datetime] = now
    ) -> None:
        self._database = database
        self._hub = hub
        self._replica = replica
        self._minute_hours = minute_hours
        self._wall = wall
        self._drained_at = wall()
        self._purged_at: datetime | None = None
        self._minute_task: asyncio.Task[None] | None = None
        self._waiting: dict[datetime, dict[Series, Sums]] = {}  # minute (or half hour) -> what is not in SQL yet
        self._gauges: dict[Series, float] = {}
        self._stores: set[str] = set()
        # Between the commit and the moment that `_waiting` is empty, a reader would count twice.
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Write at the end of every minute, and remove what is out of date every hour, until cancelled."""
        while True:
            await asyncio.sleep(MINUTE - self._wall().timestamp() % MINUTE)
            # A write that is cancelled half-way may have been committed, and would be written again by `close`.
            self._minute_task = asyncio.create_task(self._minute())
            await asyncio.shield(self._minute_task)

    async def close(self) -> None:
        """Write what is not written yet. Never raises: what cannot be written at the end is lost, and the log says so."""
        if self._minute_task is not None:
            await asyncio.wait([self._minute_task])
        try:
            await self.flush()
        except Exception:  # whatever it was, everything else still has to be closed
            logger.exception("the last minute of measurements is lost")

    async def flush(self) -> None:
        """Write what came since the last time; what cannot be written waits for the next. Raises StoreError."""
        async with self._lock:
            self._take()
            if not self._waiting and not self._gauges:
                return
            async with self._database.write() as session:
                await rollups.add(session, self._replica.name, self._waiting)
                await rollups.set_gauges(session, self._replica.process, self._wall(), self._gauges)
            self._waiting.clear()

    async def purge(self) -> None:
        """Remove minutes and half hours that are older than the setting, and all that is older than 400 days."""
        moment = self._wall()
        async with self._database.write() as session:
            for resolution in RESOLUTIONS:
                short = resolution in (MINUTE, HALF_HOUR)
                kept = timedelta(hours=self._minute_hours) if short else timedelta(days=KEPT_DAYS)
                await rollups.purge(session, resolution, before=moment - kept)

    async def read(self, metrics: Sequence[str], *, resolution: int, since: datetime, buckets: bool = False) -> list[Cell]:
        """Return what all replicas measured since then, with what this process has not written yet; oldest first.

        One series may have two cells of the same step. `buckets` brings the histograms of timings. Raises StoreError.
        """
        async with self._lock:
            async with self._database.read() as session:
                until = self._wall() + timedelta(days=1)  # replicas with a clock that is ahead
                found = await rollups.read(
                    session, resolution=resolution, metrics=metrics, since=since, until=until, buckets=buckets
                )
            self._take()
            fresh = rollups.in_steps(self._waiting, resolution)
        found += [
            Cell(at, metric, label, sums)
            for at, some in fresh.items()
            if at >= since
            for (metric, label), sums in some.items()
            if metric in metrics
        ]
        return sorted(found, key=lambda cell: cell.at)

    async def gauges(self, metric: str) -> dict[str, list[float]]:
        """Return label -> what a gauge is now in each process that told so within 3 minutes. Raises StoreError."""
        async with self._database.read() as session:
            told = await rollups.gauges(session, metric, since=self._wall() - GAUGE_LASTS)
        self._take()
        own = {label: value for (name, label), value in self._gauges.items() if name == metric}
        told |= {(self._replica.process, label): value for label, value in own.items()}
        found: dict[str, list[float]] = {}
        for (_, label), value in told.items():
            found.setdefault(label, []).append(value)
        return found

    async def labels(self, metric: str) -> list[str]:
        """Return the labels that a metric had in the last 24 hours, sorted. Raises StoreError."""
        since = self._wall() - timedelta(days=1)
        cells = await self.read([metric], resolution=HALF_HOUR, since=since)
        return sorted({cell.label for cell in cells})

    async def _minute(self) -> None:
        try:
            await self._measure_what_waits()
            await self.flush()
            if self._purged_at is None or self._wall() - self._purged_at >= PURGE_EVERY:
                await self.purge()
                self._purged_at = self._wall()
        except EngineError as error:
            logger.warning("measurements wait until the database takes them: %s", error)
        except Exception:  # whatever it was, the next minute tries again
            logger.exception("measurements wait until the database takes them")

    async def _measure_what_waits(self) -> None:
        try:
            async with self._database.read() as session:
                depth = await jobs.depth(session)
                late = await by_store(session, self._wall())
        except EngineError:  # the flush says it; the gauges keep what they were
            return
        self._hub.gauged("queue_documents", (), depth.waiting + depth.running)
        self._hub.gauged("queue_oldest_seconds", (), depth.oldest_seconds)
        # A gauge stays until it is set again, also that of a store that is not used any more.
        self._stores |= late.keys()
        for store in self._stores:
            changes, seconds = late.get(store, (0, 0.0))
            self._hub.gauged("store_backlog_documents", (store,), changes)
            self._hub.gauged("store_backlog_oldest_seconds", (store,), seconds)

    def _take(self) -> None:
        """Move what the hub has into the minute that it came in."""
        moment = self._wall()
        # What is drained at the end of a minute, or a little later, belongs to the minute that is over.
        since = max(moment - self._drained_at, timedelta(0))  # less than nothing: the clock was set back
        minute = floored(moment - min(since / 2, timedelta(seconds=MINUTE / 2)), MINUTE)
        self._drained_at = moment
        drained = self._hub.drain()
        self._gauges |= {(one.metric, one.label): one.total for one in drained if one.kind == "gauge"}
        new = {
            (one.metric, one.label): Sums(one.count, one.errors, one.total, {str(key): n for key, n in one.buckets.items()})
            for one in drained
            if one.kind != "gauge"
        }
        if new:
            self._waiting = _bounded(self._waiting, minute, new)


def _bounded(
    waiting: Mapping[datetime, dict[Series, Sums]], minute: datetime, new: Mapping[Series, Sums]
) -> dict[datetime, dict[Series, Sums]]:
    """Return what waits with what is new: the longer SQL is away the coarser in time, and nothing of it is lost."""
    found = dict(waiting)
    _merge(found.setdefault(minute, {}), new)
    if len(found) > MINUTES_HELD:
        young = minute - timedelta(minutes=MINUTES_HELD)
        for at in [at for at in found if at < young and floored(at, HALF_HOUR) != at]:
            _merge(found.setdefault(floored(at, HALF_HOUR), {}), found.pop(at))
    while len(found) > STEPS_HELD:
        oldest, next_one = sorted(found)[:2]
        _merge(found[next_one], found.pop(oldest))
    return found


def _merge(into: dict[Series, Sums], new: Mapping[Series, Sums]) -> None:
    for series, sums in new.items():
        into.setdefault(series, Sums()).add(sums)
