"""What the wrappers cost a call, together as the product has them: cache outside, then guard, then meter, then the call.

python -m benchmarks.overhead [--calls 5000]

The bare call does nothing, so what counts is the difference in microseconds, not the ratio. "hit" is a call that the cache
answers; "miss" is looked up, made behind guard and meter, and kept. The cache is the one in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from engine.caching.manager import ProductionCacheManager
from engine.monitoring.hub import Hub
from engine.operations_views import Dependency
from engine.resilience.guard import Guard
from engine.sections import Resilience


async def nothing(text: str) -> str:
    return text


async def measured(call: Callable[[str], Awaitable[str]], texts: list[str]) -> tuple[float, float]:
    """Return p50 and p95 in microseconds."""
    took = []
    for text in texts:
        began = time.perf_counter_ns()
        await call(text)
        took.append((time.perf_counter_ns() - began) / 1000)
    cuts = statistics.quantiles(took, n=20)
    return statistics.median(took), cuts[18]


async def main(calls: int) -> None:
    hub = Hub()
    guard = Guard(Dependency(operation="chat", provider="p", model="m"), Resilience(ramp_seconds=0), meter=hub)
    cache = ProductionCacheManager({"provider": "memory"}, meter=hub)

    async def guarded(text: str) -> str:
        return await guard.acall(lambda: nothing(text))

    whole = cache.cached_response(ttl=3600, key_prefix="bench")(guarded)
    same, other = ["the same question"] * calls, [f"question {n}" for n in range(calls)]
    rows = {
        "bare": await measured(nothing, same),
        "guard + meter": await measured(guarded, same),
        "cache + guard + meter, miss": await measured(whole, other),
        "cache + guard + meter, hit": await measured(whole, same),
    }
    bare = rows["bare"]
    print(f"{'':30}{'p50 us':>10}{'p95 us':>10}{'more p50':>10}{'more p95':>10}")
    for name, (p50, p95) in rows.items():
        print(f"{name:30}{p50:10.1f}{p95:10.1f}{p50 - bare[0]:10.1f}{p95 - bare[1]:10.1f}")
    await cache.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=5000)
    asyncio.run(main(parser.parse_args().calls))
