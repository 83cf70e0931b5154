"""Every number of this process, in memory: told to Prometheus, drained into the history, looked at by alerts."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.monitoring.catalogue import METRICS, Metric
from engine.monitoring.labels import OTHER, cleaned
from engine.monitoring.series import SLOT_SECONDS, Measured, Series, Totals, summed

__all__ = ["Hub", "Measured"]

logger = logging.getLogger(__name__)


class Hub:
    """The `engine.protocols.Meter` of a process, over the metrics of `engine.monitoring.catalogue`.

    With `strict` a metric that does not exist, a wrong number of labels or an impossible number raises ValueError, so that
    tests find it; without, it is logged once and passed over, for no measurement is worth a failed answer. `clock` gives
    seconds of any origin, that never go back. `on_timed(metric, labels, seconds, ok)` hears of each duration in its caller's
    thread, with the labels as they are kept; it must not raise.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        clock: Callable[[], float] = time.monotonic,
        metrics: Mapping[str, Metric] = METRICS,
        on_timed: Callable[[str, tuple[str, ...], float, bool], None] | None = None,
    ) -> None:
        self._strict = strict
        self._clock = clock
        self._metrics = metrics
        self._on_timed = on_timed
        self._lock = threading.Lock()
        self._series: dict[tuple[str, tuple[str, ...]], Series] = {}
        self._sets: Counter[str] = Counter()  # label sets of each metric that are told apart
        self._told: set[str] = set()

    def timed(self, metric: str, labels: Sequence[str], seconds: float, *, ok: bool = True) -> None:
        """Note one duration; `ok=False` counts it as failed as well."""
        self._add("timing", metric, labels, seconds, ok)

    def counted(self, metric: str, labels: Sequence[str] = (), amount: float = 1.0) -> None:
        """Add to a counter."""
        self._add("counter", metric, labels, amount, ok=True)

    def gauged(self, metric: str, labels: Sequence[str], value: float) -> None:
        """Set what something is now."""
        with self._lock:
            series = self._of("gauge", metric, labels, valid=math.isfinite(value))
            if series:
                series.total = float(value)

    def drain(self) -> list[Measured]:
        """Return what came since the last drain, sorted; a gauge comes each time. Each call is in exactly one drain."""
        with self._lock:
            return _sorted(series.taken() for series in self._series.values())

    def snapshot(self, seconds: float) -> list[Measured]:
        """Return what came in the last `seconds` (at most 15 minutes, rounded up to 10 s), sorted, with every gauge."""
        with self._lock:
            first = int((self._clock() - seconds) // SLOT_SECONDS)
            recent = [(series, series.recent(first)) for series in self._series.values()]
        return _sorted(series.measured(summed(tallies)) for series, tallies in recent)

    def exposition(self) -> bytes:
        """Return everything since the start in the text format 0.0.4 of Prometheus, with numbers of this process."""
        from engine.monitoring.exposition import registry_of, written  # noqa: PLC0415 - loads prometheus_client on first use

        return written(registry_of(self._metrics, self.totals))

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve the same text at http://host:port/metrics without asking for a credential; return what ends it.

        Raises OSError when the port is taken.
        """
        from engine.monitoring.exposition import registry_of, served  # noqa: PLC0415

        return served(registry_of(self._metrics, self.totals), host, port)

    def totals(self) -> list[Totals]:
        """Return a copy of everything since the start."""
        with self._lock:
            return [series.totals() for series in self._series.values()]

    def _add(self, kind: str, metric: str, labels: Sequence[str], amount: float, ok: bool) -> None:
        slot = int(self._clock() // SLOT_SECONDS)
        with self._lock:
            series = self._of(kind, metric, labels, valid=0 <= amount < math.inf)
            if series:
                series.add(amount, slot, ok=ok)
        if series and kind == "timing" and self._on_timed:
            self._on_timed(metric, series.labels, amount, ok)

    def _of(self, kind: str, metric: str, labels: Sequence[str], *, valid: bool) -> Series | None:
        """Return the series of a measurement, made at its first; None for one that cannot be."""
        series = self._series.get((metric, tuple(labels)))
        if series and valid and series.kind == kind:
            return series
        found = self._metrics.get(metric)
        if found is None or found.kind != kind or len(labels) != len(found.labels) or not valid:
            self._wrong(kind, metric, labels, valid)
            return None
        return self._made(metric, found, tuple(cleaned(label) for label in labels))

    def _made(self, metric: str, found: Metric, labels: tuple[str, ...]) -> Series:
        if (metric, labels) not in self._series:
            if self._sets[metric] >= found.cap:
                labels = (OTHER,) * len(labels)
            elif any(label != OTHER for label in labels):
                self._sets[metric] += 1
        return self._series.setdefault((metric, labels), Series(metric, found.kind, labels))

    def _wrong(self, kind: str, metric: str, labels: Sequence[str], valid: bool) -> None:
        problem = f"no {kind} {metric!r} with {len(labels)} labels" if valid else f"an impossible number for {metric!r}"
        if self._strict:
            raise ValueError(problem)
        if metric not in self._told and len(self._told) < 100:
            self._told.add(metric)
            logger.error("a measurement was passed over: %s", problem)


def _sorted(found: Iterable[Measured | None]) -> list[Measured]:
    return sorted((one for one in found if one), key=lambda one: (one.metric, one.label))
