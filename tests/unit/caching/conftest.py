from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.caching import ProductionCacheManager
from tests.servers import redis as redis_server
from tests.servers.redis import Redis


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Numbers:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], float] = {}
        self.gauges: dict[str, list[float]] = {}

    def timed(self, metric: str, labels: Any, seconds: float, *, ok: bool = True) -> None:
        raise AssertionError(metric)

    def counted(self, metric: str, labels: Any = (), amount: float = 1.0) -> None:
        self.counts[(metric, *labels)] = self.counts.get((metric, *labels), 0.0) + amount

    def gauged(self, metric: str, labels: Any, value: float) -> None:
        values = self.gauges.setdefault(metric, [])
        if not values or values[-1] != value:
            values.append(value)


def over(server: Redis, **more: Any) -> dict[str, Any]:
    """Return the configuration of a cache in `server`, apart from every other test's."""
    return {"provider": "redis", "redis": {"url": server.url}, "prefix": f"t{uuid.uuid4().hex[:12]}", **more}


@asynccontextmanager
async def opened(config: dict[str, Any], **more: Any) -> AsyncIterator[ProductionCacheManager]:
    made = ProductionCacheManager(config, **more)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    redis_server.wait_longer(monkeypatch)


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[ProductionCacheManager]:
    config = {"provider": "memory"} if request.param == "memory" else over(redis_server.running())
    async with opened(config) as made:
        yield made
        assert made.status().outages == 0


@pytest.fixture
def server() -> Iterator[Redis]:
    """A Redis that the test may break."""
    made = Redis(password="redis canary/8d1f:52@c0")
    made.start()
    yield made
    made.remove()


async def seconds_of(work: Any) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started
