"""Models and stores behind a guard: the same Protocols, with breaker, bulkhead, retries and time limits around each call.

What only tells about a part (its name, how many tokens it reads) is not guarded, and `models()` neither: a list of models is
looked at by admins who set a provider up, and says nothing of the operation that the guard stands for.

Not protected at all are the parts that everything falls back on and that no network can take away: the extractive answerer,
the built-in embedder and the stores of this process (`engine.services.parts` asks for no guard for them).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.operations_views import BreakerState, Dependency
from engine.protocols import Embedder, Generator, Reranker, TokenCounter, VectorStore
from engine.resilience.guard import Guard
from engine.resilience.guards import Guards
from engine.types import Delta, Entry, Filter, Hit, Match, Prompt, Space

if TYPE_CHECKING:
    from engine.protocols import Array
else:
    Array = Any

HURRIED_SECONDS = 5.0

Part: TypeAlias = Generator | Embedder | Reranker | VectorStore


class ProtectedGenerator:
    """Satisfies Generator. A call is tried again before its first piece only: what a reader has seen is not taken back."""

    def __init__(self, part: Generator, guard: Guard, *, patience: float = math.inf) -> None:
        self._part = part
        self._guard = guard
        self._patience = patience

    def hurried(self) -> ProtectedGenerator:
        """Return the same for a link that has another behind it: no reader should wait a minute for what that one can say."""
        return ProtectedGenerator(self._part, self._guard, patience=HURRIED_SECONDS)

    @property
    def provider(self) -> str:
        """See Generator."""
        return self._part.provider

    @property
    def model(self) -> str:
        """See Generator."""
        return self._part.model

    @property
    def context_tokens(self) -> int:
        """See Generator."""
        return self._part.context_tokens

    def count_tokens(self, text: str) -> int:
        """See Generator."""
        return self._part.count_tokens(text)

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer in pieces. Raises ProviderError, CallNotPermitted."""
        return self._guard.stream(lambda: self._part.stream(prompt), patience=self._patience)

    async def models(self) -> list[str]:
        """See Generator."""
        return await self._part.models()

    async def close(self) -> None:
        """See Generator."""
        await self._part.close()


class ProtectedEmbedder:
    """Satisfies Embedder. It always asks the one model that it stands for: vectors of another one could not be compared."""

    def __init__(self, part: Embedder, guard: Guard) -> None:
        self._part = part
        self._guard = guard

    @property
    def model_id(self) -> str:
        """See Embedder."""
        return self._part.model_id

    @property
    def dimension(self) -> int:
        """See Embedder."""
        return self._part.dimension

    @property
    def max_tokens(self) -> int:
        """See Embedder."""
        return self._part.max_tokens

    @property
    def tokens(self) -> TokenCounter:
        """See Embedder."""
        return self._part.tokens

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """See Embedder. Raises CallNotPermitted, too."""
        return self._guard.call(lambda: self._part.embed_documents(texts))

    def embed_query(self, text: str) -> Array:
        """See Embedder. Raises CallNotPermitted, too."""
        return self._guard.call(lambda: self._part.embed_query(text))

    def discover(self) -> Space:
        """See Embedder. Raises CallNotPermitted, too: questions ask for the space every few minutes."""
        return self._guard.call(self._part.discover)

    def models(self) -> list[str]:
        """See Embedder."""
        return self._part.models()

    def close(self) -> None:
        """See Embedder."""
        self._part.close()


class ProtectedReranker:
    """Satisfies Reranker."""

    def __init__(self, part: Reranker, guard: Guard) -> None:
        self._part = part
        self._guard = guard

    @property
    def model(self) -> str:
        """See Reranker."""
        return self._part.model

    def score(self, question: str, hits: Sequence[Hit]) -> list[float]:
        """See Reranker. Raises CallNotPermitted, too."""
        return self._guard.call(lambda: self._part.score(question, hits))

    def close(self) -> None:
        """See Reranker."""
        self._part.close()


class ProtectedStore:
    """Satisfies VectorStore. Writing is tried again, too: entries go by id, so that twice is the same as once."""

    def __init__(self, part: VectorStore, guard: Guard) -> None:
        self._part = part
        self._guard = guard

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore."""
        self._guard.call(lambda: self._part.upsert(entries, vectors), writes=True, idempotent=True)

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        self._guard.call(lambda: self._part.delete(ids), writes=True, idempotent=True)

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore."""
        return self._guard.call(lambda: self._part.search(vector, k=k, where=where))

    def count(self) -> int:
        """See VectorStore."""
        return self._guard.call(self._part.count)

    def ids(self) -> list[str]:
        """See VectorStore."""
        return self._guard.call(self._part.ids)

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        return self._guard.call(lambda: self._part.fetch(ids))

    def drop(self) -> None:
        """See VectorStore."""
        self._guard.call(self._part.drop, writes=True, idempotent=True)

    def close(self) -> None:
        """See VectorStore."""
        self._part.close()


class Protection:
    """Puts guards around parts: `engine.services.parts` calls it once for each part that it hands out."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards

    def renewed(self, provider: str) -> None:
        """Forget what is known of a provider that an admin changed: its address or key may be another now.

        What an operator forced stays.
        """
        for guard in self._guards.all():
            if guard.dependency.provider == provider and guard.info().state in (BreakerState.OPEN, BreakerState.HALF_OPEN):
                guard.breaker.force(BreakerState.CLOSED, by="", reason="the provider was changed")

    def __call__(self, dependency: Dependency, part: Any) -> Any:
        """Return `part` behind the guard of `dependency`; the operation says what it is."""
        guard = self._guards.of(dependency)
        match dependency.operation:
            case "chat":
                return ProtectedGenerator(part, guard)
            case "embedding":
                return ProtectedEmbedder(part, guard)
            case "rerank":
                return ProtectedReranker(part, guard)
            case _:
                return ProtectedStore(part, guard)
