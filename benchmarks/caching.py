"""What a cache costs: p50 and p95 of look-ups, limits and the decorator, in this process and in a real Redis on loopback.

python -m benchmarks.caching
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.fernet import Fernet

from engine.caching import ProductionCacheManager
from engine.security.sealing import Sealer
from engine.vendors import redis, redis_client
from tests.servers.redis import Redis

TIMES = 1000
VALUE = bytes(range(256)) * 32  # 8 KB, an answer with its citations


async def measure(work: Callable[[int], Awaitable[Any]], times: int = TIMES) -> tuple[float, float]:
    """Return p50 and p95 in microseconds."""
    for n in range(50):
        await work(n)
    taken = []
    for n in range(times):
        started = time.perf_counter()
        await work(n)
        taken.append((time.perf_counter() - started) * 1e6)
        await asyncio.sleep(0)  # probes of Redis run in the background, and nothing else lets them
    points = statistics.quantiles(taken, n=20)
    return statistics.median(taken), points[-1]


async def rows(name: str, config: dict[str, Any], **more: Any) -> None:
    cache = ProductionCacheManager(config, **more)
    await cache.set("hit", VALUE, ttl=600)

    @cache.cached_response(ttl=600, key_prefix="bench")
    async def answer(prompt: str, model: str = "m") -> dict[str, Any]:
        return {"text": prompt * 100}

    async def make() -> bytes:
        return b"made"

    await answer("hello")
    cases: dict[str, Callable[[int], Awaitable[Any]]] = {
        "get, hit (8 KB)": lambda _: cache.get("hit"),
        "get, miss": lambda _: cache.get("miss"),
        "set (8 KB)": lambda n: cache.set(f"set:{n % 100}", VALUE, ttl=600),
        "once, made": lambda n: cache.once(f"once:{n}:{time.perf_counter_ns()}", make, ttl=600),
        "limit, allowed": lambda n: cache.check_rate_limit(f"u{n % 50}", limit=1_000_000, window=600),
        "limit, a full log of one key": lambda _: cache.check_rate_limit("busy", limit=1_000_000, window=600),
        "limit, refused": lambda _: cache.check_rate_limit("refused", limit=1, window=600),
        "decorated function, hit": lambda _: answer("hello"),
    }
    for case, work in cases.items():
        p50, p95 = await measure(work)
        print(f"{name:<16}{case:<32}{p50:>9.0f}{p95:>9.0f}")
    await cache.close()


async def bare() -> None:
    async def answer(prompt: str, model: str = "m") -> dict[str, Any]:
        return {"text": prompt * 100}

    p50, p95 = await measure(lambda _: answer("hello"))
    print(f"{'-':<16}{'the function, not decorated':<32}{p50:>9.0f}{p95:>9.0f}")


async def main() -> None:
    server = Redis()
    server.start()
    usual = redis.CALL_SECONDS, redis_client.SOCKET_SECONDS
    redis.CALL_SECONDS = redis_client.SOCKET_SECONDS = 20.0  # what a call costs, also on a machine that is busy
    print(f"{'cache':<16}{'what':<32}{'p50 us':>9}{'p95 us':>9}")
    await bare()
    await rows("memory", {"provider": "memory"})
    config = {"provider": "redis", "redis": {"url": server.url}}
    await rows("redis", config)
    await rows("redis, sealed", config | {"prefix": "sealed"}, sealing=Sealer(Fernet.generate_key().decode()))
    redis.CALL_SECONDS, redis_client.SOCKET_SECONDS = usual
    server.freeze()
    await rows("redis away", config)
    server.remove()


if __name__ == "__main__":
    asyncio.run(main())
