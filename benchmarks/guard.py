"""What a guard costs a call: the call bare, and behind a guard that reports to a meter, with p50 and p95 in microseconds.

python -m benchmarks.guard [--calls 10000]

The call does nothing, so the ratio is the worst there can be; what counts is the difference, against calls that take
milliseconds. "Refused" is a call of an open breaker. Garbage collection is on, as it is in production.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from engine.errors import CircuitOpen
from engine.operations_views import BreakerState, Dependency
from engine.resilience.guard import Guard
from engine.sections import Resilience


class Stub:
    """A meter that does the least that any must: it finds the series and adds."""

    def __init__(self) -> None:
        self.series = defaultdict(float)

    def timed(self, metric, labels, seconds, *, ok=True) -> None:
        self.series[metric, *labels, ok] += seconds

    def counted(self, metric, labels=(), amount=1.0) -> None:
        self.series[metric, *labels] += amount

    def gauged(self, metric, labels, value) -> None:
        self.series[metric, *labels] = value


def guard(**changed) -> Guard:
    return Guard(Dependency(operation="chat", provider="p", model="m"), Resilience(ramp_seconds=0, **changed), meter=Stub())


def blocking(call: Callable[[], object], calls: int) -> list[float]:
    took = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        call()
        took.append((time.perf_counter_ns() - began) / 1_000)
    return sorted(took)


async def awaited(call: Callable[[], Awaitable[object]], calls: int) -> list[float]:
    took = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        await call()
        took.append((time.perf_counter_ns() - began) / 1_000)
    return sorted(took)


async def streamed(open_: Callable[[], object], calls: int) -> list[float]:
    """Return microseconds for each of 100 items."""
    took = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        async for _item in open_():
            pass
        took.append((time.perf_counter_ns() - began) / 100_000)
    return sorted(took)


def nothing() -> None:
    return None


async def anothing() -> None:
    return None


async def items():
    for number in range(100):
        yield number


async def main(calls: int) -> None:
    one, closed = guard(), guard()
    closed.breaker.force(BreakerState.TRIPPED, by="benchmark")

    def refused() -> None:
        with suppress(CircuitOpen):
            closed.call(nothing)

    for _ in range(2):  # the first round warms up
        rows = [
            ("sync", blocking(nothing, calls), blocking(lambda: one.call(nothing), calls)),
            ("async", await awaited(anothing, calls), await awaited(lambda: one.acall(anothing), calls)),
            ("async, with a time limit", await awaited(anothing, calls), await awaited(lambda: one.acall(anothing, seconds=60), calls)),
            ("stream, each of 100 items", await streamed(items, calls // 50), await streamed(lambda: one.stream(items), calls // 50)),
            ("refused", blocking(nothing, calls), blocking(refused, calls)),
        ]  # fmt: skip
    print(f"{'':26}{'bare p50':>10}{'p95':>8}{'guard p50':>12}{'p95':>8}{'more p50':>11}{'ratio':>8}   (microseconds)")
    for name, bare, guarded in rows:
        b50, b95, g50, g95 = (times[int(len(times) * q)] for times in (bare, guarded) for q in (0.5, 0.95))
        print(f"{name:26}{b50:10.2f}{b95:8.2f}{g50:12.2f}{g95:8.2f}{g50 - b50:11.2f}{g50 / b50:8.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    asyncio.run(main(parser.parse_args().calls))
