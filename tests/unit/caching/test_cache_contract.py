"""What a cache does, the same in this process and in a real Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from engine.caching import ProductionCacheManager, cache_embeddings
from engine.caching.manager import MAX_VALUE_BYTES
from engine.errors import ConfigError, InputError, ProviderError
from tests.servers import redis as redis_server
from tests.unit.caching.conftest import Numbers, opened, over

pytestmark = pytest.mark.usefixtures("patient")
Cache = ProductionCacheManager


async def test_a_value_comes_back_until_it_is_replaced_or_removed(cache: Cache) -> None:
    value = bytes(range(256)) * 20
    assert await cache.get("a") is None
    assert await cache.set("a", value, ttl=60)
    assert await cache.get("a") == value
    await cache.set("a", b"", ttl=60)
    assert await cache.get("a") == b""
    assert await cache.delete("a")
    assert not await cache.delete("a")
    assert await cache.get("a") is None


async def test_a_value_is_gone_after_its_time(cache: Cache) -> None:
    await cache.set("short", b"1", ttl=0.05)
    await cache.set("long", b"2", ttl=60)
    async with asyncio.timeout(5):
        while await cache.get("short") is not None:
            await asyncio.sleep(0.01)
    assert await cache.get("long") == b"2"


async def test_a_prefix_is_removed_to_the_letter(cache: Cache) -> None:
    keys = ["ab:1", "ab:2", "ab", "a*:1", "a*[x]:1", "a?:1", "a\\:1", "ü:1", "xa*:1"]
    for key in keys:
        await cache.set(key, key.encode(), ttl=60)
    assert await cache.delete_prefix("a*") == 2
    assert await cache.delete_prefix("a\\") == 1
    assert [key for key in keys if await cache.get(key)] == ["ab:1", "ab:2", "ab", "a?:1", "ü:1", "xa*:1"]
    assert await cache.delete_prefix("") == 6


async def test_more_than_a_batch_is_removed_by_its_prefix(cache: Cache) -> None:
    for n in range(1200):
        await cache.set(f"many:{n}", b"x", ttl=60)
    assert await cache.delete_prefix("many:") == 1200


async def test_a_value_that_is_too_large_is_not_kept_and_the_old_one_is_gone(cache: Cache) -> None:
    await cache.set("a", b"old", ttl=60)
    assert not await cache.set("a", bytes(MAX_VALUE_BYTES + 1), ttl=60)
    assert await cache.get("a") is None
    assert await cache.set("a", bytes(MAX_VALUE_BYTES), ttl=60)


@pytest.mark.parametrize("ttl", [0, -1, float("inf"), float("nan")])
async def test_no_value_is_kept_for_no_time_or_for_ever(cache: Cache, ttl: float) -> None:
    with pytest.raises(InputError):
        await cache.set("a", b"x", ttl=ttl)


@pytest.mark.parametrize("key", ["", "x" * 513])
async def test_a_key_has_a_length(cache: Cache, key: str) -> None:
    with pytest.raises(InputError, match="1 to 512"):
        await cache.get(key)


# --- one for many ------------------------------------------------------------------------------------------------------


async def test_a_hundred_who_ask_at_once_cause_one_call(cache: Cache) -> None:
    calls = []

    async def make() -> bytes:
        calls.append(1)
        await asyncio.sleep(0.02)
        return b"made"

    results = await asyncio.gather(*(cache.once("k", make, ttl=60) for _ in range(100)))
    assert [value for value, _ in results] == [b"made"] * 100
    assert sum(mine for _, mine in results) == 1
    assert len(calls) == 1
    assert await cache.once("k", make, ttl=60) == (b"made", False)
    assert len(calls) == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(cache: Cache) -> None:
    calls = []

    async def fail() -> bytes:
        calls.append(1)
        await asyncio.sleep(0.01)
        raise ProviderError("down")

    results = await asyncio.gather(*(cache.once("k", fail, ttl=60) for _ in range(10)), return_exceptions=True)
    assert [str(one) for one in results] == ["down"] * 10
    assert len(calls) == 1

    async def work() -> bytes:
        return b"up"

    assert await cache.once("k", work, ttl=60) == (b"up", True)


async def test_who_gives_up_does_not_take_the_others_along(cache: Cache) -> None:
    go, stopped = asyncio.Event(), []

    async def make() -> bytes:
        try:
            await go.wait()
        except asyncio.CancelledError:
            stopped.append(1)
            raise
        return b"made"

    first, second = (asyncio.create_task(cache.once("k", make, ttl=60)) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    go.set()
    assert (await second)[0] == b"made"
    assert first.cancelled()
    go.clear()
    alone = asyncio.create_task(cache.once("other", make, ttl=60))
    await asyncio.sleep(0.05)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert stopped == [1]  # nobody waited any more


async def test_two_processes_share_one_call() -> None:
    config, calls = over(redis_server.running()), []

    async def make() -> bytes:
        calls.append(1)
        await asyncio.sleep(0.1)
        return b"made"

    async with opened(config) as one, opened(config) as other:
        results = await asyncio.gather(*(cache.once("k", make, ttl=60) for cache in [one, other] * 5))
    assert {value for value, _ in results} == {b"made"}
    assert len(calls) == 1


async def test_a_process_that_fails_or_dies_lets_the_next_one_try() -> None:
    config = over(redis_server.running())

    async def fail() -> bytes:
        await asyncio.sleep(0.05)
        raise ProviderError("down")

    async def make() -> bytes:
        return b"made"

    async with opened(config) as one, opened(config) as other:
        failing = asyncio.create_task(one.once("k", fail, ttl=60))
        await asyncio.sleep(0.02)
        assert await other.once("k", make, ttl=60) == (b"made", True)
        with pytest.raises(ProviderError):
            await failing
        redis_server.running().say("SET", f"{config['prefix']}:lock:dead", "somebody", "PX", "60000")
        assert await other.once("dead", make, ttl=60, lease_seconds=0.1) == (b"made", True)


# --- sessions ----------------------------------------------------------------------------------------------------------


async def test_a_session_is_kept_under_no_readable_id(cache: Cache) -> None:
    data = {"user": "u1", "roles": ["analyst"], "n": 1, "x": None, "f": 0.5}
    await cache.cache_session("secret-session-id", data, ttl=60)
    assert await cache.get_session("secret-session-id") == data
    assert await cache.get_session("another") is None
    assert "secret-session-id" not in redis_server.running().say("KEYS", "*")
    assert await cache.delete_session("secret-session-id")
    assert await cache.get_session("secret-session-id") is None
    with pytest.raises(InputError, match="plain values"):
        await cache.cache_session("s", {1, 2}, ttl=60)


# --- functions ---------------------------------------------------------------------------------------------------------


async def test_a_result_is_kept_by_the_function_and_its_arguments(cache: Cache) -> None:
    calls: list[Any] = []

    @cache.cached_response(ttl=60, key_prefix="llm")
    async def answer(prompt: str, *more: int, model: str = "m", **options: Any) -> Any:
        """Its text."""
        calls.append((prompt, more, model, options))
        return {"text": prompt, "list": [1, 2.5, True, None]}

    @cache.cached_response(ttl=60, key_prefix="llm")
    async def other(prompt: str) -> Any:
        return "other"

    first = await answer("hello")
    first["text"] = "changed by the caller"
    assert await answer(prompt="hello", model="m") == {"text": "hello", "list": [1, 2.5, True, None]}
    assert len(calls) == 1
    assert await other("hello") == "other"
    different = [
        (("hello", 1), {}),
        (("hello", True), {}),
        (("hello", 1.0), {}),
        (("hello",), {"model": "n"}),
        (("hello",), {"t": {"b": 1, "a": 2}}),
    ]
    for args, kwargs in different:
        await answer(*args, **kwargs)
    await answer("hello", t={"a": 2, "b": 1})
    assert len(calls) == 1 + len(different)
    assert answer.__doc__ == "Its text."


async def test_calls_at_once_are_one_and_nobody_shares_what_can_be_changed(cache: Cache) -> None:
    calls = []

    @cache.cached_response(ttl=60)
    async def answer() -> list[int]:
        calls.append(1)
        await asyncio.sleep(0.01)
        return [1]

    results = await asyncio.gather(*(answer() for _ in range(20)))
    assert len(calls) == 1
    assert len({id(one) for one in results}) == 20


@pytest.mark.parametrize("result", [None, (1, 2), {1: 2}, float("nan"), b"bytes", object()])
async def test_what_would_not_come_back_the_same_is_returned_and_not_kept(cache: Cache, result: Any) -> None:
    calls = []

    @cache.cached_response(ttl=60)
    async def answer() -> Any:
        calls.append(1)
        return result

    assert await answer() is result
    assert await answer() is result
    assert len(calls) == 2


async def test_a_failure_is_not_kept(cache: Cache) -> None:
    calls = []

    @cache.cached_response(ttl=60)
    async def answer() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise ProviderError("down")
        return "up"

    with pytest.raises(ProviderError):
        await answer()
    assert await answer() == await answer() == "up"
    assert len(calls) == 2


async def test_arguments_and_functions_that_cannot_be_cached_are_told(cache: Cache) -> None:
    @cache.cached_response(ttl=60)
    async def answer(prompt: Any) -> str:
        return "x"

    with pytest.raises(InputError, match="argument 'prompt'"):
        await answer(object())
    with pytest.raises(TypeError):
        await answer()
    with pytest.raises(ConfigError, match="no async function"):
        cache.cached_response(ttl=60)(lambda: "x")


VECTORS = [
    np.array([0.1, -2.5e-8, 3e38], dtype=np.float32),
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array([0.1, 1e300], dtype=np.float64),
    np.zeros((0, 384), dtype=np.float32),
    [0.5, 0.25],
    [0.1, 1e300, float("inf")],
    [[0.5, 1.0], [0.1, -0.0]],
    [],
]


@pytest.mark.parametrize("vectors", VECTORS, ids=repr)
async def test_vectors_come_back_exactly_and_as_what_they_were(cache: Cache, vectors: Any) -> None:
    calls = []

    @cache_embeddings(cache, ttl=60)
    async def embed(text: str) -> Any:
        calls.append(1)
        return vectors

    await embed("a")
    again = await embed("a")
    assert len(calls) == 1
    assert type(again) is type(vectors)
    if isinstance(vectors, np.ndarray):
        assert again.dtype == vectors.dtype
        assert again.flags.writeable
        np.testing.assert_array_equal(again, vectors, strict=True)
    else:
        assert repr(again) == repr(vectors)


@pytest.mark.parametrize("result", [None, [1, 2], [True], [[0.5], [0.5, 0.5]], "text", np.array([1, 2]), [np.float32(0.5)]])
async def test_what_is_no_vector_is_returned_and_not_kept(cache: Cache, result: Any) -> None:
    calls = []

    @cache_embeddings(cache, ttl=60)
    async def embed(text: str) -> Any:
        calls.append(1)
        return result

    assert await embed("a") is result
    assert await embed("a") is result
    assert len(calls) == 2


# --- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"provider": "memcached"}, "provider"),
        ({"provder": "redis"}, "unknown keys of the cache: provder"),
        ({"provider": "redis", "redis": {"hots": "x"}}, "unknown keys of redis: hots"),
        ({"provider": "redis", "redis": "x"}, "not a mapping"),
        ({"provider": "redis", "redis": {"port": "6379"}}, "port"),
        ({"provider": "redis", "redis": {"url": "http://x"}}, "cannot be read"),
        ({"provider": "redis", "redis": {"url": "redis://x:canary@h:port"}}, "cannot be read"),
        ({"provider": "redis", "redis": {"url": "redis://:canary@h?socket_timeout=60"}}, "cannot be read"),
        ({"provider": "redis", "redis": {"url": "redis://h", "port": 1}}, "other keys"),
        ({"provider": "redis", "redis": {"tls": "no"}}, "tls"),
        ({"provider": "redis", "redis": {"host": 5}}, "host"),
        ({"provider": "redis", "redis": {"password": 12345678}}, "password"),
        ({"prefix": "A:b"}, "prefix"),
        ({"memory_mb": 0}, "memory_mb"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused_with_what_is_known(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refusal:
        ProductionCacheManager(config)
    assert refusal.value.hint
    assert "canary" not in f"{refusal.value} {refusal.value.hint}"


async def test_look_ups_and_refusals_are_counted_without_their_keys() -> None:
    numbers = Numbers()
    async with opened({"provider": "memory"}, meter=numbers) as cache:
        await cache.get("user-1")
        await cache.set("user-1", b"x", ttl=60)
        await cache.get("user-1", name="answers")
        for _ in range(2):
            await cache.check_rate_limit("user-1", limit=1, window=60, what="questions")
    assert numbers.counts == {
        ("cache_requests_total", "values", "miss"): 1,
        ("cache_requests_total", "answers", "hit"): 1,
        ("limited_total", "questions"): 1,
    }
