"""One guard for each dependency of this process."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime

from engine.operations_views import Dependency, Transition
from engine.protocols import Meter
from engine.resilience.breaker import utc_now
from engine.resilience.guard import Guard
from engine.resilience.retrying import AsyncSleep, Sleep
from engine.sections import Resilience


class Guards:
    """Thread-safe. Breakers start closed; all bulkheads begin to open when this is made."""

    def __init__(
        self,
        rules: Resilience,
        *,
        meter: Meter | None = None,
        on_transition: Callable[[Transition], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now,
        sleep: Sleep = time.sleep,
        asleep: AsyncSleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`on_transition` hears of every change of a breaker, in the thread that caused it."""
        self._rules, self._meter, self._on_transition = rules, meter, on_transition
        self._clock, self._wall, self._sleep, self._asleep, self._chance = clock, wall, sleep, asleep, chance
        self._started = clock()
        self._lock = threading.Lock()
        self._guards: dict[Dependency, Guard] = {}

    def of(self, dependency: Dependency) -> Guard:
        """Return the guard of a dependency, the same one each time."""
        found = self._guards.get(dependency)
        if found is not None:
            return found
        with self._lock:
            found = self._guards.get(dependency)
            if found is None:
                found = self._guards[dependency] = Guard(
                    dependency,
                    self._rules,
                    meter=self._meter,
                    on_transition=self._on_transition,
                    clock=self._clock,
                    wall=self._wall,
                    sleep=self._sleep,
                    asleep=self._asleep,
                    chance=self._chance,
                    started=self._started,
                )
            return found

    def all(self) -> list[Guard]:
        """Return the guards that were asked for so far, in the order of their names."""
        with self._lock:
            return sorted(self._guards.values(), key=lambda guard: str(guard.dependency))

    def find(self, breaker_id: str) -> Guard | None:
        """Return the guard whose breaker has that id, None if nobody asked for it yet."""
        return next((guard for guard in self.all() if guard.breaker.id == breaker_id), None)
