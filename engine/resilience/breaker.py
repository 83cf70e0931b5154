"""A circuit breaker: a dependency that keeps failing is left alone for a while, then tried with a few calls.

States and words follow Resilience4j's CircuitBreaker and M. Nygard, "Release It!", 2nd edition 2018, chapter 5. The lock is
held for bookkeeping only, never while a call runs, and `on_transition` is called outside it.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from engine.errors import CircuitOpen
from engine.operations_views import BreakerInfo, BreakerState, Dependency, Transition
from engine.resilience.outcome import name_of
from engine.resilience.permit import Permit
from engine.resilience.window import window_of
from engine.sections import Resilience

OPERATORS = frozenset({BreakerState.TRIPPED, BreakerState.DRAINING, BreakerState.HELD})
ELSEWHERE = "another process"
PROBING_SECONDS = 1.0  # when to come back while probes are out

_log = logging.getLogger(__name__)


def breaker_id(dependency: Dependency) -> str:
    """Return the id that all processes know a dependency by: 16 hex digits."""
    text = "\0".join((dependency.operation, dependency.provider, dependency.model))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def utc_now() -> datetime:
    """Return the time of the wall clock."""
    return datetime.now(UTC)


class Breaker:
    """Thread-safe. `clock` is monotonic seconds, `wall` the time that people read.

    `trips` counts how often an operator tripped it; only reading it is for others.
    """

    def __init__(
        self,
        dependency: Dependency,
        rules: Resilience,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now,
        on_transition: Callable[[Transition], None] | None = None,
    ) -> None:
        self.dependency, self.id = dependency, breaker_id(dependency)
        self._rules, self._clock, self._wall, self._on_transition = rules, clock, wall, on_transition
        self._lock = threading.Lock()
        self._window = window_of(rules, clock)
        self._state, self._since = BreakerState.CLOSED, wall()
        self._generation = 0
        self._openings = 0  # in a row, without a recovery between them
        self._until = 0.0
        self._probes: dict[Permit, float] = {}  # running -> when it counts as lost
        self._told: list[tuple[bool, bool]] = []  # (failed, slow) of the probes that ended
        self._changes: list[Transition] = []
        self._reason = self._by = self._last_error = ""
        self._permitted = self._not_permitted = 0
        self.trips = 0

    # --- calls -----------------------------------------------------------------------------------------------------

    def acquire(self) -> Permit:
        """Return leave for one call. Raises CircuitOpen, with `retry_after_seconds`, at once and without a call."""
        with self._lock:
            self._age()
            if self._passes():
                self._permitted += 1
                probe = self._state is BreakerState.HALF_OPEN
                permit = Permit(self, self._generation, self.trips, probe=probe)
                if probe:
                    self._probes[permit] = self._clock() + self._rules.probe_seconds
                refusal = None
            else:
                self._not_permitted += 1
                refusal = self._refusal()
        self._tell()
        if refusal is not None:
            raise refusal
        return permit

    def refusal(self) -> CircuitOpen | None:
        """Return the error that a call would meet now, None when it would pass. Takes no place and counts nothing."""
        with self._lock:
            self._age()
            found = None if self._passes() else self._refusal()
        self._tell()
        return found

    def report(self, permit: Permit, generation: int, seconds: float | None, error: BaseException | None) -> None:
        """Take in the end of a call; for permits. One from before a change of state is not counted."""
        with self._lock:
            if error is not None:
                self._last_error = name_of(error)
            if generation == self._generation:
                slow = seconds is not None and seconds >= self._rules.slow_seconds
                if self._state is BreakerState.HALF_OPEN:
                    if self._probes.pop(permit, None) is not None and seconds is not None:
                        self._told.append((error is not None, slow))
                    self._decide()
                elif seconds is not None:
                    self._window.add(failed=error is not None, slow=slow)
                    self._judge()
        self._tell()

    def prolong(self, permit: Permit, generation: int) -> None:
        """Give a running probe its full time again; for permits."""
        with self._lock:
            if generation == self._generation and permit in self._probes:
                self._probes[permit] = self._clock() + self._rules.probe_seconds

    # --- commands --------------------------------------------------------------------------------------------------

    def force(self, state: BreakerState, *, by: str, reason: str = "") -> None:
        """Put it into TRIPPED, DRAINING or HELD until somebody ends it, or back to CLOSED with an empty window.

        Raises ValueError for the states that only the breaker itself takes.
        """
        if state not in OPERATORS and state is not BreakerState.CLOSED:
            raise ValueError(f"nobody can force a breaker into {state.value!r}")
        with self._lock:
            if state is BreakerState.TRIPPED and self._state is not state:
                self.trips += 1
            if state is BreakerState.CLOSED:
                self._openings = 0
            self._change(state, reason or "an operator's command", by=by)
        self._tell()

    def opened_elsewhere(self, seconds: float, reason: str) -> None:
        """Follow another process that opened its breaker for `seconds` more; 0 ends what it told before.

        States that an operator set, and openings of our own, stay. None is longer than an own one could be, whatever is told.
        """
        seconds = min(seconds, self._rules.longest_open_seconds)
        with self._lock:
            self._age()
            if self._state is BreakerState.OPEN and self._by == ELSEWHERE:
                self._until = self._clock() + max(0.0, seconds)
            elif seconds > 0 and self._state in (BreakerState.CLOSED, BreakerState.HALF_OPEN):
                self._until = self._clock() + seconds
                self._change(BreakerState.OPEN, reason, by=ELSEWHERE)
        self._tell()

    @property
    def state(self) -> BreakerState:
        """The state now."""
        with self._lock:
            self._age()
            state = self._state
        self._tell()
        return state

    def info(self, *, in_use: int = 0, limit: int = 0) -> BreakerInfo:
        """Return what operators see; `in_use` and `limit` are the bulkhead's."""
        with self._lock:
            self._age()
            self._window.refresh()
            calls = self._window.calls
            told = calls >= self._minimum()
            found = BreakerInfo(
                id=self.id,
                dependency=self.dependency,
                state=self._state,
                since=self._since,
                calls=calls,
                failure_rate=self._window.failures / calls if told else None,
                slow_rate=self._window.slow / calls if told else None,
                permitted=self._permitted,
                not_permitted=self._not_permitted,
                in_use=in_use,
                limit=limit,
                retry_after_seconds=self._retry_after() if self._state is BreakerState.OPEN else 0.0,
                last_error=self._last_error,
                forced_by=self._by if self._state in OPERATORS else "",
                reason=self._reason,
                shared=self._state is BreakerState.OPEN and self._by == ELSEWHERE,
            )
        self._tell()
        return found

    # --- below, the lock is held -----------------------------------------------------------------------------------

    def _passes(self) -> bool:
        if self._state is BreakerState.HALF_OPEN:
            return len(self._probes) + len(self._told) < self._rules.probes
        return self._state in (BreakerState.CLOSED, BreakerState.HELD)

    def _minimum(self) -> int:
        """Return how many calls must be in the window; more than it holds can never come."""
        rules = self._rules
        return min(rules.minimum_calls, rules.window_calls) if rules.window == "count" else rules.minimum_calls

    def _age(self) -> None:
        """Do what time alone does: end the wait, give up probes that never came back."""
        now = self._clock()
        if self._state is BreakerState.OPEN and now >= self._until:
            self._change(BreakerState.HALF_OPEN, "the wait is over")
        elif self._state is BreakerState.HALF_OPEN:
            lost = [permit for permit, end in self._probes.items() if now >= end]
            for permit in lost:
                del self._probes[permit]
                self._told.append((True, True))
            if lost:
                self._last_error = "no answer to a probe"
                self._decide()

    def _judge(self) -> None:
        """Open a closed breaker whose rates are too high."""
        calls = self._window.calls
        if self._state is not BreakerState.CLOSED or calls < self._minimum():
            return
        if self._window.failures >= self._rules.failure_rate * calls:
            self._open(f"{self._window.failures} of {calls} calls failed")
        elif self._window.slow >= self._rules.slow_rate * calls:
            self._open(f"{self._window.slow} of {calls} calls were slow")

    def _decide(self) -> None:
        """End the half-open state as soon as the probes that are missing cannot change the decision."""
        probes, failed, slow = self._rules.probes, sum(one for one, _ in self._told), sum(one for _, one in self._told)
        if failed >= self._rules.failure_rate * probes:
            self._open(f"{failed} of {probes} probes failed")
        elif slow >= self._rules.slow_rate * probes:
            self._open(f"{slow} of {probes} probes were slow")
        elif len(self._told) == probes:
            self._openings = 0
            self._change(BreakerState.CLOSED, "the probes succeeded")

    def _open(self, reason: str) -> None:
        wait = min(self._rules.open_seconds * 2.0 ** min(self._openings, 60), self._rules.longest_open_seconds)
        self._openings += 1
        self._until = self._clock() + wait
        self._change(BreakerState.OPEN, reason)

    def _change(self, state: BreakerState, reason: str, *, by: str = "") -> None:
        before, self._state = self._state, state
        self._generation += 1
        self._since, self._reason, self._by = self._wall(), reason, by
        self._probes.clear()
        self._told.clear()
        if state is not BreakerState.OPEN:
            self._window.clear()
        self._changes.append(
            Transition(dependency=self.dependency, before=before, after=state, at=self._since, reason=reason, by=by)
        )

    def _retry_after(self) -> float:
        return max(0.0, self._until - self._clock())

    def _refusal(self) -> CircuitOpen:
        if self._state in OPERATORS:
            return CircuitOpen(
                f"{self.dependency} was taken out of use by an operator",
                hint="Nothing was lost. Choose another model, or ask an operator when it is back.",
            )
        if self._state is BreakerState.OPEN:
            wait = self._retry_after()
            why = f"is left alone for {max(1, round(wait))} s, because {self._reason}"
        else:
            wait, why = PROBING_SECONDS, "failed too often, and a few calls are finding out whether it works again"
        return CircuitOpen(
            f"{self.dependency} {why}",
            hint=f"Nothing was lost. Try again in about {max(1, round(wait))} s.",
            retry_after_seconds=wait,
        )

    # --- without the lock ------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Report changes, outside the lock: whoever listens may ask the breaker, or take long."""
        while self._changes:
            try:
                change = self._changes.pop(0)
            except IndexError:
                return
            _log.warning("breaker %s: %s -> %s (%s)", change.dependency, change.before, change.after, change.reason)
            if self._on_transition is not None:
                try:
                    self._on_transition(change)
                except Exception:  # noqa: BLE001 - whoever listens must not break calls
                    _log.exception("a listener of breakers failed")
