"""The guard around single calls: what it refuses, repeats and reports."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from engine.errors import (
    CircuitOpen,
    InputError,
    NoTimeLeft,
    Overloaded,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from engine.operations_views import BreakerState, Dependency
from engine.resilience import deadline
from engine.resilience.guards import Guards
from engine.resilience.outcome import asked_wait
from engine.resilience.retrying import backoff
from tests.unit.resilience.stage import CHAT, LABELS, Clock, Meter, guard, guards, rules


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Upstream:
    """Raises what it was given, one after the other, then returns "ok"; counts its calls."""

    def __init__(self, *script: Exception, forever: type[Exception] | None = None) -> None:
        self.script, self.forever, self.calls = list(script), forever, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.script:
            raise self.script.pop(0)
        if self.forever:
            raise self.forever("down")
        return "ok"

    async def slow(self) -> str:
        return self()


def test_b05_an_open_breaker_lets_no_call_reach_the_dependency(clock) -> None:
    one, upstream = guard(clock, attempts=1), Upstream(forever=ProviderUnavailable)
    for _ in range(10):
        with pytest.raises(ProviderUnavailable):
            one.call(upstream)
    for _ in range(100):
        with pytest.raises(CircuitOpen):
            one.call(upstream)
    assert upstream.calls == 10


@pytest.mark.parametrize("status", [401, 403, 404])
def test_b10_refused_requests_are_neutral_once_each_and_keys_raise_an_alert(clock, status) -> None:
    meter = Meter()
    one = guard(clock, meter, attempts=3)
    upstream = Upstream(*(ProviderRejected("no", status=status) for _ in range(20)))
    for _ in range(20):
        with pytest.raises(ProviderRejected):
            one.call(upstream)
    assert (upstream.calls, one.breaker.state) == (20, BreakerState.CLOSED)
    assert meter.counts["dependency_calls_total", *LABELS, "neutral"] == 20
    assert meter.counts["errors_total", f"ProviderRejected {status}"] == (20 if status != 404 else 0)


async def test_b10_a_cancelled_call_is_neutral_and_gives_its_place_back(clock) -> None:
    meter = Meter()
    one = guard(clock, meter)
    task = asyncio.create_task(one.acall(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert one.bulkhead.in_use == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (one.bulkhead.in_use, one.breaker.info().calls) == (0, 0)
    assert meter.counts["dependency_calls_total", *LABELS, "neutral"] == 1


async def test_b11_failures_are_retried_and_counted(clock) -> None:
    meter = Meter()
    one = guard(clock, meter, attempts=3)
    upstream = Upstream(ProviderUnavailable("503"), ProviderTimeout("slow"))
    assert await one.acall(upstream.slow) == "ok"
    assert (upstream.calls, one.info().failure_rate, one.info().calls) == (3, None, 3)
    assert meter.counts["retries_total", "chat", "ProviderUnavailable"] == 1
    assert meter.counts["retries_total", "chat", "ProviderTimeout"] == 1
    assert clock.slept == [0.25, 0.5], "half (chance 0.5) of 0.5 s, then of 1 s"


def test_b11_the_wait_that_was_asked_for_is_kept_with_the_jitter_on_top(clock) -> None:
    one = guard(clock, attempts=2)
    assert one.call(Upstream(RateLimited("429", retry_after_seconds=60.0))) == "ok"
    assert clock.slept == [60.25]


def test_b11_a_longer_wait_than_allowed_is_given_up_at_once(clock) -> None:
    one, upstream = guard(clock, attempts=2), Upstream(RateLimited("429", retry_after_seconds=61.0))
    with pytest.raises(RateLimited) as caught:
        one.call(upstream)
    assert (upstream.calls, clock.slept, asked_wait(caught.value)) == (1, [], 61.0)


def test_b12_one_guard_for_each_dependency_and_the_others_stay_untouched(clock) -> None:
    all_ = guards(clock, attempts=1)
    chat = all_.of(CHAT)
    others = [all_.of(Dependency(operation=operation, provider=provider, model="gpt"))
              for operation, provider in [("embedding", "openai"), ("chat", "ollama"), ("store", "qdrant")]]  # fmt: skip
    assert all_.of(Dependency(operation="chat", provider="openai", model="gpt")) is chat
    assert all_.find(chat.breaker.id) is chat
    for _ in range(10):
        with pytest.raises(ProviderUnavailable):
            chat.call(Upstream(ProviderUnavailable("down")))
    assert chat.breaker.state is BreakerState.OPEN
    assert [one.call(lambda: "ok") for one in others] == ["ok"] * 3
    assert len(all_.all()) == 4


def test_b12_threads_that_ask_at_once_get_the_same_guard(clock) -> None:
    all_, barrier, found = guards(clock), threading.Barrier(20), []

    def ask() -> None:
        barrier.wait()
        found.append(all_.of(CHAT))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


async def test_b13_a_full_bulkhead_refuses_at_once_and_blames_nobody(clock) -> None:
    meter = Meter()
    one = guard(clock, meter, concurrent_calls=2, attempts=3)
    gate, upstream = asyncio.Event(), Upstream()
    running = [asyncio.create_task(one.acall(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await one.acall(upstream.slow)
    assert caught.value.retry_after_seconds > 0
    assert (upstream.calls, clock.slept) == (0, []), "no call, no retry"
    assert meter.counts["not_permitted_total", *LABELS, "full"] == 1
    assert one.info().not_permitted == 1
    gate.set()
    await asyncio.gather(*running)
    assert (one.breaker.info().calls, one.bulkhead.in_use) == (2, 0)
    assert await one.acall(upstream.slow) == "ok"


def test_b14_retries_stop_when_the_breaker_opens(clock) -> None:
    one, upstream = guard(clock, attempts=5, retry_budget=1.0, minimum_calls=3), Upstream(forever=ProviderUnavailable)
    with pytest.raises(ProviderUnavailable):
        one.call(upstream)
    assert (upstream.calls, len(clock.slept)) == (3, 2), "the third failure opened it: no wait, no fourth call"


def test_b14_a_breaker_that_opens_during_the_wait_stops_the_retry_too(clock) -> None:
    one, upstream = guard(clock, attempts=5), Upstream(forever=ProviderUnavailable)
    one._retries._sleep = lambda seconds: one.breaker.force(BreakerState.DRAINING, by="Ana")
    with pytest.raises(CircuitOpen):
        one.call(upstream)
    assert (upstream.calls, one.bulkhead.in_use) == (1, 0)


def test_b15_the_delays_of_200_clients_are_spread(clock) -> None:
    """By hand: 16 s of jitter are 160 steps of 100 ms, 1.25 of 200 delays each on average; 5 % would be 10 in one."""
    import random

    chance = random.Random(15).random
    delays = []
    for _ in range(200):
        own = Clock()
        one = guard(own, chance=chance, attempts=2, backoff_seconds=16.0)
        assert one.call(Upstream(ProviderUnavailable("down"))) == "ok"
        delays += own.slept
    assert len(delays) == 200
    starts = sorted(delays)
    worst = max(sum(start <= delay < start + 0.1 for delay in delays) for start in starts)
    assert worst / 200 < 0.05
    assert min(delays) < 1.0 < 15.0 < max(delays)


def test_b15_the_bound_doubles_and_ends_at_the_longest_wait() -> None:
    known = rules(backoff_seconds=0.5, longest_wait_seconds=3.0)
    assert [backoff(attempt, known, lambda: 1.0) for attempt in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff(5, known, lambda: 0.0) == 0.0


@pytest.mark.parametrize("attempts", [2, 5])
def test_b16_when_everything_fails_retries_add_a_fifth_at_most(clock, attempts) -> None:
    meter = Meter()
    one, upstream = guard(clock, meter, attempts=attempts, retry_budget=0.2), Upstream(forever=ProviderUnavailable)
    one.breaker.force(BreakerState.HELD, by="Ana")  # so that nothing but the budget limits
    for _ in range(1_000):
        with pytest.raises(ProviderUnavailable):
            one.call(upstream)
    assert 1_190 <= upstream.calls <= 1_200
    assert meter.counts["not_permitted_total", *LABELS, "budget"] > 0


def test_b16_a_long_quiet_time_pays_for_no_storm(clock) -> None:
    one, upstream = guard(clock, attempts=2), Upstream()
    one.breaker.force(BreakerState.HELD, by="Ana")
    for _ in range(1_000):
        one.call(upstream)
    upstream.forever, upstream.calls = ProviderUnavailable, 0
    for _ in range(20):
        with pytest.raises(ProviderUnavailable):
            one.call(upstream)
    assert upstream.calls == 20 + 10 + 3, "ten saved up; the calls pay for the others as they come"


def test_b16_the_very_first_calls_can_be_retried_and_none_with_a_share_of_0(clock) -> None:
    assert guard(clock, attempts=2).call(Upstream(ProviderUnavailable("down"))) == "ok"
    with pytest.raises(ProviderUnavailable):
        guard(clock, attempts=2, retry_budget=0.0).call(Upstream(ProviderUnavailable("down")))


async def test_b18_each_try_sees_the_shorter_of_its_own_limit_and_what_is_left(clock) -> None:
    one, seen = guard(clock, attempts=2), []

    async def upstream() -> str:
        seen.append(deadline.remaining())
        clock.now += 15
        if len(seen) == 1:
            raise ProviderUnavailable("down")
        return "ok"

    with deadline.time_limit(30, clock=clock):
        assert await one.acall(upstream, seconds=20) == "ok"
        assert deadline.remaining() < 1
        with pytest.raises(NoTimeLeft):
            await one.acall(upstream)
        with pytest.raises(NoTimeLeft):
            one.call(lambda: "never")
    assert seen == [20, pytest.approx(14.75)]
    assert deadline.remaining() == float("inf")


def test_b18_no_try_begins_that_could_not_end(clock) -> None:
    one, upstream = guard(clock, attempts=3, chance=lambda: 1.0), Upstream(forever=ProviderUnavailable)
    with deadline.time_limit(2.4, clock=clock), pytest.raises(ProviderUnavailable):
        one.call(upstream)
    assert (upstream.calls, clock.slept) == (2, [0.5]), "after the second, a wait of 1 s would leave 0.9 s"


def test_b18_an_outer_limit_stays_in_force(clock) -> None:
    with deadline.time_limit(5, clock=clock), deadline.time_limit(60, clock=clock):
        assert deadline.remaining() == 5


async def test_b18_the_limit_reaches_threads(clock) -> None:
    with deadline.time_limit(5, clock=clock):
        assert await asyncio.to_thread(deadline.remaining) == 5


async def test_b18_a_hanging_call_is_cancelled_and_is_a_failure_by_its_own_limit(clock) -> None:
    one, ended = guard(clock, attempts=1), []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ProviderTimeout):
        await one.acall(hangs, seconds=0.01)
    assert (ended, one.breaker.info().calls, one.breaker.info().last_error) == ([True], 1, "ProviderTimeout")


async def test_b18_a_call_that_the_users_deadline_cut_short_blames_nobody(clock, monkeypatch) -> None:
    monkeypatch.setattr(deadline, "LEAST_SECONDS", 0.0)
    one = guard(clock, attempts=2)
    with deadline.time_limit(0.01, clock=clock), pytest.raises(ProviderTimeout):
        await one.acall(asyncio.Event().wait, seconds=60)
    assert (one.breaker.info().calls, one.bulkhead.in_use, clock.slept) == (0, 0, [])


@pytest.mark.parametrize(("flags", "calls"), [({}, 2), ({"writes": True}, 1), ({"writes": True, "idempotent": True}, 2)])
async def test_b20_writes_are_only_retried_when_twice_is_the_same_as_once(clock, flags, calls) -> None:
    one = guard(clock, attempts=2)
    blocking, upstream = Upstream(forever=ProviderUnavailable), Upstream(forever=ProviderUnavailable)
    with pytest.raises(ProviderUnavailable):
        one.call(blocking, **flags)
    with pytest.raises(ProviderUnavailable):
        await one.acall(upstream.slow, **flags)
    assert (blocking.calls, upstream.calls) == (calls, calls)


def test_b23_after_a_start_breakers_are_closed_and_bulkheads_open_step_by_step(clock) -> None:
    all_ = Guards(rules(concurrent_calls=16, ramp_seconds=10), clock=clock)
    one = all_.of(CHAT)
    limits = []
    for _ in range(5):
        limits.append(one.info().limit)
        clock.now += 2.5
    assert (one.info().state, limits) == (BreakerState.CLOSED, [4, 7, 10, 13, 16])
    later = all_.of(Dependency(operation="store", provider="qdrant"))
    assert later.info().limit == 16, "the ramp is that of the process"
    tiny = Guards(rules(concurrent_calls=1, ramp_seconds=10), clock=clock).of(CHAT)
    assert tiny.info().limit == 1


def test_b23_the_ramp_refuses_what_would_come_at_once(clock) -> None:
    one = Guards(rules(concurrent_calls=8, ramp_seconds=10), clock=clock).of(CHAT)

    def nested(depth: int) -> int:
        return depth if depth == 0 else one.call(lambda: nested(depth - 1))

    assert nested(2) == 0
    with pytest.raises(Overloaded):
        nested(3)
    clock.now += 10
    assert nested(8) == 0


def test_b25_what_is_reported(clock) -> None:
    meter = Meter()
    one = guard(clock, meter, attempts=1, slow_seconds=60)

    def slow() -> None:
        clock.now += 61

    one.call(slow)
    with pytest.raises(InputError):
        one.call(Upstream(InputError("no")))
    for _ in range(9):
        with pytest.raises(ProviderUnavailable):
            one.call(Upstream(ProviderUnavailable("down")))
    with pytest.raises(CircuitOpen):
        one.call(Upstream())
    results = {key[-1]: count for key, count in meter.counts.items() if key[0] == "dependency_calls_total"}
    assert results == {"success": 1, "neutral": 1, "failure": 9}
    assert meter.counts["slow_calls_total", *LABELS] == 1
    assert meter.counts["not_permitted_total", *LABELS, "open"] == 1
    assert Counter(ok for *_, ok in meter.times) == {True: 1, False: 9}
    assert meter.times[0] == ("dependency_seconds", *LABELS, 61.0, True)
    assert meter.gauges["breaker_state", *LABELS] == [0.0, 2.0]
    assert meter.gauges["bulkhead_in_use", *LABELS] == [1, 0] * 11 + [0]


def test_b25_every_number_is_in_the_catalogue_with_its_labels(clock) -> None:
    from engine.monitoring.catalogue import METRICS

    meter = Meter()
    one = guard(clock, meter, attempts=2, concurrent_calls=1)
    one.call(Upstream(ProviderUnavailable("down")))
    with pytest.raises(ProviderRejected):
        one.call(Upstream(ProviderRejected("key", status=401)))
    with pytest.raises(Overloaded):
        one.call(lambda: one.call(Upstream()))
    for state, level in [(BreakerState.HELD, -1), (BreakerState.TRIPPED, 3), (BreakerState.DRAINING, 3)]:
        one.breaker.force(state, by="Ana")
        assert meter.gauges["breaker_state", *LABELS][-1] == level
    told = [*meter.counts, *meter.gauges, *(entry[:-2] for entry in meter.times)]
    assert {name for name, *_ in told} == {"dependency_calls_total", "retries_total", "errors_total", "not_permitted_total",
                                           "breaker_state", "bulkhead_in_use", "dependency_seconds"}  # fmt: skip
    for name, *labels in told:
        assert len(labels) == len(METRICS[name].labels), name
