"""What a guard tells the meter; the names and labels are those of `engine.monitoring.catalogue`."""

from __future__ import annotations

from collections.abc import Sequence

from engine.operations_views import BreakerState, Dependency
from engine.protocols import Meter
from engine.resilience.outcome import Outcome, key_refused, name_of

LEVELS = {
    BreakerState.HELD: -1.0,
    BreakerState.CLOSED: 0.0,
    BreakerState.HALF_OPEN: 1.0,
    BreakerState.OPEN: 2.0,
    BreakerState.TRIPPED: 3.0,
    BreakerState.DRAINING: 3.0,
}


class Silent:
    """A meter that keeps nothing."""

    def timed(self, metric: str, labels: Sequence[str], seconds: float, *, ok: bool = True) -> None:
        """Do nothing."""

    def counted(self, metric: str, labels: Sequence[str] = (), amount: float = 1.0) -> None:
        """Do nothing."""

    def gauged(self, metric: str, labels: Sequence[str], value: float) -> None:
        """Do nothing."""


class Measures:
    """The numbers of one dependency."""

    def __init__(self, dependency: Dependency, meter: Meter) -> None:
        self._meter = meter
        self._operation = dependency.operation
        self._labels = (dependency.operation, dependency.provider, dependency.model)
        self._results = {result: (*self._labels, result) for result in ("success", "failure", "neutral")}

    def ended(self, outcome: Outcome, error: BaseException | None, seconds: float, *, slow: bool) -> None:
        """Note a call. The time of neutral ones is left out: it says nothing about the dependency."""
        self._meter.counted("dependency_calls_total", self._results[outcome])
        if outcome != "neutral":
            self._meter.timed("dependency_seconds", self._labels, seconds, ok=outcome == "success")
            if slow:
                self._meter.counted("slow_calls_total", self._labels)
        elif error is not None and key_refused(error):
            self._meter.counted("errors_total", (name_of(error),))

    def refused(self, reason: str) -> None:
        """Note a call that was not made: the breaker is "open", the bulkhead "full", or the retry "budget" used up."""
        self._meter.counted("not_permitted_total", (*self._labels, reason))

    def retried(self, error: BaseException) -> None:
        """Note a further try after `error`."""
        self._meter.counted("retries_total", (self._operation, name_of(error)))

    def state(self, state: BreakerState) -> None:
        """Note what the breaker is now."""
        self._meter.gauged("breaker_state", self._labels, LEVELS[state])

    def in_use(self, calls: int) -> None:
        """Note how many calls run."""
        self._meter.gauged("bulkhead_in_use", self._labels, calls)
