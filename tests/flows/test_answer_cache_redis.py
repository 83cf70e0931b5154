"""Kept answers in a real Redis: what is in it is unreadable, and whatever becomes of it, questions are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.testing import ADMIN, offline_workbench
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_answer_cache import ask, kept, now_kept
from tests.flows.test_ask import LEAVE
from tests.flows.test_providers import QUESTION
from tests.servers.redis import Redis


@pytest.fixture
def server() -> AsyncIterator[Redis]:
    made = Redis()
    made.start()
    yield made
    made.remove()


@pytest.fixture
async def shared(tmp_path: Path, server: Redis) -> AsyncIterator[Workbench]:
    async with offline_workbench(tmp_path, caching={"redis_url": server.url}) as workbench:
        yield workbench


@pytest.fixture
async def book(shared: Workbench) -> str:
    collection = (await shared.create_collection(ADMIN, "handbook")).id
    await add(shared, collection, "leave.txt", LEAVE)
    return collection


def answers(server: Redis) -> list[str]:
    return [key for key in server.say("KEYS", "*").splitlines() if "answers:" in key]


async def test_another_replica_gives_it_too_and_redis_can_read_neither_name_nor_value(
    shared: Workbench, book: str, server: Redis, tmp_path: Path
) -> None:
    written = await ask(shared, book)
    async with offline_workbench(tmp_path, caching={"redis_url": server.url}) as replica:
        again = await ask(replica, book)
    assert kept(again)
    assert again.citations == written.citations
    names = [key for key in server.say("KEYS", "*").splitlines() if "answers:" in key or "embeddings:" in key]
    assert len(names) == 2
    everything = " ".join(f"{name} {server.say('GET', name)}" for name in names)
    for secret in ("thirty", "paid leave", "leave.txt", book, ADMIN.user_id, QUESTION[:20]):
        assert secret not in everything
    assert 0 < int(server.say("TTL", answers(server)[0])) <= 24 * 3600


async def test_a_value_that_was_tampered_with_is_no_answer(shared: Workbench, book: str, server: Redis) -> None:
    for garbage in ("", "x", "garbage" * 50):
        await ask(shared, book, fresh=True)
        [name] = answers(server)
        server.say("SET", name, garbage)
        assert not kept(await ask(shared, book))
    await ask(shared, book, "Is parking free for visitors?")
    [one, other] = answers(server)
    before = {name: server.say("GET", name) for name in (one, other)}
    server.say("COPY", one, other, "REPLACE")  # the sealed answer of another question
    assert server.say("GET", one) == server.say("GET", other)
    assert before[one] != before[other]
    found = [await ask(shared, book), await ask(shared, book, "Is parking free for visitors?")]
    assert sorted(map(kept, found)) == [False, True]
    assert "thirty" in found[0].text
    assert "Parking" in found[1].text


async def test_when_redis_dies_questions_go_on(shared: Workbench, book: str, server: Redis) -> None:
    assert not await now_kept(shared, book)
    server.kill()
    assert (await ask(shared, book)).citations
    assert kept(await ask(shared, book))  # this process remembers by itself meanwhile
