"""The fifth example of the seed, as it is written there but for the import path."""

from __future__ import annotations

import ast
import textwrap
from typing import Any

import pytest
from fastapi import HTTPException

from tests.servers import redis as redis_server

EXAMPLE = """
from engine.caching import ProductionCacheManager, cache_embeddings

# Initialize cache
cache = ProductionCacheManager({
    "provider": "redis",
    "redis": {
        "host": "localhost",
        "port": 6379,
        "password": None,
        "db": 0
    }
})

await cache.initialize()

# Rate limiting
rate_limit_result = await cache.check_rate_limit("user_123", limit=100, window=60)
if not rate_limit_result["allowed"]:
    raise HTTPException(status_code=429, detail="Rate limit exceeded")

# Cache embeddings
@cache_embeddings(cache, ttl=86400)
async def generate_embeddings(text: str):
    # Your embedding call here - automatically cached
    pass

# Cache LLM responses
@cache.cached_response(ttl=3600, key_prefix="llm")
async def generate_response(prompt: str):
    # Your LLM call here - automatically cached
    pass
"""


async def run(code: str) -> dict[str, Any]:
    """Run a text that awaits, as a notebook does, and return its names."""
    names: dict[str, Any] = {"HTTPException": HTTPException}
    compiled = compile(textwrap.dedent(code), "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(compiled, names)
    return names


@pytest.fixture
def at_its_port(monkeypatch: pytest.MonkeyPatch) -> str:
    """The example with the port of the test's Redis: nobody may expect one at 6379 of every machine."""
    redis_server.wait_longer(monkeypatch)
    return EXAMPLE.replace("6379", str(redis_server.running().port))


async def test_it_runs_where_there_is_no_redis() -> None:
    names = await run(EXAMPLE.replace("6379", str(redis_server.free_port())))
    assert names["rate_limit_result"] == {
        "allowed": True,
        "remaining": 99,
        "limit": 100,
        "retry_after": 0.0,
        "source": "fallback",
    }
    assert names["cache"].status().degraded
    await names["cache"].close()


async def test_it_caches_and_limits_in_redis(at_its_port: str) -> None:
    calls = "calls = []\n" + at_its_port.replace("    pass\n", "    calls.append(1)\n    return [0.5]\n")
    names = await run(calls)
    assert names["rate_limit_result"]["source"] == "redis"
    for _ in range(3):
        assert await names["generate_embeddings"]("a") == [0.5]
        assert await names["generate_response"]("a") == [0.5]
    assert len(names["calls"]) == 2
    for _ in range(99):
        assert (await names["cache"].check_rate_limit("user_123", limit=100, window=60))["allowed"]
    with pytest.raises(HTTPException, match="Rate limit exceeded"):
        await run(at_its_port)
    await names["cache"].close()


async def test_as_it_is_written_it_returns_what_its_functions_return(at_its_port: str) -> None:
    names = await run(at_its_port.replace("user_123", "user_456"))
    assert await names["generate_embeddings"]("b") is None
    assert await names["generate_response"]("b") is None
    await names["cache"].close()
