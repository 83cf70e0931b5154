"""The story of a question: rewrite, retrieve, assemble, generate, cite and ground."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from engine.errors import EngineError
from engine.generation.answering import finish
from engine.generation.prompt import assemble
from engine.pipelines import telling
from engine.pipelines.chain import Attempts, Chain, Turn
from engine.pipelines.helpers import Helpers
from engine.protocols import Embedder, Generator, Meter
from engine.provider_views import Choice
from engine.resilience.streams import under
from engine.services.ledger import Call, Ledger
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


@dataclass(slots=True)
class Draft:
    """An answer on its way, kept by the caller so that a stopped one can still be finished."""

    question: str
    user_id: str = ""
    query: str = ""
    prompt: Prompt | None = None
    parts: list[str] = field(default_factory=list)
    refused: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    calls: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    cost: float | None = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    meter: Meter | None = None

    def step(self, name: str, started: float, **facts: Any) -> None:
        """Note a finished stage with its duration."""
        seconds = time.perf_counter() - started
        self.steps.append({"name": name, "ms": round(seconds * 1000, 2), **facts})
        if self.meter:
            telling.stage(self.meter, name, seconds, facts)

    def begin(self, turn: Turn) -> None:
        """Start over with the next link: what another one wrote is void."""
        self.prompt, self.parts, self.refused, self.details = turn.prompt, [], False, {}


class Ask:
    """Answers questions from the collections that the principal may read."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        chain: Chain,
        helpers: Helpers,
        ledger: Ledger,
        meter: Meter,
        embedder: Callable[[], Embedder],
        passages: int,
        seconds: float,
    ) -> None:
        self._retriever = retriever
        self._chain = chain
        self._helpers = helpers
        self._ledger = ledger
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
    ) -> AsyncIterator[AskEvent]:
        """Yield steps, then tokens, then Finished, all under one time limit: what is called on the way gets what is left of it.

        Raises InputError, AccessDenied, ProviderError, StoreError, CallNotPermitted.
        """
        draft = draft or Draft(question)
        draft.user_id, draft.meter = principal.user_id, self._meter
        events = self._events(principal, question, collection_ids, history, where, draft)
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

    async def _events(
        self,
        principal: Principal,
        question: str,
        collection_ids: Sequence[str],
        history: Sequence[Message],
        where: Filter,
        draft: Draft,
    ) -> AsyncIterator[AskEvent]:
        started = time.perf_counter()
        draft.query, facts = await self._helpers.standalone(question, history, draft.calls)
        draft.step("rewrite", started, query=draft.query, changed=draft.query != question, **facts)
        yield Step("Searching your documents")

        hits = await self._passages_for(principal, draft, collection_ids, where)
        yield Step(_found(hits))

        started = time.perf_counter()
        turns = self._chain.stream(partial(_assembled, draft.query, hits, history), draft.attempts)
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
        yield Finished(await self.finish(draft))

    async def _passages_for(
        self, principal: Principal, draft: Draft, collection_ids: Sequence[str], where: Filter
    ) -> Sequence[Hit]:
        started = time.perf_counter()
        reranking = await self._helpers.reranking()
        wanted = self._passages * RERANK_POOL if reranking else self._passages
        found = await self._retriever.search(principal, draft.query, collection_ids=collection_ids, k=wanted, where=where)
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
        answer = replace(answer, serving=serving)
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
