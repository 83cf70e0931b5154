"""A collection of about 5,000 passages changes its embedder while 5 clients keep asking, and goes back.

    python benchmarks/generations.py [--data FOLDER] [--real] [--clients 5]

Abstracts of SciFact. With --real the collection begins with the built-in model (some minutes of embedding); without, with hashed
words, so that what is measured is the switch. It ends with hashed words of another length. Answers are the extractive generator's.
A failed answer is one that raised; a mixed one rests on passages of more than one generation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from benchmarks.main_job import ME, default_data
from engine.assembly import Assembly
from engine.database.models import ChunkRow
from engine.keeping_views import GenerationChange, GenerationInfo
from engine.settings import load_settings
from engine.testing import HashedWords
from engine.workbench import Workbench

ABSTRACTS, PER_DOCUMENT = 2900, 50
CALM_SECONDS = 15.0


class OtherWords(HashedWords):
    """Another space."""

    model_id = "other-words"
    dimension = 96


class Clients:
    """They ask one question after the other, and note how long each answer took and what it rests on."""

    def __init__(self, workbench: Workbench, collection_id: str, questions: list[str]) -> None:
        self._workbench = workbench
        self._collection_id = collection_id
        self._questions = questions
        self.phase = "before"
        self.times: dict[str, list[float]] = {}
        self.failed: list[str] = []
        self.mixed = 0
        self.by_generation: Counter[str] = Counter()

    async def run(self, seed: int) -> None:
        """Ask until cancelled."""
        chance = random.Random(seed)
        while True:
            phase, started = self.phase, time.perf_counter()
            try:
                answer = await self._workbench.ask(ME, chance.choice(self._questions), collections=[self._collection_id])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what a user would have seen
                self.failed.append(repr(error))
                await asyncio.sleep(0.05)
                continue
            self.times.setdefault(phase, []).append((time.perf_counter() - started) * 1000)
            used = {one["chunk"] for one in answer.trace.get("passages", ())}
            used |= {one.chunk_id for one in answer.citations} | {hit.chunk.id for hit in answer.nearest}
            async with self._workbench.database.read() as session:
                rows = set(await session.scalars(select(ChunkRow.generation).where(ChunkRow.id.in_(used))))
            self.mixed += len(rows) > 1
            self.by_generation.update(rows)
            await asyncio.sleep(0.05)


async def filled(workbench: Workbench, folder: Path) -> str:
    collection_id = (await workbench.create_collection(ME, "abstracts")).id
    lines = (folder / "corpus.jsonl").read_text().splitlines()[:ABSTRACTS]
    texts = [f"{one['title']}\n\n{one['text']}" for one in map(json.loads, lines)]
    for start in range(0, len(texts), PER_DOCUMENT):
        data = "\n\n\n".join(texts[start : start + PER_DOCUMENT]).encode()
        await workbench.upload(ME, collection_id, f"abstracts-{start // PER_DOCUMENT:03}.txt", data)
    await workbench.process(ME, collection_id)
    return collection_id


def told(info: GenerationInfo, seconds: float) -> None:
    print(
        f"generation {info.number}: {info.state.value}, {info.chunks} passages, recall {info.recall} over {info.questions} "
        f"questions, {seconds:.1f} s"
    )


async def main(folder: Path, count: int, real: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        assembly = Assembly(
            load_settings(data_dir=Path(temporary), limits={"questions_per_minute": 100_000, "questions_at_once": 100})
        )
        if not real:
            assembly.use_embedder("local", HashedWords())
        async with assembly.opened(serve=False) as workbench:
            await workbench.add_provider(ME, "ollama", name="other", base_url="http://127.0.0.1:9")
            assembly.parts.use("embedding", "other", OtherWords())
            collection_id = await filled(workbench, folder)
            [info] = await workbench.collections(ME)
            print(f"{info.documents} documents, {info.chunks} passages, {count} clients")
            questions = [json.loads(line)["text"] for line in (folder / "queries.jsonl").read_text().splitlines()]
            clients = Clients(workbench, collection_id, questions)
            tasks = [asyncio.create_task(clients.run(seed)) for seed in range(count)]
            await asyncio.sleep(CALM_SECONDS)
            change = GenerationChange(embedder="other", embedding_model="words")
            plan = await workbench.plan_generation(ME, collection_id, change)
            print(f"plan: {plan.documents} documents, {plan.chunks_after} passages, {plan.tokens} tokens, {plan.seconds} s")
            clients.phase, started = "during", time.perf_counter()
            begun = await workbench.start_generation(ME, collection_id, change)
            told(await workbench.build_generation(ME, begun.id), time.perf_counter() - started)
            clients.phase = "after"
            await asyncio.sleep(CALM_SECONDS)
            clients.phase, started = "revert", time.perf_counter()
            back = await workbench.revert_generation(ME, collection_id)
            told(await workbench.build_generation(ME, back.id), time.perf_counter() - started)
            await asyncio.sleep(CALM_SECONDS / 3)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    asked = sum(map(len, clients.times.values()))
    print(f"{asked} questions answered, {len(clients.failed)} failed, {clients.mixed} mixed; {dict(clients.by_generation)}")
    print("\n".join(clients.failed[:3]))
    for phase, times in clients.times.items():
        ordered = sorted(times)
        print(
            f"{phase:7} {len(times):5} answers, p50 {ordered[len(times) // 2]:.0f} ms, p95 {ordered[len(times) * 95 // 100]:.0f} ms"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data().parents[1] / "beir" / "scifact")
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--real", action="store_true", help="begin with the built-in model")
    given = parser.parse_args()
    asyncio.run(main(given.data, given.clients, given.real))
