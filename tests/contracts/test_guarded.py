"""Vendors' real SDKs behind guards: how often they call, how long they are waited for, and when they are stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from engine import registry
from engine.errors import EngineError, NoTimeLeft, ProviderTimeout, ProviderUnavailable
from engine.operations_views import BreakerState, Dependency
from engine.resilience.deadline import time_limit
from engine.resilience.guards import Guards
from engine.resilience.protected import Protection
from engine.resilience.streams import under
from engine.sections import Resilience
from engine.types import Delta, Prompt
from tests.upstreams import upstream_of
from tests.upstreams.server import Upstream

VENDORS = ("openai", "ollama", "gemini", "vertex")
PROMPT = Prompt(question="How many?", passages=(), plain=True)
WORDS = "word " * 60


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def upstream(vendor: str) -> Iterator[Upstream]:
    running = upstream_of(vendor)
    assert running is not None
    with running as server:
        yield server


def guards(**rules: Any) -> Guards:
    return Guards(Resilience(**{"ramp_seconds": 0, "backoff_seconds": 0.01, **rules}))


def generator(vendor: str, upstream: Upstream, behind: Guards) -> Any:
    part = registry.GENERATORS[vendor].load()(upstream.endpoint)
    return Protection(behind)(Dependency(operation="chat", provider=vendor, model="m"), part)


async def read(stream: AsyncIterator[Delta], seen: list[str] | None = None) -> list[str]:
    """Return the pieces; what came before a failure is in `seen`."""
    seen = [] if seen is None else seen
    async with aclosing(stream) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            seen.append(delta.text)
    return seen


def answers(upstream: Upstream) -> int:
    """Return how many answers were asked for."""
    return sum("hat" in call.path or "streamGenerate" in call.path for call in list(upstream.calls))


async def test_b17_two_attempts_are_two_requests_whatever_the_sdk_would_do(vendor: str, upstream: Upstream) -> None:
    part = generator(vendor, upstream, guards(attempts=2))
    upstream.fail("500", times=9)
    with pytest.raises(ProviderUnavailable):
        await read(part.stream(PROMPT))
    assert answers(upstream) == 2
    upstream.heal()
    upstream.fail("503")
    assert "".join(await read(part.stream(PROMPT))) == upstream.text
    assert answers(upstream) == 4
    await part.close()


async def test_b17_two_attempts_at_embedding_are_two_requests(vendor: str, upstream: Upstream) -> None:
    bare = registry.EMBEDDERS[vendor].load()(upstream.endpoint, threads=1)
    part = Protection(guards(attempts=2))(Dependency(operation="embedding", provider=vendor), bare)
    upstream.fail("500", times=9)
    with pytest.raises(ProviderUnavailable):
        await asyncio.to_thread(part.embed_query, "How many?")
    assert len(upstream.calls) == 2
    await asyncio.to_thread(part.close)


async def test_b19_an_answer_that_does_not_begin_is_given_up_after_the_first_limit(vendor: str, upstream: Upstream) -> None:
    behind = guards(attempts=2, first_token_seconds=0.5, minimum_calls=3)
    part = generator(vendor, upstream, behind)
    await read(part.stream(PROMPT))  # the first use of a library takes its time
    upstream.fail("hang", times=2)
    started = time.monotonic()
    with pytest.raises(ProviderTimeout):
        await read(part.stream(PROMPT))
    assert answers(upstream) == 3
    assert time.monotonic() - started < 8
    assert behind.all()[0].breaker.state is BreakerState.OPEN  # silence is a failure
    await part.close()


async def test_b19_an_answer_that_falls_silent_is_not_asked_for_again_and_ends_upstream(
    vendor: str, upstream: Upstream
) -> None:
    part = generator(vendor, upstream, guards(attempts=3, next_token_seconds=0.2))
    upstream.text, upstream.slow = WORDS, 1.0
    seen: list[str] = []
    with pytest.raises(ProviderTimeout):
        await read(part.stream(PROMPT), seen)
    assert seen
    assert answers(upstream) == 1
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    await part.close()


async def test_b19_all_pieces_together_have_one_limit_too(vendor: str, upstream: Upstream) -> None:
    behind = guards(attempts=3)
    part = generator(vendor, upstream, behind)
    upstream.text, upstream.slow = WORDS, 0.1
    started = time.monotonic()
    with pytest.raises(ProviderTimeout):
        await read(under(part.stream(PROMPT), seconds=1.5))
    assert time.monotonic() - started < 5
    assert answers(upstream) == 1
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    await part.close()


async def test_b19_a_reader_who_leaves_ends_the_answer_upstream_and_is_nobodys_failure(vendor: str, upstream: Upstream) -> None:
    behind = guards(attempts=2, minimum_calls=1)
    part = generator(vendor, upstream, behind)
    upstream.text, upstream.slow = WORDS, 0.1
    async with aclosing(part.stream(PROMPT)) as deltas:
        assert (await anext(deltas)).text
        assert upstream.open_streams == 1
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    info = behind.all()[0].info()
    assert (answers(upstream), info.state, info.in_use, info.calls) == (1, BreakerState.CLOSED, 0, 0)
    await part.close()


async def test_b18_with_less_than_a_second_left_nothing_is_asked(vendor: str, upstream: Upstream) -> None:
    part = generator(vendor, upstream, guards())
    bare = registry.EMBEDDERS[vendor].load()(upstream.endpoint, threads=1)
    embedder = Protection(guards())(Dependency(operation="embedding", provider=vendor), bare)
    with time_limit(0.9):
        with pytest.raises(NoTimeLeft):
            await read(part.stream(PROMPT))
        with pytest.raises(NoTimeLeft):
            await asyncio.to_thread(embedder.embed_query, "How many?")
    assert upstream.calls == []
    await part.close()


@pytest.mark.parametrize("fault", ["400", "401", "403", "404", "413"])
async def test_b10_what_the_provider_refuses_is_asked_once_and_opens_nothing(fault: str) -> None:
    with upstream_of("openai") as server:  # type: ignore[union-attr]
        behind = guards(attempts=3, minimum_calls=1)
        part = generator("openai", server, behind)
        server.fail(fault, times=3)
        with pytest.raises(EngineError):
            await read(part.stream(PROMPT))
        assert (answers(server), behind.all()[0].breaker.state) == (1, BreakerState.CLOSED)
        await part.close()
