"""One metric with one set of label values: sums since the start, since the last drain, and of the last minutes."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.monitoring.labels import SEPARATOR
from engine.monitoring.sketch import bucket_of, merged

BOUNDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0)
"""Upper bounds in seconds of the histograms that Prometheus gets; one more bucket holds what is longer."""
SLOT_SECONDS = 10.0
SLOTS = 90  # 15 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of one series in some time: `count` of calls, `errors` among them, `total` of their seconds or amounts.

    `label` is the values of the labels, joined by "|". `buckets` counts durations by `engine.monitoring.sketch`, of timings
    only. A gauge has its last value in `total`, and a count of 1.
    """

    metric: str
    label: str
    kind: str
    count: int
    errors: int
    total: float
    buckets: dict[int, int]


@dataclass(slots=True)
class Tally:
    """Sums of some time."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, amount: float, bucket: int | None, ok: bool) -> None:
        """Note one more call."""
        self.count += 1
        self.errors += not ok
        self.total += amount
        if bucket is not None:
            self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def copied(self) -> Tally:
        """Return these sums as they are now."""
        return Tally(self.count, self.errors, self.total, dict(self.buckets))


def summed(tallies: Iterable[Tally]) -> Tally:
    """Return the sums of all."""
    found = Tally()
    for one in tallies:
        found.count += one.count
        found.errors += one.errors
        found.total += one.total
        found.buckets = merged(found.buckets, one.buckets)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One series since the start: `histogram` counts durations by `BOUNDS`, the last one is what is longer."""

    metric: str
    labels: tuple[str, ...]
    total: float
    errors: int
    histogram: tuple[int, ...]


class Series:
    """Not thread-safe: the Hub holds its lock around every call."""

    __slots__ = ("errors", "histogram", "kind", "labels", "metric", "since", "slots", "total")

    def __init__(self, metric: str, kind: str, labels: tuple[str, ...]) -> None:
        self.metric, self.kind, self.labels = metric, kind, labels
        self.total = 0.0  # seconds, amount or value, since the start
        self.errors = 0
        self.histogram = [0] * (len(BOUNDS) + 1)
        self.since = Tally()
        self.slots: deque[tuple[int, Tally]] = deque(maxlen=SLOTS)

    def add(self, amount: float, slot: int, *, ok: bool = True) -> None:
        """Note a duration in seconds, or what is added to a counter, in the given ten seconds."""
        bucket = None
        if self.kind == "timing":
            bucket = bucket_of(amount)
            self.histogram[bisect_left(BOUNDS, amount)] += 1
        self.total += amount
        self.errors += not ok
        self.since.add(amount, bucket, ok)
        if not self.slots or self.slots[-1][0] != slot:
            self.slots.append((slot, Tally()))
        self.slots[-1][1].add(amount, bucket, ok)

    def taken(self) -> Measured | None:
        """Return what came since the last time, and start over; None for nothing."""
        tally, self.since = self.since, Tally()
        return self.measured(tally)

    def recent(self, first: int) -> list[Tally]:
        """Return what came from the slot `first` on, as it is now."""
        return [one.copied() for slot, one in self.slots if slot >= first]

    def totals(self) -> Totals:
        """Return what came since the start."""
        return Totals(
            metric=self.metric, labels=self.labels, total=self.total, errors=self.errors, histogram=tuple(self.histogram)
        )

    def measured(self, tally: Tally) -> Measured | None:
        """Return sums under the name of this series; None for nothing."""
        if self.kind == "gauge":
            tally = Tally(count=1, total=self.total)
        if not tally.count:
            return None
        return Measured(
            metric=self.metric,
            label=SEPARATOR.join(self.labels),
            kind=self.kind,
            count=tally.count,
            errors=tally.errors,
            total=tally.total,
            buckets=tally.buckets,
        )
