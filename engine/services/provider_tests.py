"""Trying a provider for real: a short answer, an embedding, a reranking, or write-read-delete in a store.

A try goes around the provider's breaker, and counts neither for nor against it: an admin sees what is so now, and when the
breaker lets calls through again is decided by its own probes, or by an operator.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import numpy as np
from sqlalchemy import select

from engine import registry
from engine.database.columns import new_id, now
from engine.database.database import Database
from engine.database.provider_models import ProviderTest
from engine.documents import Chunk
from engine.errors import BadResponse, EngineError, StoreError
from engine.provider_views import Choice, TestResult
from engine.services.configuration import Configured
from engine.services.ledger import Call, Ledger
from engine.services.parts import Parts
from engine.types import Condition, Entry, Hit, Prompt, Usage
from engine.vendors.deadline import bounded
from engine.vendors.status import too_slow

logger = logging.getLogger(__name__)
TEST_SECONDS = 60.0
LIST_SECONDS = 8.0
SHOWN_CHARS = 120


class Tests:
    """Tests of providers; the last result of each role is kept."""

    __test__ = False  # not a test of pytest

    def __init__(self, *, database: Database, configured: Configured, parts: Parts, ledger: Ledger) -> None:
        self._database = database
        self._configured = configured
        self._parts = parts
        self._ledger = ledger

    async def run(self, user_id: str, name: str, role: str, model: str = "") -> TestResult:
        """Call a provider in a role and keep what came of it; a failure is a result. Raises StoreError (the database)."""
        tries: dict[str, Callable[[Choice], Awaitable[tuple[str, Usage]]]] = {
            "chat": self._chat,
            "embedding": self._embedding,
            "rerank": self._rerank,
            "store": self._store,
        }
        choice = Choice(provider=name, model=model or await self._model(name, role))
        started = time.perf_counter()
        usage, error = Usage(), ""
        try:
            async with asyncio.timeout(TEST_SECONDS):
                detail, usage = await tries[role](choice)
            ok, hint = True, ""
        except EngineError as failure:
            ok, detail, hint, error = False, str(failure), failure.hint, type(failure).__name__
        except TimeoutError:
            ok, detail, error = False, f"no answer within {TEST_SECONDS:.0f} s", "ProviderTimeout"
            hint = "Check that it runs, and its address."
        except Exception as failure:  # a test is there to tell, whatever it meets
            logger.exception("testing %s failed in a way it should not", name)
            ok, detail, error = False, "something unexpected went wrong in it", type(failure).__name__
            hint = "An operator finds the details in the log."
        elapsed = (time.perf_counter() - started) * 1000
        row = ProviderTest(
            provider=name, role=role, model=choice.model, ok=ok, detail=detail, hint=hint, elapsed_ms=elapsed, at=now()
        )
        async with self._database.write() as session:
            await session.merge(row)
        call = Call(
            provider=name,
            model=choice.model,
            job="test",
            elapsed_ms=elapsed,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            error=error,
        )
        await self._ledger.note(user_id, [call])
        return _result(row)

    async def latest(self) -> dict[str, list[TestResult]]:
        """Return the last test of each role, by provider."""
        found: dict[str, list[TestResult]] = {}
        async with self._database.read() as session:
            for row in await session.scalars(select(ProviderTest).order_by(ProviderTest.role)):
                found.setdefault(row.provider, []).append(_result(row))
        return found

    async def models(self, name: str, role: str) -> list[str]:
        """Return the models that a provider offers now for a role. Raises ProviderError, ConfigError."""
        choice = Choice(provider=name, model=await self._model(name, role))
        try:
            async with asyncio.timeout(LIST_SECONDS):
                if role == "chat":
                    return await (await self._parts.generator(choice, guarded=False)).models()
                if role == "embedding":
                    embedder = await self._parts.embedder(choice, guarded=False)
                    return await asyncio.to_thread(embedder.models)
        except TimeoutError as error:
            raise too_slow(provider=name, seconds=LIST_SECONDS) from error
        return []

    async def _model(self, name: str, role: str) -> str:
        live = await self._configured.current()
        chosen = [*live.choices.chain, live.choices.embedding] if role in ("chat", "embedding") else []
        mine = [one.model for one in chosen if one.provider == name and one.model] if role == "chat" else []
        row = live.providers.get(name)
        spec = registry.ROLES[role].get(row.kind if row else name)
        return mine[0] if mine else spec.model if spec else ""

    async def _chat(self, choice: Choice) -> tuple[str, Usage]:
        generator = await self._parts.generator(choice, guarded=False)
        prompt = Prompt(
            question="Reply with the single word: ready", passages=(), system="This is a test.", answer_tokens=40, plain=True
        )
        text, usage = "", Usage()
        async with aclosing(bounded(generator.stream(prompt), seconds=TEST_SECONDS, provider=choice.provider)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                text += delta.text
                usage = delta.usage or usage
        if not text.strip():
            raise BadResponse("the model answered nothing", hint="Choose another model.")
        return f"answered “{' '.join(text.split())[:SHOWN_CHARS]}”", usage

    async def _embedding(self, choice: Choice) -> tuple[str, Usage]:
        embedder = await self._parts.embedder(choice, guarded=False)
        space = await asyncio.to_thread(embedder.discover)
        length = "unit length" if space.normalised else "scaled to unit length here"
        return f"{space.dimension} dimensions, {length}, reads {space.max_tokens:,} tokens of a text", Usage()

    async def _rerank(self, choice: Choice) -> tuple[str, Usage]:
        reranker = await self._parts.reranker(choice, guarded=False)
        hits = [_hit("Net sales rose by 5 percent."), _hit("The canteen serves lunch.")]
        scores = await asyncio.to_thread(reranker.score, "How much did sales rise?", hits)
        return f"scored two passages {scores[0]:.2f} and {scores[1]:.2f}", Usage()

    async def _store(self, choice: Choice) -> tuple[str, Usage]:
        if not await self._parts.keeps_itself(choice.provider):
            return "lives in this process and is rebuilt from the database", Usage()
        store = await self._parts.store(choice.provider, dimension=3, space=f"test_{new_id()[:16]}", guarded=False)
        return await asyncio.to_thread(_round_trip, store), Usage()


def _round_trip(store: Any) -> str:
    vectors = np.eye(3, dtype=np.float32)
    try:
        store.upsert([Entry(id=f"t{i}", metadata={"n": i}) for i in range(3)], vectors)
        found = store.search(vectors[1], k=1, where=(Condition(field="n", op="gte", value=1),))
        if [match.id for match in found] != ["t1"] or store.count() != 3:
            raise StoreError("what was written was not found again", hint="Look at the store's own log.")
    finally:
        store.drop()
        store.close()
    return "wrote, found and removed three vectors"


def _hit(text: str) -> Hit:
    chunk = Chunk(
        id="test",
        collection_id="",
        document_id="",
        document_name="",
        version=1,
        version_id="",
        ordinal=0,
        page=1,
        start=0,
        end=len(text),
        text=text,
    )
    return Hit(chunk=chunk, score=0.0)


def _result(row: ProviderTest) -> TestResult:
    return TestResult(
        role=row.role, model=row.model, ok=row.ok, detail=row.detail, hint=row.hint, elapsed_ms=row.elapsed_ms, at=row.at
    )
