"""The models that help an answer without writing it: one rewrites the question, one orders the passages.

Both are optional. When one fails the question goes on without it, and the reader or the trace is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from engine.errors import CallNotPermitted, ConfigError, ProviderError, StoreError
from engine.generation.rewrite import standalone_question
from engine.generation.rewriting import SECONDS as REWRITE_SECONDS
from engine.generation.rewriting import rewritten
from engine.provider_views import Choice
from engine.resilience.deadline import time_limit
from engine.services.configuration import Configured
from engine.services.ledger import Call
from engine.services.parts import Parts
from engine.types import Hit, Message, Usage

RERANK_SECONDS = 20.0


class Helpers:
    """The models that an admin chose for rewriting and reranking."""

    def __init__(self, *, configured: Configured, parts: Parts) -> None:
        self._configured = configured
        self._parts = parts

    async def standalone(self, question: str, history: Sequence[Message], calls: list[Call]) -> tuple[str, dict[str, Any]]:
        """Return a question that can be searched on its own, and facts for the trace. Adds its call to `calls`."""
        choice = (await self._configured.current()).choices.rewrite
        if choice is None or not history:
            return standalone_question(question, history), {}
        started, usage = time.perf_counter(), Usage()
        try:
            with time_limit(REWRITE_SECONDS):
                text, usage = await rewritten(question, history, await self._parts.generator(choice))
        except (ProviderError, ConfigError, CallNotPermitted) as error:
            if not isinstance(error, CallNotPermitted):
                calls.append(_call(choice, "rewrite", started, usage, type(error).__name__))
            return standalone_question(question, history), {"by": "rules", "failed": f"{choice}: {error}"}
        calls.append(_call(choice, "rewrite", started, usage))
        return text, {"by": str(choice)}

    async def reranking(self) -> bool:
        """Whether a reranker is chosen."""
        return (await self._configured.current()).choices.rerank is not None

    async def reranked(self, question: str, hits: Sequence[Hit], calls: list[Call]) -> tuple[Sequence[Hit], str]:
        """Return the hits in the reranker's order with its score added as "rerank", and "" or why they are as they were."""
        choice = (await self._configured.current()).choices.rerank
        if choice is None or not hits:
            return hits, ""
        started = time.perf_counter()
        try:
            reranker = await self._parts.reranker(choice)
            with time_limit(RERANK_SECONDS):
                async with asyncio.timeout(RERANK_SECONDS):
                    scores = await asyncio.to_thread(reranker.score, question, hits)
        except (ProviderError, ConfigError, StoreError, CallNotPermitted, TimeoutError) as error:
            if not isinstance(error, CallNotPermitted):
                calls.append(_call(choice, "rerank", started, Usage(), type(error).__name__))
            why = str(error) or f"no answer within {RERANK_SECONDS:.0f} s"
            return hits, f"The passages are in the order of the search, because reranking by {choice} failed: {why}."
        calls.append(_call(choice, "rerank", started, Usage()))
        order = sorted(range(len(hits)), key=lambda i: (-scores[i], i))
        return [
            Hit(chunk=hits[i].chunk, score=scores[i], scores={**hits[i].scores, "rerank": round(scores[i], 4)}) for i in order
        ], ""


def _call(choice: Choice, job: str, started: float, usage: Usage, error: str = "") -> Call:
    return Call(
        provider=choice.provider,
        model=choice.model,
        job=job,
        elapsed_ms=(time.perf_counter() - started) * 1000,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        error=error,
    )
