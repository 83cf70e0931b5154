"""A dependency that fails is left alone: the whole workbench over a vendor's real SDK and a server that fails when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.questions import _answered
from engine.database.audit_models import Audit
from engine.database.models import Job
from engine.errors import AccessDenied, CircuitOpen, NotFound, ProviderUnavailable, StoreError
from engine.operations_views import BreakerCommand, BreakerState, Dependency, Transition
from engine.pipelines import chain as chain_module
from engine.pipelines.ask import Token
from engine.provider_views import Choice
from engine.resilience.deadline import remaining, time_limit
from engine.services.breakers import KEPT_TRANSITIONS, Transitions
from engine.testing import ADMIN
from engine.types import Delta, Principal, Prompt, Role
from tests.flows.conftest import add
from tests.flows.laboratory import BOX, CHAT, EMBEDDING, EXTRACTIVE, QUESTION, Clock, Lab, add_box, lab, posts
from tests.flows.test_ask import LEAVE, Slow, settled
from tests.upstreams import openai
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.server import Upstream

OPERATOR = Principal(user_id="c" * 32, name="op", role=Role.OPERATOR)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with openai.upstream() as running:
        running.text = "Every employee has thirty days of paid leave [1]."
        yield running


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as opened:
        yield opened


@pytest.fixture
async def leave(here: Lab) -> str:
    """A collection with one document."""
    collection_id = (await here.workbench.create_collection(ADMIN, "handbook")).id
    await add(here.workbench, collection_id, "leave.txt", LEAVE)
    return collection_id


@pytest.fixture
async def remote(here: Lab, upstream: Upstream) -> str:
    """The same, embedded by the provider `box`; answers are extractive."""
    await add_box(here, upstream, EXTRACTIVE)
    await here.choose(embedding=Choice(provider="box", model="e-1"))
    collection_id = (await here.workbench.create_collection(ADMIN, "remote")).id
    await add(here.workbench, collection_id, "leave.txt", LEAVE)
    return collection_id


async def command(here: Lab, dependency: Dependency, what: BreakerCommand, *, reason: str = "") -> None:
    await here.workbench.command_breaker(ADMIN, here.guard(dependency).breaker.id, what, reason=reason)


async def embedding_calls(here: Lab) -> int:
    return sum(one.calls for one in await here.workbench.usage(ADMIN) if one.job == "embedding")


# --- the whole story ---------------------------------------------------------------------------------------------------


async def test_b5_b7_b21_a_failing_link_is_left_alone_then_probed_and_taken_back(
    here: Lab, leave: str, upstream: Upstream
) -> None:
    await add_box(here, upstream)
    upstream.fail("500", times=5)
    for failures in range(1, 6):
        assert here.breaker(CHAT).state is BreakerState.CLOSED
        answer = await here.workbench.ask(ADMIN, QUESTION, collections=[leave])
        assert (answer.provider, posts(upstream)) == ("extractive", failures)
        assert answer.serving.outages[0].provider == "box"
    assert here.breaker(CHAT).state is BreakerState.OPEN
    here.clock.now += 6
    answer = await here.workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert (answer.provider, posts(upstream)) == ("extractive", 5)  # no call
    assert answer.serving.outages[0].reason.endswith("is left alone for 24 s, because 5 of 5 calls failed")
    assert [one.failures for one in await here.workbench.usage(ADMIN) if one.provider == "box"] == [5]
    shown = _answered(answer)  # what the API sends
    assert (shown.provider, shown.outages[0].provider, shown.outages[0].model) == ("extractive", "box", "m-1")

    here.clock.now += 25
    for _ in range(2):
        assert (await here.workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "box"
    assert (here.breaker(CHAT).state, posts(upstream)) == (BreakerState.CLOSED, 7)

    await here.desk.sync()
    rows = await here.audited("breaker.")
    assert [one.action for one in rows] == ["breaker.open", "breaker.probe", "breaker.close"]
    assert {one.object for one in rows} == {"chat · box · m-1"}
    assert rows[0].reason == "5 of 5 calls failed"
    assert rows[0].details["last_error"].startswith("ProviderUnavailable")
    asked = await here.audited("question.ask")
    assert asked[0].details["failed"] == [{"provider": "box", "model": "m-1"}]
    assert (asked[0].details["provider"], asked[-1].details["provider"]) == ("extractive", "box")
    assert asked[-1].details["failed"] == []


async def test_no_question_that_a_model_finds_no_words_for_takes_it_from_everybody_else(
    here: Lab, leave: str, upstream: OpenAIUpstream
) -> None:
    await add_box(here, upstream)
    text, upstream.text, upstream.finish = upstream.text, "", "length"  # it thinks until no token is left
    for n in range(6):
        answer = await here.workbench.ask(ADMIN, f"{QUESTION} Think for ever, {n}.", collections=[leave])
        assert (answer.provider, posts(upstream)) == ("extractive", n + 1)
    assert here.breaker(CHAT).state is BreakerState.CLOSED
    upstream.text, upstream.finish = text, "stop"
    assert (await here.workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "box"


async def test_b21_when_no_link_is_left_the_error_names_them_all(here: Lab, leave: str, upstream: Upstream) -> None:
    second = Choice(provider="box", model="m-2")
    await add_box(here, upstream, BOX, second)
    await command(here, CHAT, BreakerCommand.TRIP)
    upstream.fail("503")
    with pytest.raises(ProviderUnavailable, match=r"no provider could answer.*taken out of use.*answered 503") as caught:
        await here.workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert caught.value.hint
    assert posts(upstream) == 1


async def test_b17_a_failed_call_is_tried_once_more_and_then_the_next_link_answers(tmp_path: Path, upstream: Upstream) -> None:
    async with lab(tmp_path, attempts=2) as here:
        collection_id = (await here.workbench.create_collection(ADMIN, "handbook")).id
        await add(here.workbench, collection_id, "leave.txt", LEAVE)
        await add_box(here, upstream)
        upstream.fail("500")
        assert (await here.workbench.ask(ADMIN, QUESTION, collections=[collection_id])).provider == "box"
        assert posts(upstream) == 2
        upstream.fail("500", times=9)
        assert (await here.workbench.ask(ADMIN, QUESTION, collections=[collection_id])).provider == "extractive"
        assert posts(upstream) == 4


# --- one for each operation --------------------------------------------------------------------------------------------


async def test_b12_a_broken_model_leaves_embedding_search_and_sign_in_untouched(
    here: Lab, remote: str, upstream: Upstream
) -> None:
    await here.choose(chain=(BOX, EXTRACTIVE))
    upstream.fail("503", times=5)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            async for _ in (await here.assembly.parts.generator(BOX)).stream(Prompt(question="?", passages=(), plain=True)):
                pass
    assert here.breaker(CHAT).state is BreakerState.OPEN
    before = posts(upstream, "/embeddings")
    answer = await here.workbench.ask(ADMIN, QUESTION, collections=[remote])
    assert answer.serving.notes == ()
    assert posts(upstream, "/embeddings") > before
    assert (await here.workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense"))[0].scores["dense"]
    assert here.breaker(EMBEDDING).state is BreakerState.CLOSED
    await here.workbench.create_user(ADMIN, "bo", "a long enough password", Role.ANALYST)
    assert (await here.workbench.sign_in("bo", "a long enough password", ip="127.0.0.1", user_agent="test")).token
    kinds = {one.dependency.operation: one for one in await here.workbench.breakers(OPERATOR)}
    assert {kind: one.state.value for kind, one in kinds.items()} == {"chat": "open", "embedding": "closed"}


async def test_b12_a_full_bulkhead_of_one_model_refuses_none_of_another(tmp_path: Path, upstream: Upstream) -> None:
    async with lab(tmp_path, concurrent_calls=1) as here:
        await add_box(here, upstream)
        with_place = here.guard(CHAT).bulkhead
        with_place.enter()
        collection_id = (await here.workbench.create_collection(ADMIN, "handbook")).id
        await add(here.workbench, collection_id, "leave.txt", LEAVE)
        answer = await here.workbench.ask(ADMIN, QUESTION, collections=[collection_id])
        assert (answer.provider, posts(upstream)) == ("extractive", 0)
        assert "is busy" in answer.serving.outages[0].reason
        await here.choose(chain=(Choice(provider="box", model="m-2"), EXTRACTIVE))
        assert (await here.workbench.ask(ADMIN, QUESTION, collections=[collection_id])).provider == "box"


async def test_what_everything_falls_back_on_has_no_breaker(here: Lab, leave: str) -> None:
    await here.workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert await here.workbench.breakers(OPERATOR) == []
    assert here.assembly.guards.all() == []


async def test_b12_a_store_that_is_out_costs_its_own_collections_the_dense_half(here: Lab, leave: str) -> None:
    await here.workbench.add_provider(ADMIN, "qdrant", name="points")  # in the data folder
    other = (await here.workbench.create_collection(ADMIN, "other")).id
    await add(here.workbench, other, "leave.txt", LEAVE)
    await here.workbench.move_store(ADMIN, other, "points")
    follow, given = here.assembly.spaces.follow, []

    async def noted(*arguments: Any, **options: Any) -> None:
        given.append(remaining())
        await follow(*arguments, **options)

    here.assembly.spaces.follow = noted  # type: ignore[method-assign]
    with time_limit(20):
        found = await here.workbench.search(ADMIN, QUESTION, collections=[leave, other])
    assert {"dense" in hit.scores for hit in found} == {True}
    assert given == [float("inf")]  # others wait for it, too
    await command(here, Dependency(operation="store", provider="points"), BreakerCommand.DRAIN)
    found = await here.workbench.search(ADMIN, QUESTION, collections=[leave, other])
    assert {(hit.chunk.collection_id == leave, "dense" in hit.scores) for hit in found} == {(True, True), (False, False)}
    answer = await here.workbench.ask(ADMIN, QUESTION, collections=[leave, other])
    assert "other was searched by words only, because the vector store 'points' failed" in answer.serving.notes[0]


# --- embedding ---------------------------------------------------------------------------------------------------------


async def test_b21_no_other_model_ever_embeds_in_place_of_one_that_is_out(here: Lab, remote: str, upstream: Upstream) -> None:
    await command(here, EMBEDDING, BreakerCommand.TRIP)
    before, embedded, billed = len(upstream.calls), here.assembly.parts.local().embedded, await embedding_calls(here)
    hits = await here.workbench.search(ADMIN, QUESTION, collections=[remote])
    assert hits
    assert all("dense" not in hit.scores for hit in hits)
    assert (len(upstream.calls), here.assembly.parts.local().embedded) == (before, embedded)
    with pytest.raises(CircuitOpen, match="taken out of use"):
        await here.workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense")
    answer = await here.workbench.ask(ADMIN, QUESTION, collections=[remote])
    assert "thirty days" in answer.text
    assert "remote was searched by words only, because embedding by 'box' failed" in answer.serving.notes[0]
    assert await embedding_calls(here) == billed  # what was not called costs nothing


async def test_a_document_waits_for_its_embedder_and_the_waiting_uses_up_no_attempt(
    here: Lab, remote: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker.REFUSED_SECONDS", 0.05)
    await command(here, EMBEDDING, BreakerCommand.TRIP)
    info, _ = await here.workbench.upload(ADMIN, remote, "more.txt", b"Lunch is at noon.")
    refused = here.breaker(EMBEDDING).not_permitted
    processing = asyncio.create_task(here.workbench.process(ADMIN, remote))
    async with asyncio.timeout(30):
        while here.breaker(EMBEDDING).not_permitted < refused + 4:
            await asyncio.sleep(0.02)
    async with here.workbench.database.read() as session:
        job = await session.scalar(select(Job).order_by(Job.created_at.desc()).limit(1))
    assert job is not None
    assert job.attempts <= 1
    assert (await here.workbench.document(ADMIN, info.id)).state not in ("live", "failed")
    await command(here, EMBEDDING, BreakerCommand.RESET)
    await asyncio.wait_for(processing, 30)
    assert (await here.workbench.document(ADMIN, info.id)).state == "live"


# --- time --------------------------------------------------------------------------------------------------------------


class Timed(Slow):
    """Notes how much time it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[float] = []

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        self.given.append(remaining())
        raise ProviderUnavailable("away")
        yield Delta()


async def test_b18_all_links_share_one_time_limit_and_the_reader_is_under_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lab(tmp_path, answer_seconds=30) as here:
        monkeypatch.setattr(chain_module, "LAST_SECONDS", 10.0)
        collection_id = (await here.workbench.create_collection(ADMIN, "handbook")).id
        await add(here.workbench, collection_id, "leave.txt", LEAVE)
        timed, local = Timed(), here.assembly.parts.local()
        embed, searched = local.embed_query, []
        monkeypatch.setattr(local, "embed_query", lambda text: (searched.append(remaining()), embed(text))[1])
        here.assembly.parts.use("chat", "transformers", timed)
        await here.choose(chain=(*(Choice(provider="transformers", model=name) for name in ("a", "b")), EXTRACTIVE))
        seen = [
            remaining()
            async for event in here.assembly.ask.stream(ADMIN, QUESTION, collection_ids=[collection_id])
            if isinstance(event, Token) or event
        ]
        assert set(seen) == {float("inf")}
        first, second = timed.given
        assert 20 >= first >= second > 0  # the last link keeps its ten seconds
        assert 0 < searched[0] <= 30


async def test_b18_a_provider_that_hangs_leaves_the_last_link_its_time(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lab(tmp_path, answer_seconds=4, attempts=3) as here:
        monkeypatch.setattr(chain_module, "LAST_SECONDS", 2.0)
        collection_id = (await here.workbench.create_collection(ADMIN, "handbook")).id
        await add(here.workbench, collection_id, "leave.txt", LEAVE)
        await add_box(here, upstream)
        upstream.fail("hang", times=3)
        answer = await here.workbench.ask(ADMIN, QUESTION, collections=[collection_id])
        assert (answer.provider, posts(upstream)) == ("extractive", 1)
        assert answer.serving.seconds < 10


async def test_b19_stop_ends_the_work_at_the_provider(here: Lab, leave: str, upstream: Upstream) -> None:
    await add_box(here, upstream)
    upstream.slow = 0.1
    upstream.text = "word " * 200
    talk = await here.workbench.create_conversation(ADMIN, [leave])
    reply = await here.workbench.send(ADMIN, talk.id, QUESTION)
    async with asyncio.timeout(20):
        while not (await here.workbench.message(ADMIN, reply.id)).text:
            await asyncio.sleep(0.02)
    assert upstream.open_streams == 1
    await here.workbench.stop(ADMIN, reply.id)
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    assert (await settled(here.workbench, ADMIN, reply.id)).state == "stopped"
    assert (posts(upstream), here.guard(CHAT).bulkhead.in_use, here.breaker(CHAT).calls) == (1, 0, 0)  # nobody's failure


# --- operators ---------------------------------------------------------------------------------------------------------


async def test_b24_what_an_operator_forces_is_audited_followed_elsewhere_and_survives_a_restart(
    tmp_path: Path, upstream: Upstream
) -> None:
    async with lab(tmp_path) as one, lab(tmp_path) as two:
        await add_box(one, upstream)
        [info] = await one.workbench.breakers(OPERATOR)  # it was never called
        assert (info.dependency, info.state, info.calls) == (CHAT, BreakerState.CLOSED, 0)
        await one.workbench.command_breaker(OPERATOR, info.id, BreakerCommand.TRIP, reason="bills\nare\0 \x1bdue\u202e")
        assert one.breaker(CHAT).state is BreakerState.TRIPPED
        await two.desk.sync()
        there = two.breaker(CHAT)
        assert (there.state, there.forced_by, there.reason) == (BreakerState.TRIPPED, "op", "bills are due")
        for what in (BreakerCommand.DRAIN, BreakerCommand.HOLD):
            await two.workbench.command_breaker(OPERATOR, info.id, what)
    async with lab(tmp_path) as after:
        assert after.breaker(CHAT).state is BreakerState.HELD
        await after.workbench.command_breaker(OPERATOR, info.id, BreakerCommand.RESET)
        assert after.breaker(CHAT).state is BreakerState.CLOSED
        await after.desk.sync()
        rows = await after.audited("breaker.")
        assert [(row.action, row.actor) for row in rows] == [
            ("breaker.trip", "op"), ("breaker.drain", "op"), ("breaker.hold", "op"), ("breaker.reset", "op"),
        ]  # fmt: skip
        assert (rows[0].object, rows[0].reason) == ("chat · box · m-1", "bills are due")
        assert rows[0].details == {**rows[0].details, "breaker": info.id}
    async with lab(tmp_path) as again:
        assert again.breaker(CHAT).state is BreakerState.CLOSED


async def test_b24_only_operators_and_admins_see_or_force_breakers(here: Lab, upstream: Upstream) -> None:
    await add_box(here, upstream)
    analyst = Principal(user_id="b" * 32, name="bo", role=Role.ANALYST)
    with pytest.raises(AccessDenied):
        await here.workbench.breakers(analyst)
    with pytest.raises(AccessDenied):
        await here.workbench.command_breaker(analyst, here.guard(CHAT).breaker.id, BreakerCommand.TRIP)
    with pytest.raises(NotFound):
        await here.workbench.command_breaker(OPERATOR, "0" * 16, BreakerCommand.TRIP)
    assert here.breaker(CHAT).state is BreakerState.CLOSED


async def test_b24_a_trip_ends_the_answer_that_is_being_written_and_the_next_link_gives_it(
    here: Lab, leave: str, upstream: Upstream
) -> None:
    await add_box(here, upstream)
    upstream.slow = 0.1
    upstream.text = "word " * 200
    asking = asyncio.create_task(here.workbench.ask(ADMIN, QUESTION, collections=[leave]))
    async with asyncio.timeout(20):
        while not upstream.open_streams:
            await asyncio.sleep(0.02)
    await command(here, CHAT, BreakerCommand.TRIP)
    answer = await asking
    assert (answer.provider, answer.serving.outages[0].provider) == ("extractive", "box")
    assert await asyncio.to_thread(upstream.wait_until_no_stream)


async def test_an_admin_who_tests_a_provider_really_calls_it_and_decides_nothing(here: Lab, upstream: Upstream) -> None:
    await add_box(here, upstream)
    await command(here, CHAT, BreakerCommand.TRIP)
    result = await here.workbench.test_provider(ADMIN, "box", "chat", "m-1")
    assert (result.ok, posts(upstream)) == (True, 1)
    assert here.breaker(CHAT).state is BreakerState.TRIPPED
    await command(here, CHAT, BreakerCommand.RESET)
    upstream.fail("500", times=9)
    for _ in range(9):
        await here.workbench.test_provider(ADMIN, "box", "chat", "m-1")
    assert (here.breaker(CHAT).state, here.breaker(CHAT).calls) == (BreakerState.CLOSED, 0)


async def test_a_provider_that_an_admin_mends_is_asked_again_at_once(here: Lab, leave: str, upstream: Upstream) -> None:
    await add_box(here, upstream)
    await here.workbench.edit_provider(ADMIN, "box", base_url="http://127.0.0.1:9", key="sk-0123456789abcdef")
    for _ in range(6):
        await here.workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert here.breaker(CHAT).state is BreakerState.OPEN
    await here.workbench.edit_provider(ADMIN, "box", base_url=upstream.url, key="sk-canary-7f3e9a1b5c2d4e6f8091a2b3")
    assert (await here.workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "box"


# --- other processes, and a database that is away ----------------------------------------------------------------------


class Board:
    """Satisfies SharedStates between processes of one test. `away`: nobody can be told or asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.states: dict[str, tuple[float, str]] = {}
        self.away = False

    async def publish(self, breaker_id: str, seconds: float, reason: str) -> None:
        if self.away:
            return
        self.states.pop(breaker_id, None)
        if seconds:
            self.states[breaker_id] = (self.clock() + seconds, reason)

    async def opened(self) -> dict[str, tuple[float, str]]:
        return {} if self.away else {key: one for key, one in self.states.items() if one[0] > self.clock()}


def break_down(here: Lab, dependency: Dependency = CHAT) -> None:
    for _ in range(5):
        here.guard(dependency).breaker.acquire().failed(ProviderUnavailable("away"), 0.1)


async def test_b22_processes_tell_each_other_what_is_open_and_when_it_works_again(tmp_path: Path) -> None:
    clock = Clock()
    board = Board(clock)
    async with lab(tmp_path, clock=clock, shared=board) as one, lab(tmp_path, clock=clock, shared=board) as two:
        two.guard(CHAT).breaker.acquire().succeeded(0.1)
        break_down(one)
        await one.desk.sync()
        await two.desk.sync()
        told = two.breaker(CHAT)
        assert (told.state, told.shared, told.retry_after_seconds) == (BreakerState.OPEN, True, 30.0)
        assert told.reason == "5 of 5 calls failed"
        assert not one.breaker(CHAT).shared
        clock.now += 31  # what was told is forgotten: each process tries for itself
        assert not await board.opened()
        for _ in range(2):
            one.guard(CHAT).breaker.acquire().succeeded(0.1)
        await one.desk.sync()
        await two.desk.sync()
        assert (one.breaker(CHAT).state, two.breaker(CHAT).state) == (BreakerState.CLOSED, BreakerState.HALF_OPEN)
        # What the other one did is not audited twice.
        opened = [row for row in await two.audited("breaker.open") if row.reason == "5 of 5 calls failed"]
        assert len(opened) == 1


async def test_b22_a_reset_is_told_to_everybody(tmp_path: Path, upstream: Upstream) -> None:
    clock = Clock()
    board = Board(clock)
    async with lab(tmp_path, clock=clock, shared=board) as one, lab(tmp_path, clock=clock, shared=board) as two:
        await add_box(one, upstream)
        two.guard(CHAT)
        break_down(one)
        for process in (one, two):
            await process.desk.sync()
        assert two.breaker(CHAT).shared
        await command(two, CHAT, BreakerCommand.RESET)
        for process in (two, one, two):
            await process.desk.sync()
        assert (one.breaker(CHAT).state, two.breaker(CHAT).state) == (BreakerState.CLOSED, BreakerState.CLOSED)


async def test_b22_without_anything_to_share_in_each_process_goes_by_itself(tmp_path: Path) -> None:
    clock = Clock()
    board = Board(clock)
    board.away = True
    async with lab(tmp_path, clock=clock, shared=board) as one, lab(tmp_path, clock=clock) as two:
        two.guard(CHAT)
        break_down(one)
        for process in (one, two):
            await process.desk.sync()
        assert (one.breaker(CHAT).state, two.breaker(CHAT).state) == (BreakerState.OPEN, BreakerState.CLOSED)


async def test_b25_what_a_breaker_did_while_the_database_was_away_is_audited_later(
    here: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise StoreError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(here.workbench.database, "write", away)
        break_down(here)
        for _ in range(10):
            await here.desk.sync()
    assert len([one for one in caplog.messages if "the database is away" in one]) == 1  # an outage, not its every second
    assert await here.audited("breaker.") == []
    await here.desk.sync()
    await here.desk.sync()
    assert [one.action for one in await here.audited("breaker.")] == ["breaker.open"]
    async with here.workbench.database.read() as session:
        assert len(list(await session.scalars(select(Audit).where(Audit.action == "breaker.open")))) == 1


def test_b25_changes_that_wait_are_bounded_and_the_newest_are_kept(here: Lab) -> None:
    queue = Transitions()
    break_down(here)
    [one] = here.assembly.transitions.waiting()
    assert isinstance(one, Transition)
    for _ in range(KEPT_TRANSITIONS + 10):
        queue.put(one)
    assert len(queue.waiting()) == KEPT_TRANSITIONS


async def test_b11_b21_nobody_waits_long_for_a_link_that_has_another_behind_it(tmp_path: Path, upstream: Upstream) -> None:
    upstream.retry_after = "7"
    async with lab(tmp_path, attempts=2) as here:
        collection = (await here.workbench.create_collection(ADMIN, "leave")).id
        await add(here.workbench, collection, "leave.txt", LEAVE)
        await add_box(here, upstream)
        upstream.fail("429")
        answer = await here.workbench.ask(ADMIN, QUESTION, collections=[collection])
        assert (answer.provider, posts(upstream)) == ("extractive", 1)  # seven seconds are too long
        upstream.retry_after = "0.01"
        upstream.fail("429")
        answer = await here.workbench.ask(ADMIN, QUESTION, collections=[collection])
        assert (answer.provider, posts(upstream)) == ("box", 3)


async def test_health_follows_a_breaker_at_once(here: Lab, leave: str, upstream: Upstream) -> None:
    await add_box(here, upstream)

    async def states() -> dict[str, str]:
        checks = await here.workbench.health(ADMIN)
        return {one.name: one.state for one in checks if one.name in ("answers", "provider box")}

    assert set((await states()).values()) == {"ok"}
    upstream.fail("500", times=5)
    for _ in range(5):
        await here.workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert set((await states()).values()) == {"ok"}  # results are kept for a while
    await here.desk.sync()
    assert await states() == {"answers": "degraded", "provider box": "failed"}
