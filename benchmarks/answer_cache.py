"""A kept answer against a written one, in the same run: python benchmarks/answer_cache.py

Written answers are by the built-in extractive generator over a test embedder that needs no model: the quickest there are, so the
ratio is the smallest that an installation sees; a language model takes seconds. Everything goes through the facade, with its
audit row. Prints p50, p95 and the ratio of p50, with answers kept in this process and in a real Redis.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.testing import ADMIN, offline_workbench  # noqa: E402
from engine.workbench import Workbench  # noqa: E402
from tests.servers.redis import Redis  # noqa: E402

DOCUMENTS, QUESTIONS, REPEATS = 20, 10, 4
TOPICS = ("leave", "parking", "travel", "training", "overtime", "insurance", "equipment", "canteen", "badges", "laboratories")
FILLER = "The rules of this section apply to everybody who works here, and are looked through once in a year. " * 6


async def fill(workbench: Workbench) -> str:
    collection = (await workbench.create_collection(ADMIN, "rules")).id
    for number in range(DOCUMENTS):
        topic = TOPICS[number % len(TOPICS)]
        text = "\n\n".join(
            f"Rule {part} on {topic} in house {number} allows {number * 7 + part} days. {FILLER}" for part in range(8)
        )
        await workbench.upload(ADMIN, collection, f"{topic} {number}.txt", text.encode())
    await workbench.process(ADMIN, collection)
    return collection


async def timed(workbench: Workbench, collection: str, number: int, *, fresh: bool) -> float:
    question = f"How many days does rule 3 on {TOPICS[number % len(TOPICS)]} in house {number} allow?"
    started = time.perf_counter()
    answer = await workbench.ask(ADMIN, question, collections=[collection], fresh=fresh)
    seconds = time.perf_counter() - started
    assert bool(answer.serving.cached_at) is not fresh, "not what is to be measured"
    assert answer.citations
    return seconds * 1000


async def measure(where: str, folder: Path, **caching: str) -> None:
    settings = {"caching": caching, "limits": {"questions_per_minute": 100_000}}
    async with offline_workbench(folder, **settings) as workbench:
        known = await workbench.collections(ADMIN)
        collection = known[0].id if known else await fill(workbench)
        await timed(workbench, collection, 0, fresh=True)
        written, kept = [], []
        for _ in range(REPEATS):  # in turns, so that both see the same machine
            for number in range(QUESTIONS):
                written.append(await timed(workbench, collection, number, fresh=True))
                kept.append(await timed(workbench, collection, number, fresh=False))
    for name, values in (("written", written), ("kept", kept)):
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"{where:7} {name:8} n={len(values)}  p50 {statistics.median(values):6.1f} ms  p95 {p95:6.1f} ms")
    print(f"{where:7} written / kept = {statistics.median(written) / statistics.median(kept):.1f}")


async def main() -> None:
    server = Redis()
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            await measure("memory", Path(folder))
            await measure("redis", Path(folder), redis_url=server.url)
    finally:
        server.remove()


if __name__ == "__main__":
    asyncio.run(main())
