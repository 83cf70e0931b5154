"""Whatever becomes of calls and streams, in the end every place of the bulkhead and every probe is given back."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from contextlib import aclosing, suppress

import pytest

from engine.errors import EngineError
from engine.operations_views import BreakerState
from engine.resilience.guard import Guard
from tests.unit.resilience.stage import CHAT, Fails, rules

FORCED = (BreakerState.CLOSED, BreakerState.TRIPPED, BreakerState.HELD)


async def work(chance: random.Random) -> int:
    if chance.random() < 0.2:
        await asyncio.Event().wait()
    await asyncio.sleep(chance.choice((0, 0.001)))
    if chance.random() < 0.3:
        raise Fails
    return 1


async def source(chance: random.Random):
    try:
        for _ in range(chance.randrange(4)):
            yield await work(chance)
    finally:
        await asyncio.sleep(0)
        if chance.random() < 0.2:
            raise Fails


def blocking(chance: random.Random) -> None:
    if chance.random() < 0.3:
        raise Fails


async def use(guard: Guard, chance: random.Random) -> None:
    limit = chance.choice((0.002, 5.0))
    with suppress(EngineError, Fails):
        match chance.randrange(4):
            case 0:
                await guard.acall(lambda: work(chance), seconds=limit)
            case 1:
                await asyncio.to_thread(guard.call, lambda: blocking(chance))
            case 2:
                async for _ in guard.stream(lambda: source(chance), first_seconds=limit, next_seconds=0.002):
                    if chance.random() < 0.3:
                        break  # and nobody closes it
            case _:
                async with aclosing(guard.stream(lambda: source(chance), first_seconds=0.002, next_seconds=limit)) as stream:
                    async for _ in stream:
                        if chance.random() < 0.3:
                            break


async def cancelled(tasks: list[asyncio.Task[None]], chance: random.Random) -> None:
    for task in tasks:
        if chance.random() < 0.5:
            for _ in range(chance.randrange(8)):
                await asyncio.sleep(0)
            task.cancel()
    await asyncio.wait(tasks, timeout=0.005)
    for task in tasks:
        task.cancel()  # some for the second time
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("seed", range(4))
async def test_no_place_and_no_probe_is_lost_in_any_sequence(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # streams that nobody closes may fail in their end
    chance = random.Random(seed)
    few = rules(concurrent_calls=4, probes=2, window_calls=5, minimum_calls=5, open_seconds=1, attempts=2)
    guard = Guard(CHAT, few, asleep=lambda _: asyncio.sleep(0))
    for _ in range(80):
        await cancelled([asyncio.create_task(use(guard, chance)) for _ in range(chance.randrange(1, 6))], chance)
        if chance.random() < 0.3:
            guard.breaker.force(chance.choice(FORCED), by="somebody")
        elif chance.random() < 0.3:  # as when the wait is over: half open
            guard.breaker.force(BreakerState.CLOSED, by="")
            guard.breaker.opened_elsewhere(1e-9, "elsewhere")
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert guard.bulkhead.in_use == 0
    guard.breaker.force(BreakerState.CLOSED, by="")
    guard.breaker.opened_elsewhere(1e-9, "elsewhere")
    for _ in range(2):  # both probes are there
        await guard.acall(lambda: asyncio.sleep(0))
    assert guard.breaker.state is BreakerState.CLOSED
