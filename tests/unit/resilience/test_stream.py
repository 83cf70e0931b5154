"""Streams behind a guard: when they are retried, what ends them, and what ends upstream with them."""

from __future__ import annotations

import asyncio
import gc
import math

import pytest

from engine.errors import CircuitOpen, NoTimeLeft, ProviderTimeout, ProviderUnavailable
from engine.operations_views import BreakerState
from engine.resilience import deadline
from tests.unit.resilience.stage import LABELS, Clock, Meter, collect, fail, guard


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Source:
    """Streams that follow a script: an item, an error to raise, or `None` for waiting forever. Notes what was closed."""

    def __init__(self, *scripts: list) -> None:
        self.scripts, self.made, self.closed = list(scripts), 0, 0

    async def __call__(self):
        script = self.scripts[min(self.made, len(self.scripts) - 1)]
        self.made += 1
        try:
            for step in script:
                if step is None:
                    await asyncio.Event().wait()
                elif isinstance(step, Exception):
                    raise step
                elif callable(step):
                    step()
                else:
                    yield step
        finally:
            self.closed += 1


async def read(stream) -> list:
    return [item async for item in stream]


async def test_b19_a_stream_is_retried_before_its_first_item(clock) -> None:
    one, source = guard(clock, attempts=2), Source([ProviderUnavailable("down")], ["a", "b"])
    assert await read(one.stream(source)) == ["a", "b"]
    assert (source.made, source.closed, one.breaker.info().calls, one.bulkhead.in_use) == (2, 2, 2, 0)


async def test_b19_a_stream_is_never_retried_after_its_first_item(clock) -> None:
    meter = Meter()
    one, source = guard(clock, meter, attempts=3), Source(["a", ProviderUnavailable("broke")])
    got = []
    with pytest.raises(ProviderUnavailable):
        await collect(one.stream(source), got)
    assert (got, source.made, source.closed, one.bulkhead.in_use) == (["a"], 1, 1, 0)
    assert one.breaker.info().last_error == "ProviderUnavailable"
    assert meter.counts["dependency_calls_total", *LABELS, "failure"] == 1


async def test_b19_closing_the_iterator_closes_the_source_and_is_neutral(clock) -> None:
    meter = Meter()
    one, source = guard(clock, meter), Source(["a", "b", None])
    stream = one.stream(source)
    assert await anext(stream) == "a"
    assert (source.closed, one.bulkhead.in_use) == (0, 1)
    await stream.aclose()
    assert (source.closed, one.bulkhead.in_use, one.breaker.info().calls) == (1, 0, 0)
    assert meter.counts["dependency_calls_total", *LABELS, "neutral"] == 1


async def test_b19_cancelling_the_reader_ends_the_source(clock) -> None:
    one, source = guard(clock), Source(["a", None])
    task = asyncio.create_task(read(one.stream(source)))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (source.closed, one.bulkhead.in_use, one.breaker.info().calls) == (1, 0, 0)


async def test_b19_a_stream_that_nobody_reads_on_gives_its_place_back(clock) -> None:
    one, source = guard(clock), Source(["a", None])
    stream = one.stream(source)
    await anext(stream)
    del stream
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (source.closed, one.bulkhead.in_use) == (1, 0)


async def test_b19_the_first_item_has_its_own_limit(clock) -> None:
    one, source = guard(clock, attempts=1), Source([None])
    with pytest.raises(ProviderTimeout):
        await read(one.stream(source, first_seconds=0.01, next_seconds=100))
    assert (source.closed, one.bulkhead.in_use, one.breaker.info().last_error) == (1, 0, "ProviderTimeout")


async def test_b19_the_time_between_items_has_its_own_limit(clock) -> None:
    one, source, got = guard(clock, attempts=2), Source(["a", None]), []
    with pytest.raises(ProviderTimeout):
        await collect(one.stream(source, first_seconds=100, next_seconds=0.01), got)
    assert (got, source.made, source.closed, one.bulkhead.in_use) == (["a"], 1, 1, 0)


async def test_b19_the_limits_of_the_settings_are_the_defaults(clock) -> None:
    one = guard(clock, attempts=1, first_token_seconds=0.01, next_token_seconds=0.01)
    for script in ([None], ["a", None]):
        with pytest.raises(ProviderTimeout):
            await read(one.stream(Source(script)))


async def test_b19_the_deadline_of_the_first_request_bounds_the_whole_stream(clock) -> None:
    """The reader moves the clock: however long it takes between items, the end of the user's action is the end."""
    one, source, got = guard(clock), Source(["a", "b", None]), []
    with deadline.time_limit(100, clock=clock):
        stream = one.stream(source, first_seconds=math.inf, next_seconds=math.inf)
        got.append(await anext(stream))
    clock.now += 50
    got.append(await anext(stream))
    clock.now += 60
    with pytest.raises(ProviderTimeout):
        await anext(stream)
    assert (got, source.closed, one.breaker.info().calls) == (["a", "b"], 1, 0), "cut short: nobody's failure"


async def test_b18_no_stream_begins_with_less_than_a_second_left(clock) -> None:
    one, source = guard(clock), Source(["a"])
    with deadline.time_limit(0.9, clock=clock), pytest.raises(NoTimeLeft):
        await read(one.stream(source))
    assert source.made == 0


async def test_a_tripped_breaker_stops_running_streams_at_the_next_item(clock) -> None:
    one, got = guard(clock), []
    source = Source(["a", "b", lambda: one.breaker.force(BreakerState.TRIPPED, by="Ana"), "c"])
    with pytest.raises(CircuitOpen):
        await collect(one.stream(source), got)
    assert (got, source.closed, one.bulkhead.in_use) == (["a", "b"], 1, 0)


async def test_a_draining_breaker_lets_running_streams_end(clock) -> None:
    one = guard(clock)
    source = Source(["a", lambda: one.breaker.force(BreakerState.DRAINING, by="Ana"), "b"])
    assert await read(one.stream(source)) == ["a", "b"]
    with pytest.raises(CircuitOpen):
        await read(one.stream(source))
    assert source.made == 1


async def test_an_empty_stream_is_a_success(clock) -> None:
    one = guard(clock)
    assert await read(one.stream(Source([]))) == []
    assert (one.breaker.info().calls, one.bulkhead.in_use) == (1, 0)


async def test_what_fails_while_a_stream_is_made_is_a_failure_too(clock) -> None:
    one = guard(clock, attempts=1)

    def make():
        raise ProviderUnavailable("down")

    with pytest.raises(ProviderUnavailable):
        await read(one.stream(make))
    assert (one.breaker.info().calls, one.bulkhead.in_use) == (1, 0)


async def test_a_long_answer_that_began_in_time_is_not_slow(clock) -> None:
    meter = Meter()
    one = guard(clock, meter, slow_seconds=60)

    def wait() -> None:
        clock.now += 40

    assert await read(one.stream(Source([wait, "a", wait, "b"]))) == ["a", "b"]
    assert meter.counts["slow_calls_total", *LABELS] == 0
    assert await read(one.stream(Source([wait, wait, "a"]))) == ["a"]
    assert meter.counts["slow_calls_total", *LABELS] == 1
    assert [entry[-2:] for entry in meter.times] == [(80.0, True), (80.0, True)]


async def test_the_time_that_the_reader_takes_is_not_the_dependencys(clock) -> None:
    meter = Meter()
    one = guard(clock, meter)
    async for _ in one.stream(Source(["a", "b"])):
        clock.now += 500
    assert meter.times == [("dependency_seconds", *LABELS, 0.0, True)]


async def test_b08_a_probe_that_streams_for_long_is_not_lost(clock) -> None:
    one = guard(clock, probes=1, probe_seconds=120, next_token_seconds=100)
    fail(one.breaker, 10)
    clock.now += 30

    def wait() -> None:
        clock.now += 90
        assert one.breaker.state is BreakerState.HALF_OPEN

    assert await read(one.stream(Source(["a", wait, "b", wait, "c", wait, "d"]))) == ["a", "b", "c", "d"]
    assert one.breaker.state is BreakerState.CLOSED


async def test_an_error_while_closing_still_gives_the_place_back(clock) -> None:
    one = guard(clock)

    async def source():
        try:
            yield "a"
            yield "b"
        finally:
            raise ProviderUnavailable("could not say goodbye")

    stream = one.stream(source)
    await anext(stream)
    with pytest.raises(ProviderUnavailable):
        await stream.aclose()
    assert one.bulkhead.in_use == 0


async def test_a_source_that_fails_before_its_first_item_is_closed_too(clock) -> None:
    """An async generator that raised is closed already; other iterators are not."""

    class Connection:
        closed = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            raise ProviderUnavailable("down")

        async def aclose(self) -> None:
            self.closed += 1

    one, connection = guard(clock, attempts=1), Connection()
    with pytest.raises(ProviderUnavailable):
        await read(one.stream(lambda: connection))
    assert connection.closed == 1
