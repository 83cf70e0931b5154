"""Nobody's script takes the models from everybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.caching import ProductionCacheManager
from engine.errors import TooMany
from engine.services.pace import Pace
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from tests.flows.conftest import add
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
