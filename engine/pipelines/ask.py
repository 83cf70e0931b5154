"""The story of a question: rewrite, retrieve, assemble, generate, cite and ground."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from engine.generation.answering import finish
from engine.generation.prompt import assemble
from engine.generation.rewrite import standalone_question
from engine.protocols import Embedder, Generator
from engine.services.retriever import Retriever
from engine.types import Answer, Filter, Hit, Message, Principal, Prompt, Usage

ANSWER_TOKENS = 800  # of the context window, kept free for the answer


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
    query: str = ""
    prompt: Prompt | None = None
    parts: list[str] = field(default_factory=list)
    refused: bool = False
    usage: Usage = field(default_factory=Usage)
    steps: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def step(self, name: str, started: float, **facts: Any) -> None:
        """Note a finished stage with its duration."""
        self.steps.append({"name": name, "ms": round((time.perf_counter() - started) * 1000, 2), **facts})


class Ask:
    """Answers questions from the collections that the principal may read."""

    def __init__(self, *, retriever: Retriever, generator: Generator, embedder: Embedder, passages: int) -> None:
        self._retriever = retriever
        self._generator = generator
        self._embedder = embedder
        self._passages = passages

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
        """Yield steps, then tokens, then Finished. Raises InputError, AccessDenied, ProviderError, StoreError."""
        draft = draft or Draft(question)
        started = time.perf_counter()
        draft.query = standalone_question(question, history)
        draft.step("rewrite", started, query=draft.query, changed=draft.query != question)
        yield Step("Searching your documents")

        started = time.perf_counter()
        found = await self._retriever.search(
            principal, draft.query, collection_ids=collection_ids, k=self._passages, where=where
        )
        draft.step("retrieve", started, passages=len(found.hits), **found.timings_ms)
        yield Step(_found(found.hits))

        started = time.perf_counter()
        draft.prompt = self._assemble(draft.query, found.hits, history)
        draft.step("prompt", started, tokens=draft.prompt.tokens, passages=len(draft.prompt.passages))

        started = time.perf_counter()
        async with aclosing(self._generator.stream(draft.prompt)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                if delta.text and not draft.parts:
                    draft.step("first token", started)
                draft.parts.append(delta.text)
                draft.refused = draft.refused or delta.refused
                draft.usage = delta.usage or draft.usage
                draft.details |= delta.details
                yield Token(delta.text)
        draft.step("generate", started)
        yield Step("Checking each sentence against its source")
        yield Finished(await self.finish(draft))

    async def finish(self, draft: Draft) -> Answer:
        """Cite and ground what is there, also when generation was stopped half-way."""
        prompt = draft.prompt or Prompt(question=draft.question, passages=())
        started = time.perf_counter()
        answer = await asyncio.to_thread(
            finish,
            "".join(draft.parts),
            prompt=prompt,
            refused=draft.refused,
            provider=self._generator.provider,
            model=self._generator.model,
            usage=draft.usage,
            embedder=self._embedder,
            trace=self._trace(draft, prompt),
            query=draft.query,
        )
        draft.step("ground", started)
        return answer

    def _assemble(self, question: str, hits: Sequence[Hit], history: Sequence[Message]) -> Prompt:
        return assemble(
            question,
            hits,
            history=history,
            count_tokens=self._generator.count_tokens,
            budget_tokens=self._generator.context_tokens - ANSWER_TOKENS,
        )

    def _trace(self, draft: Draft, prompt: Prompt) -> dict[str, Any]:
        return {
            "query": draft.query,
            "steps": draft.steps,
            "passages": [
                {"n": n, "chunk": hit.chunk.id, "document": hit.chunk.document_name, "page": hit.chunk.page, **hit.scores}
                for n, hit in enumerate(prompt.passages, start=1)
            ],
            "dropped": [{"chunk": chunk, "reason": reason} for chunk, reason in prompt.dropped],
            "details": draft.details,
        }


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
