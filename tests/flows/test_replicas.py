"""Two processes over PostgreSQL, Redis and pgvector are one workbench. The second one is a real process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.assembly import Assembly
from engine.errors import EngineError
from engine.provider_views import Choice
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import LEAVE
from tests.servers import pgvector
from tests.servers.databases import database
from tests.servers.redis import Redis
from tests.servers.replica import Replica

QUESTION = "How many days of paid leave does an employee have?"
PASSWORD = "correct horse battery"
LIMIT = 8
ASKED = 4  # before the conversation


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Workbench, Replica]]:
    redis = Redis()
    redis.start()
    with database("postgresql") as (url, _), pgvector.server() as store:
        shared: dict[str, Any] = {"database_url": url, "caching": {"redis_url": redis.url}, "replicas": 2}
        shared |= {"limits": {"questions_per_minute": LIMIT}, "secret_key": "p4Ssw0rds-of-tests-are-long-enough-9Zq"}
        assembly = Assembly(offline_settings(tmp_path, **shared))
        assembly.use_embedder("local", HashedWords())
        other = Replica(folder=tmp_path, **shared)
        async with assembly.opened(serve=False) as workbench:
            await other.started()
            await workbench.add_provider(ADMIN, "pgvector", name="pgvector", base_url=store.base_url, key=store.api_key)
            choices = await workbench.choices(ADMIN)
            await workbench.choose(ADMIN, expected_version=choices.version, store="pgvector")
            yield workbench, other
            other.end()
    redis.remove()


async def names(search: Any, collection: str) -> set[str]:
    return {hit.chunk.document_name for hit in await search(ADMIN, QUESTION, collections=[collection], mode="dense", k=20)}


async def refusal(call: Any) -> str:
    with pytest.raises(EngineError) as error:
        await call
    return type(error.value).__name__


async def test_two_processes_behave_as_one(both: tuple[Workbench, Replica]) -> None:
    here, there = both

    async def search_there(*arguments: Any, **named: Any) -> Any:
        return await there("search", *arguments, **named)

    # What is chosen here is in force there within a second or two.
    async with asyncio.timeout(10):
        while (await there("choices", ADMIN)).store != "pgvector":
            await asyncio.sleep(0.1)
    # Documents: taken in here, found there; deleted there, gone here at once.
    collection = (await there("create_collection", ADMIN, "handbook")).id
    leave = await add(here, collection, "leave.txt", LEAVE)
    assert await names(search_there, collection) == {"leave.txt"} == await names(here.search, collection)
    other = await add(here, collection, "other.txt", "Every employee has a paid desk and a day of leave.")
    assert await names(search_there, collection) == {"leave.txt", "other.txt"}
    await there("delete_document", ADMIN, other.id)
    assert await names(here.search, collection) == {"leave.txt"}

    # Kept answers: written here, given again there, and no longer once a document changed.
    written = await here.ask(ADMIN, QUESTION, collections=[collection])
    again = await there("ask", ADMIN, QUESTION, collections=[collection])
    assert (bool(written.serving.cached_at), bool(again.serving.cached_at), again.text) == (False, True, written.text)
    await here.restore_document(ADMIN, other.id)
    assert not (await there("ask", ADMIN, QUESTION, collections=[collection])).serving.cached_at
    assert (await here.ask(ADMIN, QUESTION, collections=[collection])).serving.cached_at
    await there("choose", ADMIN, expected_version=(await here.choices(ADMIN)).version,
                chain=(Choice(provider="extractive"),))  # fmt: skip

    # Sign-ins: made here, good there; ended there, over here at once.
    await here.create_user(ADMIN, "grace", PASSWORD, Role.ANALYST)
    signed = await here.sign_in("grace", PASSWORD, ip="127.0.0.1", user_agent="test")
    grace = await there("authenticate", signed.token)
    assert grace is not None
    assert grace.name == "grace"
    await there("sign_out", signed.token)
    assert await here.authenticate(signed.token) is None

    # Conversations and the limit on questions: one for both.
    talk = await here.create_conversation(ADMIN, [collection])
    for n in range((LIMIT - ASKED) // 2):
        for send in (here.send, lambda *a: there("send", *a)):
            message = await send(ADMIN, talk.id, f"{QUESTION} {n}")
            async with asyncio.timeout(30):
                while (await here.message(ADMIN, message.id)).state not in ("done", "failed", "stopped"):
                    await asyncio.sleep(0.05)
    assert len(await here.messages(ADMIN, talk.id)) == len(await there("messages", ADMIN, talk.id)) == 2 * (LIMIT - ASKED)
    assert await refusal(here.send(ADMIN, talk.id, QUESTION)) == "TooMany"
    assert await refusal(there("send", ADMIN, talk.id, QUESTION)) == "TooMany"
    assert leave.state == "live"
