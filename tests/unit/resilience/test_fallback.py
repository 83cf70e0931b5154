"""B21, the half that knows no screen: a chain is labelled, ends honestly, and stops where no other link can help."""

from __future__ import annotations

import pytest

from engine.errors import CircuitOpen, InputError, ProviderRejected, ProviderUnavailable
from engine.resilience.fallback import Chain, Link
from tests.unit.resilience.stage import collect


def broken(error):
    def run(*_args):
        raise error

    return run


def streamed(*steps):
    closed = []

    async def run(*_args):
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            closed.append(True)

    run.closed = closed
    return run


async def shout(word: str) -> str:
    return word.upper()


def test_b21_the_first_link_that_works_is_named() -> None:
    served = Chain([Link("primary", broken(ProviderUnavailable("down"))), Link("secondary", str.upper)]).call("a")
    assert (served.value, served.label, served.fallback) == ("A", "secondary", True)
    assert served.skipped == (("primary", "ProviderUnavailable"),)
    assert not Chain([Link("primary", str.upper)]).call("a").fallback


async def test_b21_links_may_be_async_and_the_last_resort_sync() -> None:
    chain = Chain([Link("primary", broken(CircuitOpen("open"))), Link("secondary", shout), Link("last", str.lower)])
    assert (await chain.acall("a")).value == "A"
    chain = Chain([Link("primary", broken(CircuitOpen("open"))), Link("last", str.lower)])
    assert (await chain.acall("A")).label == "last"


async def test_b21_when_all_fail_the_error_of_the_first_is_raised() -> None:
    chain = Chain([Link("one", broken(ProviderRejected("key", status=401))), Link("two", broken(ProviderUnavailable("down")))])
    for _ in range(2):
        with pytest.raises(ProviderRejected) as caught:
            await chain.acall("a")
    assert caught.value.__notes__[-1] == "two failed too: ProviderUnavailable"
    with pytest.raises(ProviderRejected):
        chain.call("a")


def test_b21_what_the_user_has_to_change_goes_no_further() -> None:
    asked = []
    with pytest.raises(InputError):
        Chain([Link("one", broken(InputError("too long"))), Link("two", asked.append)]).call("a")
    assert asked == []


async def test_b21_a_stream_takes_the_next_link_before_its_first_item() -> None:
    chain = Chain([Link("one", streamed(ProviderUnavailable("down"))), Link("two", streamed("a", "b"))])
    assert [(one.label, one.value) async for one in chain.stream()] == [("two", "a"), ("two", "b")]


async def test_b21_a_stream_that_began_is_continued_by_nobody() -> None:
    chain = Chain([Link("one", streamed("a", ProviderUnavailable("broke"))), Link("two", streamed("b"))])
    got = []
    with pytest.raises(ProviderUnavailable):
        await collect(chain.stream(), got)
    assert [one.value for one in got] == ["a"]


async def test_b21_the_next_link_begins_anew_when_an_operator_trips_the_breaker() -> None:
    chain = Chain([Link("one", streamed("a", CircuitOpen("tripped"))), Link("two", streamed("b"))])
    assert [(one.label, one.value) async for one in chain.stream()] == [("one", "a"), ("two", "b")]


async def test_closing_a_chain_closes_the_link_that_runs() -> None:
    source = streamed("a", "b")
    stream = Chain([Link("one", source)]).stream()
    await anext(stream)
    assert source.closed == []
    await stream.aclose()
    assert source.closed == [True]
