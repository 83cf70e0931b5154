"""What a breaker remembers of past calls: the last so many of them, or those of the last so many seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from engine.sections import Resilience

SLICES = 20


class Window(Protocol):
    """Counts outcomes. Not thread-safe: the breaker's lock covers it. Every method takes a time that does not grow with it."""

    calls: int
    failures: int
    slow: int

    def add(self, *, failed: bool, slow: bool) -> None:
        """Count one call; forget what is too old."""
        ...

    def refresh(self) -> None:
        """Forget what is too old by now."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class CountWindow:
    """The last `size` calls."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.clear()

    def add(self, *, failed: bool, slow: bool) -> None:
        """Count one call in place of the oldest one."""
        if self.calls == self._size:
            old_failed, old_slow = self._kept.popleft()
            self.failures -= old_failed
            self.slow -= old_slow
        else:
            self.calls += 1
        self._kept.append((failed, slow))
        self.failures += failed
        self.slow += slow

    def refresh(self) -> None:
        """Do nothing: calls do not age here."""

    def clear(self) -> None:
        """Forget everything."""
        self._kept: deque[tuple[bool, bool]] = deque()
        self.calls = self.failures = self.slow = 0


class TimeWindow:
    """The calls of the last `seconds`, in 20 slices: a call is forgotten after 19/20 of that time to all of it."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._width = seconds / SLICES
        self._clock = clock
        self.clear()

    def add(self, *, failed: bool, slow: bool) -> None:
        """Count one call now."""
        now = self._forget()
        if not self._slices or self._slices[-1][0] != now:
            self._slices.append([now, 0, 0, 0])
        newest = self._slices[-1]
        newest[1] += 1
        newest[2] += failed
        newest[3] += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def refresh(self) -> None:
        """Forget what is too old by now."""
        self._forget()

    def _forget(self) -> int:
        """Forget what is too old; return the number of the slice of now."""
        now = int(self._clock() // self._width)
        while self._slices and self._slices[0][0] <= now - SLICES:
            _, calls, failures, slow = self._slices.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow
        return now

    def clear(self) -> None:
        """Forget everything."""
        self._slices: deque[list[int]] = deque()
        self.calls = self.failures = self.slow = 0


def window_of(rules: Resilience, clock: Callable[[], float]) -> Window:
    """Return the window that the settings ask for."""
    if rules.window == "time":
        return TimeWindow(rules.window_seconds, clock)
    return CountWindow(rules.window_calls)
