"""What reviews of the providers found: each was a defect once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from engine.database.columns import now
from engine.database.models import Collection
from engine.database.provider_models import Configuration, Provider, ProviderTest, SpaceRow
from engine.errors import InputError, StoreError
from engine.pipelines import chain as chain_module
from engine.provider_views import Choice
from engine.services import retriever
from engine.testing import ADMIN, offline_workbench
from engine.types import Delta, Prompt
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import LEAVE, Slow, settled
from tests.flows.test_providers import EXTRACTIVE, QUESTION, box, chain, leave, remote, upstream, workbench
from tests.upstreams import openai
from tests.upstreams.server import KEY, Upstream

__all__ = ["box", "leave", "remote", "upstream", "workbench"]


async def test_a_name_that_is_used_again_stands_for_the_new_address_and_key(
    workbench: Workbench, leave: str, box: str, upstream: Upstream
) -> None:
    await workbench.ask(ADMIN, QUESTION, collections=[leave])
    await workbench.test_provider(ADMIN, box, "chat")
    await workbench.set_price(ADMIN, box, "m-1", 1.0, 1.0)
    before = len(upstream.calls)
    await chain(workbench, EXTRACTIVE)
    await workbench.remove_provider(ADMIN, box)
    with openai.upstream() as other:
        await workbench.add_provider(ADMIN, "openai", name="box", base_url=other.url, key=KEY)
        card = next(one for one in await workbench.providers(ADMIN) if one.name == "box")
        assert card.tests == ()
        await chain(workbench, Choice(provider="box", model="m-1"))
        answer = await workbench.ask(ADMIN, QUESTION, collections=[leave])
        assert answer.provider == "box"
        assert answer.serving.cost_usd is None
        assert other.calls
    assert len(upstream.calls) == before
    async with workbench.database.read() as session:
        assert list(await session.scalars(select(ProviderTest))) == []


async def test_other_weights_under_a_known_name_are_another_space_from_the_start(
    workbench: Workbench, remote: str, upstream: Upstream
) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)

    def other(body: dict) -> dict:
        for one in body["data"]:
            one["embedding"] = one["embedding"][::-1]
        return body

    upstream.spoil = other
    second = (await workbench.create_collection(ADMIN, "second")).id
    before = len(upstream.calls)
    await add(workbench, second, "leave.txt", LEAVE)
    sent = [call.body["input"] for call in upstream.calls[before:] if "embeddings" in call.path]
    assert any("leave" in str(texts) for texts in sent)  # embedded anew, not taken from the other model
    best = (await workbench.search(ADMIN, LEAVE.split("\n")[0], collections=[second], mode="dense", k=1))[0]
    assert best.score > 0.5
    # Asked together, the old one is refused and never searched with the new model's vector.
    found = await workbench.search(ADMIN, QUESTION, collections=[second, remote])
    assert all("dense" not in hit.scores for hit in found if hit.chunk.collection_id == remote)


async def test_vectors_of_another_dimension_are_not_kept(workbench: Workbench, remote: str, upstream: Upstream) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)

    def shorter(body: dict) -> dict:
        for one in body["data"]:
            if len(body["data"]) > 0 and "Number" in str(upstream.calls[-1].body["input"]):
                one["embedding"] = one["embedding"][:16]
        return body

    upstream.spoil = shorter
    info = await add(workbench, remote, "more.txt", "Number one. " + LEAVE)
    assert info.state == "failed"
    assert info.hint
    upstream.spoil = lambda body: body
    assert await workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense")
    await workbench.reprocess(ADMIN, info.id)
    await workbench.process(ADMIN, remote)
    assert (await workbench.document(ADMIN, info.id)).state == "live"


async def test_a_fault_inside_a_link_costs_a_label_and_not_the_answer(workbench: Workbench, leave: str) -> None:
    class Faulty(Slow):
        async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
            yield Delta(text="Half of")
            raise TypeError("a bug in an adapter")

    workbench._ask._chain._parts.use("chat", "transformers", Faulty())
    await chain(workbench, Choice(provider="transformers", model="x"), EXTRACTIVE)
    answer = await workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert answer.provider == "extractive"
    assert "Half of" not in answer.text
    assert "bug" not in answer.serving.outages[0].reason


async def test_the_last_link_keeps_its_time(workbench: Workbench, leave: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Slow):
        async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
            await asyncio.sleep(3600)
            yield Delta()

    monkeypatch.setattr(workbench._ask._chain, "_seconds", 3.0)
    monkeypatch.setattr(chain_module, "LAST_SECONDS", 1.0)
    workbench._ask._chain._parts.use("chat", "transformers", Hanging())
    links = [Choice(provider="transformers", model=name) for name in ("a", "b", "c", "d")]
    await chain(workbench, *links, EXTRACTIVE)
    started = time.monotonic()
    answer = await workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert answer.provider == "extractive"
    assert len(answer.serving.outages) == 4
    assert time.monotonic() - started < 10


async def test_a_stopped_answer_is_not_booked_as_free(workbench: Workbench, leave: str, box: str, upstream: Upstream) -> None:
    await workbench.set_price(ADMIN, box, "m-1", 10.0, 10.0)
    upstream.slow = 0.2
    talk = await workbench.create_conversation(ADMIN, [leave])
    reply = await workbench.send(ADMIN, talk.id, QUESTION)
    async with asyncio.timeout(20):
        while not (await workbench.message(ADMIN, reply.id)).text:
            await asyncio.sleep(0.02)
    await workbench.stop(ADMIN, reply.id)
    message = await settled(workbench, ADMIN, reply.id)
    assert message.answer is not None
    assert message.answer.serving.cost_usd
    [row] = [one for one in await workbench.usage(ADMIN) if one.provider == box]
    assert (row.calls, row.failures) == (1, 0)
    assert row.cost_usd == pytest.approx(message.answer.serving.cost_usd)


async def test_a_hanging_embedder_costs_the_dense_half_after_a_moment(
    workbench: Workbench, remote: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)
    monkeypatch.setattr(retriever, "EMBED_SECONDS", 0.5)
    upstream.fail("hang", times=3)
    started = time.monotonic()
    answer = await workbench.ask(ADMIN, QUESTION, collections=[remote])
    assert "thirty days" in answer.text
    assert "searched by words only" in answer.serving.notes[0]
    assert time.monotonic() - started < 4


async def test_a_row_that_was_altered_in_the_database_sends_its_key_nowhere(workbench: Workbench, leave: str, box: str) -> None:
    with openai.upstream() as thief:
        version = (await workbench.choices(ADMIN)).version
        async with workbench.database.write() as session:
            await session.execute(update(Provider).values(base_url=thief.url, revision=version + 7))
            kept = (await session.get_one(Configuration, version)).value
            session.add(Configuration(version=version + 1, value=kept, created_by="nobody"))
        await asyncio.sleep(1.1)
        answer = await workbench.ask(ADMIN, QUESTION, collections=[leave])
        assert answer.provider == "extractive"
        assert "another address" in answer.serving.outages[0].reason
        assert not thief.calls


async def test_adding_a_provider_chooses_nothing(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        await workbench.add_provider(ADMIN, "openai", name="box", key=KEY)
        assert (await workbench.choices(ADMIN)).store == "faiss"
    async with offline_workbench(tmp_path, store="memory") as workbench:
        assert (await workbench.choices(ADMIN)).store == "memory"


async def test_a_place_that_is_being_removed_cannot_be_gone_back_to(workbench: Workbench, leave: str) -> None:
    await workbench.add_provider(ADMIN, "qdrant", name="qdrant")
    await workbench.move_store(ADMIN, leave, "qdrant")
    await workbench.move_store(ADMIN, leave, "faiss")
    async with workbench.database.write() as session:  # as another replica's sweep leaves it
        await session.execute(update(SpaceRow).values(owner="b" * 32, lease_until=now() + timedelta(minutes=5)))
    with pytest.raises(InputError, match="being removed"):
        await workbench.revert_store(ADMIN, leave)
    async with workbench.database.read() as session:
        assert (await session.get_one(Collection, leave)).store == "faiss"


async def test_many_questions_wait_for_a_store_together_and_not_in_a_row(workbench: Workbench, leave: str) -> None:
    await workbench.add_provider(ADMIN, "qdrant", name="qdrant")
    await workbench.move_store(ADMIN, leave, "qdrant")
    spaces = workbench._collections._spaces

    async def slow(*_args: object, **_options: object) -> None:
        await asyncio.sleep(1.0)
        raise StoreError("the store is away", hint="Wait.")

    spaces.follow = slow
    started = time.monotonic()
    answers = await asyncio.gather(*(workbench.search(ADMIN, QUESTION, collections=[leave]) for _ in range(8)))
    assert all(answers)
    await workbench.search(ADMIN, QUESTION, collections=[leave])  # a failure just now is not paid for again
    assert time.monotonic() - started < 5
