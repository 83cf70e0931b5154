"""A sliding-window log: what any key did in the last `seconds`, so that no window's edge gives a second budget."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.errors import ConfigError

EXACT_ENTRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`remaining` is what is left of the budget now, rounded down; `retry_after_seconds` is 0 when allowed."""

    allowed: bool
    remaining: int
    retry_after_seconds: float


@dataclass(slots=True)
class _Entry:
    first: float
    last: float
    cost: float


@dataclass(slots=True)
class _Log:
    entries: deque[_Entry] = field(default_factory=deque)
    used: float = 0.0


class SlidingWindow:
    """Allows each key a cost of `limit` in any span of `seconds`. Refused hits cost nothing.

    Thread-safe, and usable from async code: the lock is held for microseconds. Memory is bounded twice: after 100 entries
    of one key, hits within 1 % of the window are kept as one (at the later time, so never in the caller's favour); of
    `max_keys` keys the one that was hit least recently is forgotten.
    """

    def __init__(
        self, limit: int, seconds: float, *, clock: Callable[[], float] = time.monotonic, max_keys: int = 10_000
    ) -> None:
        if limit < 1 or not 0 < seconds < math.inf or max_keys < 1:
            raise ConfigError("a rate limit needs a positive limit, window and number of keys", hint="correct the limit")
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._max_keys = max_keys
        self._grain = seconds / EXACT_ENTRIES
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._logs)

    def hit(self, key: str, cost: float = 1) -> Verdict:
        """Charge `cost` (>= 0) to `key` if its budget allows it, and say so."""
        with self._lock:
            now = self._clock()
            log = self._log(key, now)
            if log.used + cost > self.limit:
                return Verdict(allowed=False, remaining=self._left(log), retry_after_seconds=self._wait(log, cost, now))
            if cost > 0:
                self._charge(log, cost, now)
            return Verdict(allowed=True, remaining=self._left(log), retry_after_seconds=0.0)

    def refund(self, key: str, cost: float = 1) -> None:
        """Take back the latest `cost` of `key`, for a hit that turned out to be somebody else's."""
        with self._lock:
            log = self._logs.get(key)
            while log and log.entries and cost > 0:
                newest = log.entries[-1]
                taken = min(cost, newest.cost)
                newest.cost -= taken
                log.used -= taken
                cost -= taken
                if newest.cost <= 0:
                    log.entries.pop()
            if log and not log.entries:
                del self._logs[key]

    def _log(self, key: str, now: float) -> _Log:
        log = self._logs.get(key)
        if log is None:
            while len(self._logs) >= self._max_keys:
                self._logs.popitem(last=False)
            log = self._logs[key] = _Log()
        self._logs.move_to_end(key)
        while log.entries and log.entries[0].last <= now - self.seconds:
            log.used -= log.entries.popleft().cost
        if not log.entries:
            log.used = 0.0  # sums of fractions drift
        return log

    def _charge(self, log: _Log, cost: float, now: float) -> None:
        log.used += cost
        if len(log.entries) >= EXACT_ENTRIES and now - log.entries[-1].first < self._grain:
            log.entries[-1].last = now
            log.entries[-1].cost += cost
        else:
            log.entries.append(_Entry(now, now, cost))

    def _left(self, log: _Log) -> int:
        return max(0, math.floor(self.limit - log.used))

    def _wait(self, log: _Log, cost: float, now: float) -> float:
        used = log.used
        for entry in log.entries:
            used -= entry.cost
            if used + cost <= self.limit:
                return max(0.0, entry.last + self.seconds - now)
        return self.seconds  # more than the whole budget: never allowed
