"""A circuit breaker round a whole application: after failures in a row it answers at once instead of calling it.

It counts answers of 500 and above. Other answers below 400 prove that the application works; 4xx prove nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RequestBreaker:
    """Opens after `failure_threshold` failures in a row; after `recovery_seconds` one request at a time is let through.

    The lock is never held while the application runs. A result that belongs to a former state is not counted, and a trial
    that does not come back within `recovery_seconds` makes place for the next. `clock` gives seconds.
    """

    def __init__(self, *, failure_threshold: int, recovery_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold = failure_threshold
        self._recovery_seconds = recovery_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened = False
        self._next_trial = 0.0
        self._generation = 0

    def admit(self) -> int | None:
        """Return a ticket to report with, or None when the application must not be called now."""
        with self._lock:
            if self._opened:
                now = self._clock()
                if now < self._next_trial:
                    return None
                self._next_trial = now + self._recovery_seconds
                self._generation += 1
            return self._generation

    def report(self, ticket: int, status: int) -> None:
        """Count the answer of the request with `ticket`; 0 means that there was none, for the client went away."""
        with self._lock:
            if ticket != self._generation:
                return
            if status >= 500:
                self._failed()
            elif 100 <= status < 400:
                self._failures = 0
                self._opened = False
            elif self._opened:
                self._next_trial = self._clock()

    def retry_after_seconds(self) -> float:
        """Return how long the application will not be called; 0 when it may be called now."""
        with self._lock:
            return max(0.0, self._next_trial - self._clock()) if self._opened else 0.0

    def _failed(self) -> None:
        self._failures += 1
        if self._opened or self._failures >= self._threshold:
            self._opened = True
            self._generation += 1
            self._next_trial = self._clock() + self._recovery_seconds
