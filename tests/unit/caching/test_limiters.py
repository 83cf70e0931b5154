"""One table of cases for the limiter of this process and for the one in Redis: they are the same limiter."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.caching.limiter import LocalLimiter, SharedLimiter
from engine.errors import ConfigError
from engine.rate_limit import EXACT_ENTRIES
from engine.vendors.redis import RedisLink
from engine.vendors.redis_client import address_of
from tests.servers import redis as redis_server
from tests.unit.caching.conftest import Clock, opened, over

Check = Callable[..., Awaitable[tuple[bool, int, float]]]
pytestmark = pytest.mark.usefixtures("patient")
YES, NO = True, False

# (seconds since the start, cost) -> (allowed, remaining, seconds to wait)
TABLE: dict[str, tuple[int, float, list[tuple[float, float, bool, int, float]]]] = {
    "the limit, then a refusal with the wait": (3, 60, [(0, 1, YES, 2, 0), (0, 1, YES, 1, 0), (1, 1, YES, 0, 0), (20, 1, NO, 0, 40)]),
    "refused hits cost nothing": (1, 60, [(0, 1, YES, 0, 0), (30, 1, NO, 0, 30), (59, 1, NO, 0, 1), (60.5, 1, YES, 0, 0)]),
    "no edge gives a second budget": (2, 60, [(59, 2, YES, 0, 0), (61, 1, NO, 0, 58), (118, 1, NO, 0, 1), (119.5, 2, YES, 0, 0)]),
    "what is old goes one by one": (2, 10, [(0, 1, YES, 1, 0), (5, 1, YES, 0, 0), (9, 1, NO, 0, 1), (10.5, 1, YES, 0, 0), (11, 1, NO, 0, 4)]),
    "a hit may cost more, a part or nothing": (10, 60, [(0, 7.5, YES, 2, 0), (0, 3, NO, 2, 60), (0, 0, YES, 2, 0), (0, 2.5, YES, 0, 0)]),
    "more than the budget is never allowed": (10, 60, [(0, 11, NO, 10, 60), (0, 10, YES, 0, 0)]),
    "the wait is for as much as is needed": (4, 60, [(0, 1, YES, 3, 0), (10, 3, YES, 0, 0), (20, 1, NO, 0, 40), (20, 2, NO, 0, 50)]),
    "a short window": (1, 0.5, [(0, 1, YES, 0, 0), (0.25, 1, NO, 0, 0.25), (0.75, 1, YES, 0, 0)]),
}  # fmt: skip


@pytest.fixture(params=["memory", "redis"])
async def check(request: pytest.FixtureRequest, clock: Clock) -> Any:
    link = None
    if request.param == "memory":
        limiter: Any = LocalLimiter(clock=clock)
    else:
        link = RedisLink(address_of(redis_server.running().url))
        prefix = f"t{uuid.uuid4().hex}"
        limiter = SharedLimiter(link.run, LocalLimiter(), prefix=prefix, offset=lambda: clock.now)

    async def work(key: str, limit: int, window: float, cost: float = 1) -> tuple[bool, int, float]:
        answer = await limiter.check(key, limit=limit, window=window, cost=cost)
        assert answer.source == request.param
        assert answer.limit == limit
        return answer.verdict.allowed, answer.verdict.remaining, answer.verdict.retry_after_seconds

    yield work
    if link:
        await link.close()


@pytest.mark.parametrize("case", TABLE)
async def test_the_table(check: Check, clock: Clock, case: str) -> None:
    limit, window, steps = TABLE[case]
    for at, cost, allowed, remaining, wait in steps:
        clock.now = 1000 + at
        said = await check("a", limit, window, cost)
        assert said[:2] == (allowed, remaining), (case, at)
        assert said[2] == pytest.approx(wait, abs=0.2), (case, at)  # Redis' own clock goes on


async def test_keys_limits_and_windows_do_not_share_a_budget(check: Check) -> None:
    for key, limit, window in [("a", 1, 60), ("b", 1, 60), ("a", 2, 60), ("a", 1, 61)]:
        assert (await check(key, limit, window))[0]
    assert not (await check("a", 1, 60))[0]


async def test_no_span_of_the_window_ever_holds_more_than_the_limit(check: Check, clock: Clock) -> None:
    chance, allowed = random.Random(5), []
    for _ in range(400):
        clock.now += chance.expovariate(30)
        if (await check("a", 120, 2))[0]:
            allowed.append(clock.now)
    assert len(allowed) > 120
    for first, last in zip(allowed, allowed[120:], strict=False):
        assert last - first >= 2 - 0.2 * 2  # two clocks in the case of Redis: the test's, and its own, which also goes on


@pytest.mark.parametrize("wrong", [(0, 60), (1, 0), (1, float("inf")), (-1, 60)])
async def test_an_impossible_limit_is_refused(check: Check, wrong: tuple[int, float]) -> None:
    with pytest.raises(ConfigError):
        await check("a", *wrong)


async def test_one_key_takes_bounded_room_in_redis_and_ends_by_itself() -> None:
    server, config = redis_server.running(), over(redis_server.running())
    async with opened(config) as cache:
        for _ in range(600):
            await cache.check_rate_limit("a", limit=1_000_000, window=3)
        assert (await cache.check_rate_limit("a", limit=1_000_000, window=3, cost=0))["remaining"] >= 1_000_000 - 600
        (key,) = server.say("KEYS", f"{config['prefix']}:*").splitlines()
        assert int(server.say("STRLEN", key)) <= 24 * (2 * EXACT_ENTRIES + 1)
        assert 0 < int(server.say("PTTL", key)) <= 3000


async def test_a_clock_that_is_put_back_locks_nobody_out(clock: Clock) -> None:
    link = RedisLink(address_of(redis_server.running().url))
    limiter = SharedLimiter(link.run, LocalLimiter(), prefix=f"t{uuid.uuid4().hex}", offset=lambda: clock.now)
    await limiter.check("a", limit=1, window=60)
    clock.now -= 3600
    refused = await limiter.check("a", limit=1, window=60)
    assert not refused.verdict.allowed
    assert 55 < refused.verdict.retry_after_seconds <= 60
    await link.close()
