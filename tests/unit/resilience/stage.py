"""What the tests of guards stand on: a clock that only moves when told, a meter that keeps everything, quick makers."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from engine.operations_views import Dependency
from engine.resilience.breaker import Breaker
from engine.resilience.guard import Guard
from engine.resilience.guards import Guards
from engine.sections import Resilience

CHAT = Dependency(operation="chat", provider="openai", model="gpt")
LABELS = ("chat", "openai", "gpt")


class Clock:
    """Monotonic seconds and a wall clock in step. Sleeping moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Meter:
    def __init__(self) -> None:
        self.counts: dict[tuple, float] = defaultdict(float)
        self.gauges: dict[tuple, list[float]] = defaultdict(list)
        self.times: list[tuple] = []

    def timed(self, metric, labels, seconds, *, ok=True) -> None:
        self.times.append((metric, *labels, seconds, ok))

    def counted(self, metric, labels=(), amount=1.0) -> None:
        self.counts[metric, *labels] += amount

    def gauged(self, metric, labels, value) -> None:
        self.gauges[metric, *labels].append(value)


class Fails(Exception):
    """A failure of no known class."""


def rules(**changed) -> Resilience:
    """The defaults, with short windows and no ramp; whole numbers that are easy to follow."""
    known = {"window_calls": 10, "minimum_calls": 10, "failure_rate": 0.5, "open_seconds": 30.0, "ramp_seconds": 0.0}
    return Resilience(**{**known, **changed})


def breaker(clock: Clock, heard: list | None = None, **changed) -> Breaker:
    return Breaker(
        CHAT, rules(**changed), clock=clock, wall=clock.wall, on_transition=heard.append if heard is not None else None
    )


def guard(clock: Clock, meter: Meter | None = None, *, chance=lambda: 0.5, on_transition=None, **changed) -> Guard:
    return Guard(CHAT, rules(**changed), meter=meter, clock=clock, wall=clock.wall, sleep=clock.sleep, asleep=clock.asleep,
                 chance=chance, on_transition=on_transition)  # fmt: skip


def guards(clock: Clock, meter: Meter | None = None, **changed) -> Guards:
    return Guards(rules(**changed), meter=meter, clock=clock, wall=clock.wall, sleep=clock.sleep, asleep=clock.asleep)


def fail(one: Breaker, times: int, seconds: float = 0.1) -> None:
    for _ in range(times):
        one.acquire().failed(Fails(), seconds)


def succeed(one: Breaker, times: int, seconds: float = 0.1) -> None:
    for _ in range(times):
        one.acquire().succeeded(seconds)


async def collect(stream, into: list) -> None:
    """Read a stream to its end, keeping what came before an error."""
    async for item in stream:
        into.append(item)
