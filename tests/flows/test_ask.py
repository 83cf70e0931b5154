"""Questions: cited answers, refusals, conversations that lose nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.errors import InputError, NotFound, ProviderUnavailable, QuestionRejected
from engine.testing import ADMIN, offline_workbench
from engine.types import Delta, Principal, Prompt, Role, Usage
from engine.views import MessageInfo
from engine.workbench import Workbench
from tests.flows.conftest import add

LEAVE = (
    "The leave policy applies to everybody who works here.\n\nEvery employee has thirty days of paid leave a year. "
    "Unused leave expires at the end of March.\n\nParking is free for visitors on the second floor."
)


async def settled(workbench: Workbench, principal: Principal, message_id: str) -> MessageInfo:
    async with asyncio.timeout(30):
        while (message := await workbench.message(principal, message_id)).state == "streaming":
            await asyncio.sleep(0.01)
    return message


async def test_an_answer_quotes_and_cites_the_exact_slice(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "leave.txt", LEAVE)
    answer = await workbench.ask(ADMIN, "How many days of paid leave does an employee have?", collections=[handbook])
    assert not answer.refused
    assert any("thirty days" in sentence.text for sentence in answer.sentences)
    assert all(sentence.citations for sentence in answer.sentences)
    for citation in answer.citations:
        page = await workbench.page(ADMIN, info.id, citation.page)
        assert page.text[citation.start : citation.end] == citation.text
        assert citation.document == "leave.txt"
    assert {step["name"] for step in answer.trace["steps"]} >= {"rewrite", "retrieve", "prompt", "generate", "ground"}


async def test_what_the_documents_do_not_say_is_refused_and_the_nearest_passages_are_shown(
    workbench: Workbench, handbook: str
) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    answer = await workbench.ask(ADMIN, "Which telescope discovered the moons of Jupiter?", collections=[handbook])
    assert answer.refused
    assert answer.citations == ()
    assert answer.nearest


async def test_an_empty_collection_is_refused_not_an_error(workbench: Workbench, handbook: str) -> None:
    answer = await workbench.ask(ADMIN, "How many days?", collections=[handbook])
    assert answer.refused


async def test_a_question_needs_words_and_a_collection(workbench: Workbench, handbook: str) -> None:
    with pytest.raises(QuestionRejected):
        await workbench.ask(ADMIN, "   ", collections=[handbook])
    with pytest.raises(QuestionRejected):
        await workbench.ask(ADMIN, "x" * 5000, collections=[handbook])
    with pytest.raises(InputError):
        await workbench.ask(ADMIN, "How many days?", collections=[])
    with pytest.raises(NotFound):
        await workbench.ask(ADMIN, "How many days?", collections=["0" * 32])


async def test_a_conversation_keeps_answers_and_citations_through_a_restart_and_a_deletion(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        collection = await workbench.create_collection(ADMIN, "handbook")
        info = await add(workbench, collection.id, "leave.txt", LEAVE)
        talk = await workbench.create_conversation(ADMIN, [collection.id])
        reply = await workbench.send(ADMIN, talk.id, "How many days of paid leave does an employee have?")
        first = await settled(workbench, ADMIN, reply.id)
        assert first.state == "done"
        assert set((await workbench.citation_states(ADMIN, reply.id)).values()) == {"current"}
    async with offline_workbench(tmp_path, serve=True) as workbench:
        question, again = await workbench.messages(ADMIN, talk.id)
        assert question.text == "How many days of paid leave does an employee have?"
        assert again.answer == first.answer
        await add(workbench, collection.id, "leave.txt", LEAVE.replace("thirty", "forty"))
        assert set((await workbench.citation_states(ADMIN, reply.id)).values()) == {"changed"}
        await workbench.delete_document(ADMIN, info.id)
        assert set((await workbench.citation_states(ADMIN, reply.id)).values()) == {"removed"}
        assert (await workbench.messages(ADMIN, talk.id))[1].answer == first.answer


async def test_a_follow_up_question_uses_the_conversation_and_shows_what_was_searched(
    workbench: Workbench, handbook: str
) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    talk = await workbench.create_conversation(ADMIN, [handbook])
    await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, "How many days of paid leave are there?")).id)
    reply = await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, "And when does it expire?")).id)
    assert reply.answer is not None
    assert "leave" in reply.answer.query
    assert (await workbench.conversations(ADMIN))[0].title.startswith("How many days of paid leave")


class Slow:
    """A generator that says two words and then waits to be stopped."""

    provider, model, context_tokens = "slow", "slow-1", 4000

    def __init__(self) -> None:
        self.said = asyncio.Event()
        self.closed = False

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def close(self) -> None:
        pass

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        try:
            yield Delta(text="Thirty days [1].")
            self.said.set()
            await asyncio.sleep(3600)
            yield Delta(usage=Usage())
        finally:
            self.closed = True


async def test_stop_keeps_what_was_written_and_closes_the_generator(workbench: Workbench, handbook: str) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    slow = Slow()
    workbench._ask._chain._parts.use("chat", "extractive", slow)
    talk = await workbench.create_conversation(ADMIN, [handbook])
    reply = await workbench.send(ADMIN, talk.id, "How many days of paid leave are there?")
    await asyncio.wait_for(slow.said.wait(), 30)
    running = await workbench.message(ADMIN, reply.id)
    assert (running.state, running.text) == ("streaming", "Thirty days [1].")
    with pytest.raises(QuestionRejected, match="still being written"):
        await workbench.send(ADMIN, talk.id, "Another one?")
    await workbench.stop(ADMIN, reply.id)
    stopped = await workbench.message(ADMIN, reply.id)
    assert stopped.state == "stopped"
    assert stopped.answer is not None
    assert stopped.answer.text.startswith("Thirty days")
    assert slow.closed


async def test_a_provider_that_fails_costs_an_answer_but_not_the_question(workbench: Workbench, handbook: str) -> None:
    class Broken(Slow):
        async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
            raise ProviderUnavailable("the model is away", hint="Try again in a minute.")
            yield Delta()

    await add(workbench, handbook, "leave.txt", LEAVE)
    workbench._ask._chain._parts.use("chat", "extractive", Broken())
    talk = await workbench.create_conversation(ADMIN, [handbook])
    reply = await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, "How many days?")).id)
    assert (reply.state, reply.error, reply.hint) == ("failed", "the model is away", "Try again in a minute.")
    assert (await workbench.messages(ADMIN, talk.id))[0].text == "How many days?"


async def test_an_answer_that_a_crash_cut_off_says_so_after_the_restart(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        collection = await workbench.create_collection(ADMIN, "handbook")
        talk = await workbench.create_conversation(ADMIN, [collection.id])
        async with workbench.database.write() as session:
            from engine.database import conversations

            row = await conversations.own(session, ADMIN, talk.id)
            await conversations.add_turn(session, row, "How many days?")
    async with offline_workbench(tmp_path, serve=True) as workbench:
        message = (await workbench.messages(ADMIN, talk.id))[1]
        assert message.state == "failed"
        assert "restarted" in message.error


STRANGER = Principal(user_id="b" * 32, name="bob", role=Role.ANALYST)


async def test_a_conversation_is_its_owners_alone(workbench: Workbench, handbook: str) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    talk = await workbench.create_conversation(ADMIN, [handbook])
    reply = await workbench.send(ADMIN, talk.id, "How many days of paid leave are there?")
    await settled(workbench, ADMIN, reply.id)
    other_admin = Principal(user_id="c" * 32, name="eve", role=Role.ADMIN)
    for principal in (STRANGER, other_admin):
        assert await workbench.conversations(principal) == []
        for call in (
            workbench.messages(principal, talk.id),
            workbench.message(principal, reply.id),
            workbench.stop(principal, reply.id),
            workbench.citation_states(principal, reply.id),
            workbench.send(principal, talk.id, "Mine?"),
            workbench.delete_conversation(principal, talk.id),
            workbench.rename_conversation(principal, talk.id, "mine"),
            workbench.set_scope(principal, talk.id, []),
        ):
            with pytest.raises(NotFound):
                await call


async def test_diversity_brings_different_passages_forward(tmp_path: Path) -> None:
    same = "The lamp on the desk is green and bright. "
    texts = {f"copy {n}.txt": f"{same}Copy {n}." for n in range(4)} | {"other.txt": "A lamp stands in the cellar, broken."}
    firsts = {}
    for diversity in (0.0, 0.7):
        folder = tmp_path / str(diversity)
        async with offline_workbench(folder, retrieval={"diversity": diversity}) as workbench:
            collection = await workbench.create_collection(ADMIN, "lamps")
            for name, text in texts.items():
                await workbench.upload(ADMIN, collection.id, name, text.encode())
            await workbench.process(ADMIN, collection.id)
            hits = await workbench.search(ADMIN, "green lamp on the desk", collections=[collection.id], k=2)
            firsts[diversity] = [hit.chunk.document_name for hit in hits]
    assert "other.txt" not in firsts[0.0]
    assert firsts[0.7][1] == "other.txt"
