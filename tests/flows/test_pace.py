"""Nobody's script takes the models from everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.caching import ProductionCacheManager
from engine.errors import NotFound, TooMany
from engine.services.pace import Pace
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from tests.flows.conftest import add
from tests.flows.test_ask import settled
from tests.servers.redis import Redis, wait_longer

BOB = Principal(user_id="b" * 32, name="bob", role=Role.ANALYST)


async def test_a_fair_share_of_questions_and_then_a_wait() -> None:
    moment = [0.0]
    pace = Pace(2, ProductionCacheManager({"provider": "memory"}, clock=lambda: moment[0]))
    await pace.question(ADMIN)
    await pace.question(ADMIN)
    with pytest.raises(TooMany) as refusal:
        await pace.question(ADMIN)
    assert 0 < refusal.value.retry_after_seconds <= 60
    await pace.question(BOB)
    moment[0] = 60.1
    await pace.question(ADMIN)


async def test_replicas_share_one_budget_and_split_it_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_longer(monkeypatch)
    server = Redis()
    server.start()
    caches = [
        ProductionCacheManager({"provider": "redis", "redis": {"url": server.url}, "prefix": "pace", "replicas": 2})
        for _ in range(2)
    ]
    first, second = (Pace(4, cache) for cache in caches)
    for _ in range(2):
        await first.question(ADMIN)
        await second.question(ADMIN)
    with pytest.raises(TooMany, match="4 questions"):
        await second.question(ADMIN)
    server.kill()
    for pace in (first, second):  # each has given its half of these four already
        with pytest.raises(TooMany, match="2 questions"):
            await pace.question(ADMIN)
        await pace.question(BOB)
        await pace.question(BOB)
        with pytest.raises(TooMany):
            await pace.question(BOB)
    for cache in caches:
        await cache.close()
    server.remove()


async def test_a_conversation_and_the_facade_share_one_budget(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, limits={"questions_per_minute": 2}) as workbench:
        collection = (await workbench.create_collection(ADMIN, "handbook")).id
        await add(workbench, collection, "a.txt", "The quokka is a small wallaby.")
        await workbench.ask(ADMIN, "What is the quokka?", collections=[collection])
        conversation = await workbench.create_conversation(ADMIN, [collection])
        await workbench.send(ADMIN, conversation.id, "What is the quokka?")
        with pytest.raises(TooMany, match="2 questions within a minute"):
            await workbench.ask(ADMIN, "What is the quokka?", collections=[collection])


async def test_nobody_holds_all_places_of_a_model_by_asking_many_slow_questions_at_once(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, limits={"questions_at_once": 2}) as workbench:
        collection = (await workbench.create_collection(ADMIN, "handbook")).id
        await add(workbench, collection, "a.txt", "The quokka is a small wallaby.")
        gate, running = asyncio.Event(), asyncio.Semaphore(0)
        stream_of = workbench._ask.stream

        async def slow(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            running.release()
            await gate.wait()
            async for event in stream_of(*arguments, **named):
                yield event

        workbench._ask.stream = slow  # type: ignore[method-assign]
        talks = [await workbench.create_conversation(ADMIN, [collection]) for _ in range(3)]
        replies = [await workbench.send(ADMIN, talk.id, "What is the quokka?") for talk in talks[:1]]
        asked = asyncio.create_task(workbench.ask(ADMIN, "What is a quokka?", collections=[collection]))
        for _ in range(2):
            await running.acquire()
        with pytest.raises(TooMany, match="2 questions at the same time"):
            await workbench.send(ADMIN, talks[1].id, "What is the quokka?")
        assert not await workbench.messages(ADMIN, talks[1].id)
        with pytest.raises(TooMany):
            await workbench.ask(ADMIN, "What is the quokka?", collections=[collection])
        gate.set()
        assert (await asked).text
        await settled(workbench, ADMIN, replies[0].id)
        assert (await workbench.ask(ADMIN, "What is the quokka?", collections=[collection])).text


async def test_a_question_that_fails_or_is_given_up_gives_its_place_back(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, limits={"questions_at_once": 1}) as workbench:
        for _ in range(3):
            with pytest.raises(NotFound):
                await workbench.ask(ADMIN, "What is the quokka?", collections=["0" * 32])
