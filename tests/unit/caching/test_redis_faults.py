"""Redis closed, frozen, killed, restarted: nobody waits, limits hold, nothing old comes back, and it returns by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from engine.caching import ProductionCacheManager
from engine.errors import MissingSecret, StoreError
from engine.security.sealing import Sealer
from engine.vendors.redis import FIRST_WAIT, LONGEST_WAIT, RedisAway, RedisLink
from engine.vendors.redis_client import RedisAddress, address_of, client_of
from tests.servers import redis as redis_server
from tests.servers.redis import Redis, free_port
from tests.unit.caching.conftest import Clock, Numbers, opened, over, seconds_of

ADDED_SECONDS = 0.15
Fault = Callable[[Redis], None]


async def request(cache: ProductionCacheManager, n: int) -> None:
    """Do what one question does: a limit, a look-up, making the value once, a session."""

    async def make() -> bytes:
        return b"made"

    await cache.check_rate_limit("user", limit=1000, window=60)
    await cache.get(f"answer:{n}")
    assert (await cache.once(f"k:{n}", make, ttl=60))[0] == b"made"
    await cache.cache_session(f"s{n}", {"n": n}, ttl=60)
    assert await cache.get_session(f"s{n}") == {"n": n}


async def back(cache: ProductionCacheManager, clock: Clock, seconds: float = LONGEST_WAIT) -> None:
    """Let the wait pass, and use the cache until Redis is in use again."""
    async with asyncio.timeout(10):
        while cache.status().degraded:
            clock.now += seconds
            await cache.get("anything")
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("fault", [Redis.kill, Redis.freeze], ids=["closed port", "black hole"])
async def test_no_request_waits_for_a_redis_that_is_away(
    server: Redis, clock: Clock, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = Numbers()
    async with opened(over(server), clock=clock, meter=numbers) as cache:
        await request(cache, -1)
        usual = await seconds_of(request(cache, -2))
        fault(server)
        each = []
        for n in range(30):  # the wait ends now and then, so that some of these start a probe
            each.append(await seconds_of(request(cache, n)))
            clock.now += 0.5
            await asyncio.sleep(0.005)
        together = await asyncio.gather(*(seconds_of(request(cache, n)) for n in range(100, 150)))
        print(f"\nusual {usual * 1e3:.1f} ms; first {each[0] * 1e3:.1f} ms; slowest later {max(each[1:]) * 1e3:.1f} ms;"
              f" slowest of 50 at once {max(together) * 1e3:.1f} ms")  # fmt: skip
        assert max(each) - usual < ADDED_SECONDS
        status = cache.status()
        assert (status.where, status.degraded, status.outages) == ("memory", True, 1)
        assert status.reason
        said = [one.getMessage() for one in caplog.records if "is away" in one.getMessage()]
        assert len(said) == 1  # once per outage
        assert "canary" not in caplog.text + repr(status)
        server.thaw() if fault is Redis.freeze else server.start()
        await back(cache, clock)
        assert cache.status().where == "redis"
        assert numbers.gauges["redis_up"] == [1.0, 0.0, 1.0]
        assert (await cache.check_rate_limit("x", limit=1, window=60))["source"] == "redis"


async def test_a_first_connection_into_a_black_hole_takes_no_longer(server: Redis) -> None:
    server.freeze()
    async with opened(over(server)) as cache:
        assert await seconds_of(cache.initialize()) < ADDED_SECONDS + 0.1  # and the import of the client
        assert await seconds_of(cache.get("a")) < 0.05
        assert cache.status().degraded


async def test_a_redis_that_never_was_there_stops_nothing() -> None:
    config = {"provider": "redis", "redis": {"host": "127.0.0.1", "port": free_port()}}
    async with opened(config) as cache:
        await cache.initialize()
        await cache.set("a", b"x", ttl=60)
        assert await cache.get("a") == b"x"
        assert not await cache.ping()
        with pytest.raises(RedisAway) as refusal:
            await cache.time()
        assert refusal.value.hint


@pytest.mark.usefixtures("patient")
async def test_redis_tells_its_time_and_memory_has_none() -> None:
    async with opened(over(redis_server.running())) as cache:
        assert await cache.time() == pytest.approx(time.time(), abs=10)
        assert await cache.ping()
    async with opened({"provider": "memory"}) as cache:
        with pytest.raises(StoreError, match="no Redis"):
            await cache.time()
        assert await cache.ping()


async def test_waits_double_up_to_half_a_minute_and_one_probe_goes_at_a_time(clock: Clock) -> None:
    link = RedisLink(RedisAddress(host="127.0.0.1", port=free_port()), clock=clock)
    waits = []
    for _ in range(8):
        for _ in range(20):
            with pytest.raises(RedisAway):
                await link.run(lambda client: client.ping())
        async with asyncio.timeout(5):
            while link._probe is not None:
                await asyncio.sleep(0.005)
        waits.append(link.state().retry_in_seconds)
        clock.now += waits[-1]
    assert waits == [FIRST_WAIT, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]
    assert link.state().outages == 1
    await link.close()


async def test_answers_that_come_too_late_are_nobody_elses(server: Redis, clock: Clock) -> None:
    async with opened(over(server), clock=clock) as cache:
        for n in range(50):
            await cache.set(f"k{n}", str(n).encode(), ttl=60)
        server.freeze()
        await asyncio.gather(*(cache.get(f"k{n}") for n in range(50)))
        server.thaw()
        await back(cache, clock)
        for n in range(50):
            assert await cache.get(f"k{n}") == str(n).encode()


async def test_what_was_changed_meanwhile_holds_when_redis_is_back(server: Redis, clock: Clock) -> None:
    async with opened(over(server), clock=clock) as cache:
        for key in ("kept", "removed", "replaced", "p:1", "p:2"):
            await cache.set(key, b"old", ttl=600)
        server.freeze()
        await cache.delete("removed")
        await cache.set("replaced", b"new", ttl=600)
        await cache.set("added", b"new", ttl=600)
        await cache.delete_prefix("p:")
        await cache.set("p:2", b"new", ttl=600)
        for n in range(100):
            await cache.set(f"many:{n}", b"x", ttl=600)
        server.thaw()
        await back(cache, clock)
        values = {key: await cache.get(key) for key in ("kept", "removed", "replaced", "added", "p:1", "p:2", "many:99")}
        assert values == {"kept": b"old", "removed": None, "replaced": b"new", "added": b"new", "p:1": None, "p:2": b"new", "many:99": b"x"}  # fmt: skip
        assert cache.status().memory_entries == 0


async def test_a_restart_between_two_calls_is_not_even_an_outage(server: Redis) -> None:
    async with opened(over(server)) as cache:
        await cache.check_rate_limit("a", limit=5, window=60)
        server.kill()
        server.start()
        async with asyncio.timeout(5):  # the connection that was lost is noticed by the first call, or before
            while (await cache.check_rate_limit("a", limit=500, window=60))["source"] != "redis":
                await asyncio.sleep(0.01)
        assert cache.status().outages == 0


async def test_limits_hold_through_an_outage_and_over_both_of_its_edges(server: Redis, clock: Clock) -> None:
    config = over(server, replicas=2)

    async def allowed(cache: ProductionCacheManager, times: int) -> list[dict[str, Any]]:
        return [one for one in [await cache.check_rate_limit("u", limit=10, window=60) for _ in range(times)] if one["allowed"]]

    async with opened(config, clock=clock) as cache:
        assert len(await allowed(cache, 3)) == 3
        server.freeze()
        during = await allowed(cache, 20)
        assert [one["source"] for one in during] == ["fallback"] * 2  # 10 / 2 replicas, of which 3 were given
        assert during[0]["limit"] == 5
        server.thaw()
        await back(cache, clock, 1.0)
        after = await allowed(cache, 20)
        assert {one["source"] for one in after} == {"redis"}
        # The hit that found out may have arrived after all: then it is charged twice, never forgotten.
        assert len(after) in (10 - 3 - 2, 10 - 3 - 2 - 1)


async def test_a_busy_process_is_no_outage(server: Redis) -> None:
    async with opened(over(server)) as cache:
        await cache.set("a", b"x", ttl=60)
        asyncio.get_running_loop().call_later(0.0, time.sleep, 0.4)
        reading = asyncio.create_task(cache.get("a"))
        await reading
        async with asyncio.timeout(5):
            while cache.status().degraded:
                await cache.get("a")
                await asyncio.sleep(0.01)
        assert cache.status().outages == 0
        assert await cache.get("a") == b"x"


async def test_a_wrong_password_is_told_without_any(server: Redis, caplog: pytest.LogCaptureFixture) -> None:
    config = {"provider": "redis", "redis": {"host": "127.0.0.1", "port": server.port, "password": "wrong-canary-77"}}
    async with opened(config) as cache:
        await cache.initialize()
        status = cache.status()
        assert status.degraded
        assert "WRONGPASS" in status.reason or "password" in status.reason
        assert "canary" not in repr(status) + caplog.text
        assert "canary" not in repr(RedisAddress(password="canary"))


async def test_close_during_a_probe_leaves_nothing_behind(server: Redis, clock: Clock) -> None:
    cache = ProductionCacheManager(over(server), clock=clock)
    await cache.set("a", b"x", ttl=60)
    server.freeze()
    await cache.get("a")
    clock.now += 60
    await cache.get("a")  # starts a probe
    await cache.close()
    await cache.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "redis-probe"]


# --- what is in Redis --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
async def test_redis_holds_sealed_values_that_cannot_be_exchanged() -> None:
    server, config = redis_server.running(), over(redis_server.running())
    async with opened(config, sealing=Sealer("k" * 40)) as cache:
        await cache.set("mine", b"the plain answer", ttl=60)
        await cache.set("yours", b"another", ttl=60)
        name = f"{config['prefix']}:value:"
        raw = server.say("GET", f"{name}mine")
        assert raw
        assert "plain" not in raw
        assert await cache.get("mine") == b"the plain answer"
        server.say("COPY", f"{name}mine", f"{name}yours", "REPLACE")
        assert await cache.get("yours") is None
        server.say("SET", f"{name}mine", "rubbish")
        assert await cache.get("mine") is None
        await cache.set("mine", b"again", ttl=60)
    async with opened(config, sealing=Sealer("other" * 10)) as other:
        assert await other.get("mine") is None
        assert other.status().outages == 0
    with pytest.raises(MissingSecret):
        Sealer("k" * 40).open_bytes(b"rubbish")


@pytest.mark.usefixtures("patient")
async def test_what_one_process_keeps_another_one_reads() -> None:
    config = over(redis_server.running())
    async with opened(config) as one, opened(config) as other:
        await one.set("a", b"x", ttl=60)
        assert await other.get("a") == b"x"
        for cache in (one, other, one):
            last = await cache.check_rate_limit("u", limit=2, window=60)
        assert not last["allowed"]


async def test_breakers_that_opened_are_told_to_others_and_forgotten(server: Redis, clock: Clock) -> None:
    config = over(server)
    async with opened(config, clock=clock) as one, opened(config, clock=clock) as other:
        told, heard = one.shared_states(), other.shared_states()
        assert told
        assert heard
        assert await heard.opened() == {}
        await told.publish("b1", 30, "too many failures")
        await told.publish("b2", 30, "x")
        await told.publish("b3", 0.01, "over soon")
        await told.publish("b2", 0, "")
        await asyncio.sleep(0.02)
        ((name, (until, reason)),) = (await heard.opened()).items()
        assert (name, reason) == ("b1", "too many failures")
        assert 25 < until - time.time() <= 30
        server.freeze()
        assert await seconds_of(told.publish("b4", 30, "x")) < ADDED_SECONDS
        assert await heard.opened() == {}
    async with opened({"provider": "memory"}) as alone:
        assert alone.shared_states() is None


async def test_who_writes_into_redis_opens_breakers_for_a_day_at_most_and_forges_no_text(server: Redis, clock: Clock) -> None:
    async with opened(over(server), clock=clock) as one:
        states = one.shared_states()
        assert states
        await states.publish("good", 30, "too many failures")
        client = client_of(address_of(server.url), "attacker")
        forged = {
            "endless": '[Infinity, "x"]',
            "never": '[NaN, "x"]',
            "long": '[1e300, "x"]',
            "loud": f'[{time.time() + 60}, "a\\r\\u0000\\u001b[2Jb{"c" * 5000}"]',
            b"\xff\xfe": f'[{time.time() + 60}, "x"]',
        }
        (name,) = await client.keys("*:breakers")
        await client.hset(name, mapping=forged)
        await client.aclose()
        told = await states.opened()
    assert {"good", "endless", "long", "loud"} <= set(told) <= {"good", "endless", "long", "loud", "\ufffd\ufffd"}
    assert all(until - time.time() <= 86_401 for until, _ in told.values())
    reason = told["loud"][1]
    assert reason.isprintable()
    assert len(reason) <= 200


def test_tls_checks_certificates_and_the_client_tries_once() -> None:
    pool = client_of(address_of("rediss://user:p%40ss@cache.example:6380/3"), "workbench").connection_pool
    connection = pool.make_connection()
    assert type(connection).__name__ == "SSLConnection"
    context = connection.ssl_context.get()
    assert (context.verify_mode.name, context.check_hostname) == ("CERT_REQUIRED", True)
    assert (connection.host, connection.port, connection.db, connection.password) == ("cache.example", 6380, 3, "p@ss")
    assert (connection.retry.get_retries(), connection.socket_timeout, connection.socket_connect_timeout) == (0, 0.1, 0.1)
