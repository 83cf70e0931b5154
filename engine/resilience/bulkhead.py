"""A bound on how many calls of one dependency run at the same time, so that a slow one cannot take every thread.

After a start it opens a quarter of its places and the rest evenly over the ramp: a cold dependency is not hit by everybody
who waited for the restart. M. Nygard, "Release It!", 2nd edition 2018, chapter 5 (bulkheads, slow start).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.errors import Overloaded

FIRST_SHARE = 0.25
RETRY_SECONDS = 1.0


class Bulkhead:
    """Thread-safe. Whoever finds it full is refused at once: waiting would only move the queue in here."""

    def __init__(
        self,
        name: str,
        places: int,
        *,
        ramp_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
    ) -> None:
        """`started`, on `clock`, is when the ramp began; now if None."""
        self._name, self._places, self._ramp, self._clock = name, places, ramp_seconds, clock
        self._started = clock() if started is None else started
        self._lock = threading.Lock()
        self.in_use = 0
        self.refused = 0

    @property
    def limit(self) -> int:
        """How many calls may run now."""
        if self._ramp > 0:
            share = (self._clock() - self._started) / self._ramp
            if share < 1:
                return max(1, int(self._places * (FIRST_SHARE + (1 - FIRST_SHARE) * share)))
            self._ramp = 0.0
        return self._places

    def enter(self) -> None:
        """Take a place. Raises Overloaded when all are taken."""
        with self._lock:
            if self.in_use < self.limit:
                self.in_use += 1
                return
            self.refused += 1
        raise Overloaded(
            f"{self._name} is busy: as many calls as it may take are running",
            hint="Nothing was lost. Try again in a moment.",
            retry_after_seconds=RETRY_SECONDS,
        )

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self.in_use -= 1
