"""Question -> hits that the principal may see: permissions go into the search and are checked again on its results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.database import collections, content, quarantine
from engine.database.database import Database
from engine.database.models import Collection
from engine.errors import (
    CallNotPermitted,
    ConfigError,
    EngineError,
    InputError,
    ProviderError,
    QuestionRejected,
    StoreError,
)
from engine.protocols import Array, Embedder, VectorSearch
from engine.resilience.deadline import time_limit
from engine.retrieval.diversity import mmr
from engine.retrieval.naming import named
from engine.retrieval.search import HybridSearch
from engine.sections import Retrieval
from engine.services.indexes import Indexes
from engine.services.ledger import Call
from engine.services.query_vectors import QueryVectors
from engine.services.tolerant import Tolerant
from engine.types import Filter, Hit, Principal
from engine.vendors.status import too_slow

EMBED_SECONDS = 10.0  # a question is answered by words when its embedding takes longer
LOAD_SECONDS = 60.0  # the same for the built-in model, which the first question may have to wait for
MAX_SPARE = 2000  # how many held passages a search looks past
DIVERSITY_POOL = 4  # how many times k candidates MMR chooses among
MODES = ("dense", "lexical", "hybrid")
Scored: TypeAlias = dict[str, tuple[float, dict[str, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The hits, best first, and where the time went (stage -> milliseconds).

    `notes` say in words what could not be searched; `calls` are the embedding calls, for the ledger.
    """

    hits: list[Hit]
    timings_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()


@dataclass(slots=True)
class _Progress:
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def spent(self, stage: str, started: float) -> None:
        self.timings[stage] = round(self.timings.get(stage, 0.0) + _ms(started), 2)

    def by_words(self, names: str, what: str, error: EngineError) -> None:
        self.notes.append(f"{names} was searched by words only, because {what} failed: {error}.")


class Retriever:
    """Search over the collections of one question."""

    def __init__(
        self,
        *,
        database: Database,
        indexes: Indexes,
        search: HybridSearch,
        embedders: Callable[[Collection], Awaitable[Embedder]],
        kept: QueryVectors,
        settings: Retrieval,
        max_question_chars: int,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._search = search
        self._embedders = embedders
        self._kept = kept
        self._settings = settings
        self._max_chars = max_question_chars

    async def search(
        self,
        principal: Principal,
        query: str,
        *,
        collection_ids: Sequence[str],
        k: int,
        where: Filter = (),
        mode: str = "",
    ) -> Found:
        """Return up to `k` hits of the readable collections, best first, ties by chunk id.

        Raises NotFound for a collection that the principal may not read, QuestionRejected, InputError, StoreError.
        """
        mode = mode or self._settings.mode
        self._check(query, k, mode)
        async with self._database.read() as session:
            readable = await collections.readable(session, principal, collection_ids)
            # Indexes hold what is in quarantine too, so that a release needs no rebuilding: so many more are asked for.
            spare = min(MAX_SPARE, await quarantine.held_count(session, [row.id for row in readable]))
        progress = _Progress()
        timings = progress.timings
        scored: Scored = {}
        depth = spare + (max(k, self._settings.candidates) if mode == "hybrid" else k)
        # Vectors of different models cannot be compared, so each embedding space is searched with its own query vector.
        for model in dict.fromkeys(map(_model, readable)):
            group = [row for row in readable if _model(row) == model]
            scored |= await self._search_space(query, group, k=depth, where=where, mode=mode, progress=progress)
        started = time.perf_counter()
        allowed = [row.id for row in readable]
        async with self._database.read() as session:
            if mode == "hybrid":
                scored = self._with_names(query, scored, await content.live_names(session, list(scored), allowed))
            wanted = k * DIVERSITY_POOL if self._settings.diversity else k
            best = sorted(scored, key=lambda key: (-scored[key][0], key))[: wanted + spare]
            live = await content.live_chunks(session, best, allowed)
            best = [key for key in best if key in live][:wanted]
            if self._settings.diversity and len({row.model_id for row in readable}) == 1:
                keys = [live[key][1] for key in best]
                vectors = await content.vectors(session, readable[0].model_id, keys, dimension=readable[0].dimension)
                relevance = [scored[key][0] for key in best]
                best = [best[i] for i in mmr(relevance, vectors, k=k, novelty=self._settings.diversity)]
        timings["load"] = _ms(started)
        hits = [Hit(chunk=live[key][0], score=scored[key][0], scores=scored[key][1]) for key in best[:k]]
        return Found(hits=hits, timings_ms=timings, notes=tuple(progress.notes), calls=tuple(progress.calls))

    def _with_names(self, query: str, scored: Scored, names: Mapping[str, tuple[str, str]]) -> Scored:
        """Add what the question says of file names: chunk id -> (document id, name); chunks not live any more drop out."""
        shares = named(query, dict(names.values()))
        # In the scale of the fusion, whichever it is; the best possible score stays what it was.
        weight, top = self._settings.naming_weight, max((score for score, _ in scored.values()), default=0.0)
        raised: Scored = {}
        for key, (document_id, _) in names.items():
            share = shares[document_id]
            fused = (scored[key][0] + weight * share * top) / (1 + weight)
            raised[key] = (fused, {**scored[key][1], "named": share, "fused": fused})
        return raised

    async def _search_space(
        self, query: str, group: Sequence[Collection], *, k: int, where: Filter, mode: str, progress: _Progress
    ) -> Scored:
        # With words alone a question can still be answered, so in hybrid mode a failing embedder or store costs a note.
        started = time.perf_counter()
        indexes = [(await self._vectors(row, mode, progress), await self._indexes.words(row)) for row in group]
        progress.spent("catch_up", started)
        started = time.perf_counter()
        vector: Array | None = None
        if mode != "lexical":
            limit = LOAD_SECONDS if group[0].embedder == "local" else EMBED_SECONDS
            try:
                with time_limit(limit):  # a thread that nobody waits for any more tries nothing again
                    async with asyncio.timeout(limit):
                        vector = await self._embedded(query, group, progress)
            except (ProviderError, StoreError, ConfigError, CallNotPermitted, TimeoutError) as failure:
                error = failure if isinstance(failure, EngineError) else too_slow(provider=group[0].embedder, seconds=limit)
                if mode == "dense":
                    raise error from failure
                mode = "lexical"
                progress.by_words(", ".join(row.name for row in group), f"embedding by {group[0].embedder!r}", error)
        progress.spent("embed", started)
        started = time.perf_counter()
        found = await asyncio.to_thread(self._search.search, query, vector, indexes, k=k, where=where, mode=mode)
        progress.spent("search", started)
        for row, (store, _) in zip(group, indexes, strict=True):
            if isinstance(store, Tolerant) and store.error is not None:
                progress.by_words(row.name, f"the vector store {row.store!r}", store.error)
        return {match.id: (match.score, dict(match.scores)) for match in found}

    async def _vectors(self, collection: Collection, mode: str, progress: _Progress) -> VectorSearch:
        if mode == "lexical":
            return Tolerant(None)
        try:
            vectors, _ = await self._indexes.current(collection)
        except (StoreError, ConfigError, CallNotPermitted) as error:
            if mode == "dense":
                raise
            progress.by_words(collection.name, f"the vector store {collection.store!r}", error)
            return Tolerant(None)
        return vectors if mode == "dense" else Tolerant(vectors)

    async def _embedded(self, query: str, group: Sequence[Collection], progress: _Progress) -> Array:
        if (kept := await self._kept.get(group[0], query)) is not None:
            return kept
        started = time.perf_counter()
        embedder = await self._embedders(group[0])
        for other in group[1:]:
            await self._embedders(other)  # each is verified against its own space
        collection, error, called = group[0], "", True
        try:
            vector = await asyncio.to_thread(embedder.embed_query, query)
        except ProviderError as failure:
            error = type(failure).__name__
            raise
        except CallNotPermitted:
            called = False
            raise
        finally:
            if called and collection.embedder != "local":  # the built-in model costs nothing, and every question uses it
                call = Call(
                    provider=collection.embedder,
                    model=collection.embedding_model,
                    job="embedding",
                    elapsed_ms=_ms(started),
                    input_tokens=0 if error else embedder.tokens.count(query),
                    error=error,
                )
                progress.calls.append(call)
        await self._kept.keep(collection, query, vector)
        return vector

    def _check(self, query: str, k: int, mode: str) -> None:
        if not query.strip():
            raise QuestionRejected("the question is empty", hint="Type a question.")
        if not query.isascii() and any("\ud800" <= character <= "\udfff" for character in query):
            raise QuestionRejected("the question has characters that are no text", hint="Type it again.")
        if len(query) > self._max_chars:
            raise QuestionRejected(
                f"the question has {len(query)} characters; the limit is {self._max_chars}", hint="Shorten it."
            )
        if k < 1:
            raise InputError("k must be at least 1")
        if mode not in MODES:
            raise InputError(f"unknown mode {mode!r}", hint=f"known modes: {', '.join(MODES)}")


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def _model(row: Collection) -> tuple[str, str, str]:
    return row.embedder, row.embedding_model, row.model_id
