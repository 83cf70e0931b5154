"""The story of a question: rewrite, retrieve, assemble, generate, cite and ground."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from engine.errors import EngineError
from engine.generation.answering import finish
from engine.generation.prompt import assemble
from engine.pipelines import telling
from engine.pipelines.chain import Chain, Turn
from engine.pipelines.draft import Draft
from engine.pipelines.helpers import Helpers
from engine.pipelines.kept import WAITING, found_step, given_again
from engine.protocols import Embedder, Generator, Meter
from engine.provider_views import Choice
from engine.resilience.streams import under
from engine.services.answer_cache import AnswerCache, Asked, KeptAnswer
from engine.services.ledger import Ledger
from engine.services.retriever import Retriever
from engine.types import Answer, Filter, Hit, Message, Principal, Prompt, Serving

ANSWER_TOKENS = 800  # of the context window, kept free for the answer
HOSTILE_SOURCE = "A source contains instructions; they were treated as text, not followed."
RERANK_POOL = 4  # how many times the shown passages a reranker chooses among


@dataclass(frozen=True, slots=True)
class Step:
    """What the pipeline is doing now, in words for the reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer; always the last event."""

    answer: Answer


AskEvent: TypeAlias = Step | Token | Finished


class Ask:
    """Answers questions from the collections that the principal may read."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        chain: Chain,
        helpers: Helpers,
        ledger: Ledger,
        answers: AnswerCache,
        meter: Meter,
        embedder: Callable[[], Embedder],
        passages: int,
        seconds: float,
    ) -> None:
        self._retriever = retriever
        self._chain = chain
        self._helpers = helpers
        self._ledger = ledger
        self._answers = answers
        self._meter = meter
        self._embedder = embedder
        self._passages = passages
        self._seconds = seconds

    async def stream(
        self,
        principal: Principal,
        question: str,
        *,
        collection_ids: Sequence[str],
        history: Sequence[Message] = (),
        where: Filter = (),
        draft: Draft | None = None,
        fresh: bool = False,
    ) -> AsyncIterator[AskEvent]:
        """Yield steps, then tokens, then Finished, all under one time limit: what is called on the way gets what is left of it.

        An answer that was kept is given again, in one Token, unless a `fresh` one is asked for, which takes its place.
        Raises InputError, AccessDenied, ProviderError, StoreError, CallNotPermitted.
        """
        draft = draft or Draft(question)
        draft.user_id, draft.meter = principal.user_id, self._meter
        asked = Asked(principal=principal, question=question, collection_ids=collection_ids, history=history, where=where)
        events = self._events(asked, draft, fresh)
        try:
            async with aclosing(under(events, seconds=self._seconds)) as stream:  # type: ignore[type-var]
                async for event in stream:
                    yield event
        except Exception as error:
            telling.failed(self._meter, time.perf_counter() - draft.began)
            draft.meter = None
            if isinstance(error, EngineError):
                await self._bill(draft)
            raise

    async def _events(self, asked: Asked, draft: Draft, fresh: bool) -> AsyncIterator[AskEvent]:
        started = time.perf_counter()
        draft.query, facts = await self._helpers.standalone(asked.question, asked.history, draft.calls)
        draft.step("rewrite", started, query=draft.query, changed=draft.query != asked.question, **facts)
        asked = replace(asked, question=draft.query)
        name = await self._answers.name(asked)
        with self._answers.turn(name) as other:
            if name and not fresh:
                if other:
                    yield Step(WAITING)
                    await self._answers.ended(other)
                started = time.perf_counter()
                draft.kept = await self._answers.get(name, asked)
                draft.step("cache", started, found=draft.kept is not None)
            events = self._again(draft, draft.kept) if draft.kept else self._written(asked, draft, name)
            async with aclosing(events) as stream:  # type: ignore[type-var]
                async for event in stream:
                    yield event

    async def _again(self, draft: Draft, kept: KeptAnswer) -> AsyncIterator[AskEvent]:
        yield Step(found_step(self._answers.age_seconds(kept)))
        draft.parts = [kept.answer.text]
        yield Token(kept.answer.text)
        yield Finished(await self.finish(draft))

    async def _written(self, asked: Asked, draft: Draft, name: str) -> AsyncIterator[AskEvent]:
        yield Step("Searching your documents")
        hits = await self._passages_for(asked, draft)
        yield Step(_found(hits))

        started = time.perf_counter()
        turns = self._chain.stream(partial(_assembled, draft.query, hits, asked.history), draft.attempts)
        async with aclosing(turns) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, Turn):
                    draft.begin(piece)
                    draft.step("prompt", started, tokens=piece.prompt.tokens, passages=len(piece.prompt.passages))
                    started = time.perf_counter()
                    if piece.outage:
                        yield Step(f"{piece.outage.provider} could not answer; {piece.choice} is writing")
                    continue
                if piece.text and not draft.parts:
                    draft.step("first token", started, provider=str(draft.attempts.choice))
                draft.parts.append(piece.text)
                draft.refused = draft.refused or piece.refused
                draft.details |= piece.details
                yield Token(piece.text)
        draft.step("generate", started)
        yield Step("Checking each sentence against its source")
        answer = await self.finish(draft)
        await self._answers.keep(name, answer)
        yield Finished(answer)

    async def _passages_for(self, asked: Asked, draft: Draft) -> Sequence[Hit]:
        started = time.perf_counter()
        reranking = await self._helpers.reranking()
        wanted = self._passages * RERANK_POOL if reranking else self._passages
        found = await self._retriever.search(
            asked.principal, draft.query, collection_ids=asked.collection_ids, k=wanted, where=asked.where
        )
        draft.step("retrieve", started, passages=len(found.hits), **found.timings_ms)
        draft.notes += found.notes
        draft.calls += found.calls
        if not reranking:
            return found.hits
        started = time.perf_counter()
        hits, note = await self._helpers.reranked(draft.query, found.hits, draft.calls)
        draft.step("rerank", started, passages=len(hits), failed=note)
        draft.notes += [note] if note else []
        return hits[: self._passages]

    async def finish(self, draft: Draft, *, stopped: bool = False) -> Answer:
        """Cite and ground what is there, also when generation was `stopped` half-way, and write down what it cost."""
        draft.attempts.end("stopped")
        await self._bill(draft)
        if draft.kept:
            seconds = round(time.perf_counter() - draft.began, 2)
            again = given_again(draft.kept, query=draft.query, steps=draft.steps, seconds=seconds, cost_usd=draft.cost)
            return self._told(draft, again, stopped=stopped)
        prompt = draft.prompt or Prompt(question=draft.question, passages=())
        served = draft.attempts.choice or Choice(provider="")
        started = time.perf_counter()
        answer = await asyncio.to_thread(
            finish,
            "".join(draft.parts),
            prompt=prompt,
            refused=draft.refused,
            provider=served.provider,
            model=served.model,
            usage=draft.attempts.usage,
            embedder=self._embedder(),
            trace=self._trace(draft, prompt),
            query=draft.query,
        )
        draft.step("ground", started)
        seconds = round(time.perf_counter() - draft.began, 2)
        serving = Serving(
            seconds=seconds,
            cost_usd=draft.cost,
            outages=tuple(draft.attempts.outages),
            notes=tuple(draft.notes),
            warnings=_warnings(answer, prompt),
        )
        return self._told(draft, replace(answer, serving=serving), stopped=stopped)

    def _told(self, draft: Draft, answer: Answer, *, stopped: bool) -> Answer:
        if draft.meter:  # a second time when it is stopped while it is being kept
            telling.answered(draft.meter, answer, stopped=stopped)
            draft.meter = None
        return answer

    async def _bill(self, draft: Draft) -> None:
        """Write down the calls that are not yet; a Stop in between does not interrupt it."""
        calls = [*draft.calls, *draft.attempts.calls]
        draft.calls.clear()
        draft.attempts.calls.clear()
        billed = asyncio.create_task(self._ledger.note(draft.user_id, calls))
        try:
            await asyncio.shield(billed)
        except asyncio.CancelledError:
            await asyncio.wait([billed])
            raise
        finally:
            cost = billed.result()
            draft.cost = None if cost is None or draft.cost is None else draft.cost + cost

    def _trace(self, draft: Draft, prompt: Prompt) -> dict[str, Any]:
        return {
            "query": draft.query,
            "steps": draft.steps,
            "passages": [
                {"n": n, "chunk": hit.chunk.id, "document": hit.chunk.document_name, "page": hit.chunk.page, **hit.scores}
                | ({"findings": reasons} if (reasons := sorted({one.reason for one in hit.chunk.findings})) else {})
                for n, hit in enumerate(prompt.passages, start=1)
            ],
            "dropped": [{"chunk": chunk, "reason": reason} for chunk, reason in prompt.dropped],
            "details": draft.details,
        }


def _assembled(question: str, hits: Sequence[Hit], history: Sequence[Message], generator: Generator) -> Prompt:
    return assemble(
        question,
        hits,
        history=history,
        count_tokens=generator.count_tokens,
        budget_tokens=generator.context_tokens - ANSWER_TOKENS,
    )


def _warnings(answer: Answer, prompt: Prompt) -> tuple[str, ...]:
    marked = {hit.chunk.id for hit in prompt.passages if hit.chunk.findings}
    return (HOSTILE_SOURCE,) if marked & {citation.chunk_id for citation in answer.citations} else ()


def _found(hits: Sequence[Hit]) -> str:
    if not hits:
        return "Found no passage that fits"
    documents = len({hit.chunk.document_id for hit in hits})
    return f"Found {len(hits)} passages in {documents} document{'s' if documents > 1 else ''}; writing"


async def drained(events: AsyncIterator[AskEvent]) -> Answer:
    """Return the answer at the end of `events`: `ask()` is `stream()` drained, so there is one code path."""
    async for event in events:
        if isinstance(event, Finished):
            return event.answer
    raise AssertionError("the stream ended without an answer")
