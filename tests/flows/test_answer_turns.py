"""The same question by several at once: it is answered once, and nobody depends on another's luck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.errors import ProviderUnavailable
from engine.testing import ADMIN
from engine.types import Answer, Delta, Prompt
from engine.workbench import Workbench
from tests.flows.test_ask import Slow, settled
from tests.flows.test_providers import QUESTION, leave

__all__ = ["leave"]


class Gated(Slow):
    """Begins at once, and goes on when it is let: by an answer, or by a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.fails = 0
        self.let = asyncio.Event()

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        self.begun += 1
        fails = self.begun <= self.fails
        self.said.set()
        await self.let.wait()
        if fails:
            raise ProviderUnavailable("the model is away", hint="Try again in a minute.")
        yield Delta(text="Every employee has thirty days of paid leave [1].")


@pytest.fixture
def gated(workbench: Workbench) -> Gated:
    made = Gated()
    workbench._ask._chain._parts.use("chat", "extractive", made)
    return made


async def until_waiting(workbench: Workbench, message_id: str) -> None:
    async with asyncio.timeout(30):
        while "waiting for it" not in (await workbench.message(ADMIN, message_id)).step:
            await asyncio.sleep(0.01)


async def sent(workbench: Workbench, collection: str, *, fresh: bool = False) -> str:
    talk = await workbench.create_conversation(ADMIN, [collection])
    return (await workbench.send(ADMIN, talk.id, QUESTION, fresh=fresh)).id


async def answer_of(workbench: Workbench, message_id: str) -> Answer:
    message = await settled(workbench, ADMIN, message_id)
    assert message.answer is not None, message
    return message.answer


async def test_who_asks_the_same_at_the_same_time_waits_for_the_answer(workbench: Workbench, leave: str, gated: Gated) -> None:
    first = await sent(workbench, leave)
    await asyncio.wait_for(gated.said.wait(), 30)
    others = [await sent(workbench, leave) for _ in range(3)]
    for other in others:
        await until_waiting(workbench, other)
    gated.let.set()
    answers = [await answer_of(workbench, one) for one in (first, *others)]
    assert gated.begun == 1
    assert [bool(one.serving.cached_at) for one in answers] == [False, True, True, True]
    assert len({one.text for one in answers}) == 1


async def test_a_stop_of_the_first_leaves_the_second_to_answer_itself(workbench: Workbench, leave: str, gated: Gated) -> None:
    first = await sent(workbench, leave)
    await asyncio.wait_for(gated.said.wait(), 30)
    second = await sent(workbench, leave)
    await until_waiting(workbench, second)
    await workbench.stop(ADMIN, first)
    gated.let.set()
    answer = await answer_of(workbench, second)
    assert (gated.begun, answer.serving.cached_at) == (2, "")
    assert (await workbench.message(ADMIN, first)).state == "stopped"
    assert (await answer_of(workbench, await sent(workbench, leave))).serving.cached_at  # the second one's was kept


async def test_a_stop_of_the_second_leaves_the_first_alone(workbench: Workbench, leave: str, gated: Gated) -> None:
    first = await sent(workbench, leave)
    await asyncio.wait_for(gated.said.wait(), 30)
    second = await sent(workbench, leave)
    await until_waiting(workbench, second)
    await workbench.stop(ADMIN, second)
    gated.let.set()
    assert (await answer_of(workbench, first)).citations
    assert (await workbench.message(ADMIN, second)).state == "stopped"


async def test_a_failure_of_the_first_is_not_the_seconds(workbench: Workbench, leave: str, gated: Gated) -> None:
    gated.fails = 1
    first = await sent(workbench, leave)
    await asyncio.wait_for(gated.said.wait(), 30)
    second = await sent(workbench, leave)
    await until_waiting(workbench, second)
    gated.let.set()
    assert (await settled(workbench, ADMIN, first)).state == "failed"
    assert (await answer_of(workbench, second)).citations


async def test_nobody_waits_for_ever(workbench: Workbench, leave: str, gated: Gated) -> None:
    workbench._ask._answers._wait_seconds = 0.05
    first = await sent(workbench, leave)
    await asyncio.wait_for(gated.said.wait(), 30)
    second = await sent(workbench, leave)
    async with asyncio.timeout(30):
        while gated.begun < 2:
            await asyncio.sleep(0.01)
    gated.let.set()
    for one in (first, second):
        assert not (await answer_of(workbench, one)).serving.cached_at


async def test_a_fresh_answer_waits_for_nobody(workbench: Workbench, leave: str, gated: Gated) -> None:
    first = await sent(workbench, leave)
    await asyncio.wait_for(gated.said.wait(), 30)
    second = await sent(workbench, leave, fresh=True)
    async with asyncio.timeout(30):
        while gated.begun < 2:
            await asyncio.sleep(0.01)
    gated.let.set()
    for one in (first, second):
        assert not (await answer_of(workbench, one)).serving.cached_at


async def test_what_is_asked_anew_in_a_conversation_replaces_what_was_kept(workbench: Workbench, leave: str) -> None:
    await answer_of(workbench, await sent(workbench, leave))
    talk = await workbench.create_conversation(ADMIN, [leave])
    seen = await answer_of(workbench, (await workbench.send(ADMIN, talk.id, QUESTION)).id)
    assert seen.serving.cached_at
    fresh = await answer_of(workbench, (await workbench.send(ADMIN, talk.id, QUESTION, fresh=True)).id)
    assert not fresh.serving.cached_at
    again = await answer_of(workbench, await sent(workbench, leave))
    assert again.serving.cached_at > seen.serving.cached_at
    # A kept answer is a message like any other: it is there after a restart, with what it cited.
    assert (await workbench.messages(ADMIN, talk.id))[1].answer == seen
