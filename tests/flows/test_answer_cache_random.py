"""Whatever people do in whatever order: a kept answer is the one that would be written now, from what its reader may read."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import EngineError, NotFound
from engine.testing import ADMIN
from engine.types import Answer, Principal, Right
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.people import opened, person, signed_in

QUESTIONS = ("What is the code of the gate?", "Who keeps the key of the cellar?")
WORDS = ("amber", "birch", "cedar", "dune")
STEPS = 40


class World:
    """Two collections, two readers, and somebody who changes everything."""

    def __init__(self, workbench: Workbench, anew: Workbench, choose: random.Random) -> None:
        self.workbench, self.anew, self.choose = workbench, anew, choose
        self.collections: list[str] = []
        self.readers: list[Principal] = []
        self.documents: list[str] = []
        self.hits = 0

    async def begin(self) -> None:
        for name in ("one", "two"):
            self.collections.append((await self.workbench.create_collection(ADMIN, name)).id)
            await self.upload()
        for name in ("anna", "ben"):
            await person(self.workbench, name)
            for collection in self.collections:
                await self.workbench.grant(ADMIN, collection, name, Right.READ)
            self.readers.append(await signed_in(self.workbench, name))

    async def upload(self) -> None:
        text = f"The code of the gate is {self.choose.choice(WORDS)}.\n\nThe key of the cellar is kept by {self.choose.choice(WORDS)}."
        info = await add(self.workbench, self.choose.choice(self.collections), self.choose.choice(("a.txt", "b.txt")), text)
        self.documents = [*dict.fromkeys((*self.documents, info.id))]

    async def delete(self) -> None:
        await self.workbench.delete_document(ADMIN, self.choose.choice(self.documents))

    async def restore(self) -> None:
        await self.workbench.restore_document(ADMIN, self.choose.choice(self.documents))

    async def hold(self) -> None:
        passages = await self.workbench.chunks(ADMIN, self.choose.choice(self.documents))
        await self.workbench.hold_passage(ADMIN, self.choose.choice(passages).id)

    async def release(self) -> None:
        held = [one for one in await self.workbench.quarantine(ADMIN) if one.state == "held"]
        if held:
            await self.workbench.release_passage(ADMIN, self.choose.choice(held).chunk_id)

    async def right(self) -> None:
        right = self.choose.choice((Right.READ, Right.WRITE, None))
        await self.workbench.grant(ADMIN, self.choose.choice(self.collections), self.choose.choice(self.readers).name, right)

    async def ask(self) -> None:
        reader, question = self.choose.choice(self.readers), self.choose.choice(QUESTIONS)
        scope = self.choose.sample(self.collections, self.choose.choice((1, 2)))
        may = {one.id for one in await self.workbench.collections(reader)}
        try:
            answer = await self.workbench.ask(reader, question, collections=scope)
        except NotFound:
            assert not may.issuperset(scope)
            return
        assert may.issuperset(scope)
        self.hits += bool(answer.serving.cached_at)
        assert content_of(answer) == content_of(await self.anew.ask(reader, question, collections=scope))
        held = {one.chunk_id for one in await self.workbench.quarantine(ADMIN) if one.state == "held"}
        for citation in answer.citations:
            document = await self.workbench.document(reader, citation.document_id)
            assert document.collection_id in scope
            assert citation.chunk_id in {one.id for one in await self.workbench.chunks(reader, document.id)} - held


def content_of(answer: Answer) -> tuple[object, ...]:
    return answer.text, answer.refused, answer.sentences, answer.citations, [hit.chunk.id for hit in answer.nearest]


@pytest.mark.parametrize(("seed", "share"), [(1, False), (2, True), (3, True)])
async def test_a_kept_answer_is_always_the_one_that_would_be_written_now(tmp_path: Path, seed: int, share: bool) -> None:
    every = {"limits": {"questions_per_minute": 1000}}
    async with (
        opened(tmp_path, caching={"share_answers": share}, **every) as workbench,
        opened(tmp_path, caching={"answers": False}, **every) as anew,
    ):
        world = World(workbench, anew, random.Random(seed))
        await world.begin()
        changes = (world.upload, world.delete, world.restore, world.hold, world.release, world.right)
        for _ in range(STEPS):
            if world.choose.random() < 0.25:
                with suppress(EngineError):  # to restore what is there, and the like
                    await world.choose.choice(changes)()
            await world.ask()
        assert world.hits > STEPS / 10
