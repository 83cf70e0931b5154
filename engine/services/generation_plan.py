"""What changing a collection would take, from a sample that is really cut, and (where it costs nothing) really embedded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine import registry
from engine.database import content, cuts
from engine.database.columns import new_id
from engine.database.database import Database
from engine.database.generations import PARAMETERS
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.database.provider_models import CallRow
from engine.errors import InputError
from engine.keeping_views import GenerationChange, GenerationPlan
from engine.provider_views import Choice
from engine.services.choosing import checked
from engine.services.configuration import Configured, Live, is_free
from engine.services.cutting import Cutting
from engine.services.ledger import Call, cost
from engine.services.parts import Parts, same_space
from engine.services.space_names import short_name, space_name

SAMPLE_PAGES = 40
SAMPLE_VERSIONS = 40
SAMPLE_TEXTS = 16
LEAST_TOKENS, MOST_TOKENS = 16, 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """What was cut: `chunks` and the `tokens` of those that must be embedded; `cut_seconds`, `embed_seconds` for all of it."""

    pages: int
    chunks: int
    tokens: int
    cut_seconds: float
    embed_seconds: float | None


class GenerationPlanner:
    """Checks a change and estimates it."""

    def __init__(self, *, database: Database, configured: Configured, parts: Parts, cutting: Cutting) -> None:
        self._database = database
        self._configured = configured
        self._parts = parts
        self._cutting = cutting

    async def target(self, collection: Collection, change: GenerationChange) -> Collection:
        """Return the collection as it would be (in no session, without a space yet); its embedder is asked what it makes.

        Raises InputError (also when nothing would change), UnknownComponent, ConfigError, ProviderError.
        """
        live = await self._configured.current(fresh=True)
        same_provider = change.embedder in ("", collection.embedder)
        wanted = change.embedding_model or (collection.embedding_model if same_provider else "")
        choice = checked(live, "embedding", Choice(provider=change.embedder or collection.embedder, model=wanted))
        store = checked(live, "store", Choice(provider=change.store or collection.store)).provider
        chunker = change.chunker or collection.chunker
        registry.find(registry.CHUNKERS, "chunker", chunker)
        size, overlap = _sizes(collection, change)
        found = await asyncio.to_thread((await self._parts.embedder(choice)).discover)
        own = {name: getattr(collection, name) for name in PARAMETERS}
        own |= {"chunker": chunker, "chunk_tokens": size, "overlap_tokens": overlap, "store": store, "space": ""}
        if found.probe and collection.probe:
            same = same_space(found.probe, collection.probe)
        else:
            same = (short_name(found.model_id), found.dimension) == (collection.model_id, collection.dimension)
        if not same:
            async with self._database.read() as session:
                name = found.model_id if choice.provider == "local" else await space_name(session, found)
            own |= {"model_id": name, "dimension": found.dimension, "probe": found.probe, "normalised": found.normalised}
        if not (same and choice.provider == collection.embedder):
            own |= {"embedder": choice.provider, "embedding_model": choice.model, "max_tokens": found.max_tokens}
        if all(own[name] == getattr(collection, name) for name in PARAMETERS if name != "space"):
            raise InputError(
                "nothing would change", hint="Choose another embedding, another way of cutting, another size, or another store."
            )
        return Collection(id=collection.id, name=collection.name, generation=new_id(), created_by="", **own)

    async def plan(self, collection: Collection, target: Collection) -> GenerationPlan:
        """Estimate. Raises ProviderError, ConfigError, StoreError."""
        live = await self._configured.current()
        async with self._database.read() as session:
            documents, pages = await _extent(session, collection)
            chunks = await cuts.live_chunks(session, collection)
        sample = await self._sampled(live, target)
        scale = pages / sample.pages if sample.pages else 0.0
        tokens = round(sample.tokens * scale)
        embedding = sample.embed_seconds
        if embedding is None:
            embedding = await self._from_ledger(target, sample.tokens)
        seconds = None if embedding is None else round((sample.cut_seconds + embedding) * scale, 1)
        call = Call(
            provider=target.embedder, model=target.embedding_model, job="embedding", elapsed_ms=0.0, input_tokens=tokens
        )
        price = cost(live, call)
        return GenerationPlan(
            collection_id=collection.id,
            before=_described(collection),
            after=_described(target),
            documents=documents,
            pages=pages,
            chunks_before=chunks,
            chunks_after=round(sample.chunks * scale),
            tokens=tokens,
            seconds=seconds,
            cost_usd=price,
            warnings=tuple(_warnings(live, collection, target, price=price, seconds=seconds, tokens=tokens)),
        )

    async def _sampled(self, live: Live, target: Collection) -> _Sample:
        pages = chunks = tokens = 0
        cut_seconds = 0.0
        wanted: list[tuple[str, int]] = []
        embedder = await self._parts.embedder(Choice(provider=target.embedder, model=target.embedding_model))
        for version, document in await self._some(target):
            started = time.perf_counter()
            texts = await self._cutting.searchable(target, version, document)
            cut_seconds += time.perf_counter() - started
            async with self._database.read() as session:
                missing = await content.missing_vectors(session, target.model_id, texts)
            for key in missing:
                wanted.append((texts[key], await asyncio.to_thread(embedder.tokens.count, texts[key])))
            pages, chunks = pages + version.pages, chunks + len(texts)
            if pages >= SAMPLE_PAGES:
                break
        tokens = sum(count for _, count in wanted)
        seconds: float | None = 0.0
        if wanted:
            seconds = None
            if is_free(live, target.embedder):
                tried = wanted[:SAMPLE_TEXTS]
                started = time.perf_counter()
                await asyncio.to_thread(embedder.embed_documents, [text for text, _ in tried])
                seconds = (time.perf_counter() - started) * tokens / max(1, sum(count for _, count in tried))
        return _Sample(pages=pages, chunks=chunks, tokens=tokens, cut_seconds=cut_seconds, embed_seconds=seconds)

    async def _some(self, target: Collection) -> list[tuple[Version, DocumentRow]]:
        # Ids are random, so their order is a fair sample of documents.
        query = (
            select(Version, DocumentRow)
            .join(DocumentRow, DocumentRow.id == Version.document_id)
            .where(Version.collection_id == target.id, Version.state == VersionState.LIVE)
            .order_by(Version.id)
            .limit(SAMPLE_VERSIONS)
        )
        async with self._database.read() as session:
            return [(version, document) for version, document in await session.execute(query)]

    async def _from_ledger(self, target: Collection, tokens: int) -> float | None:
        """Return how long a paid model took for so many tokens lately; None where it was never used."""
        used = (CallRow.provider == target.embedder) & (CallRow.model == target.embedding_model) & (CallRow.input_tokens > 0)
        query = select(func.sum(CallRow.elapsed_ms), func.sum(CallRow.input_tokens)).where(used, CallRow.job == "embedding")
        async with self._database.read() as session:
            elapsed, counted = (await session.execute(query)).one()
        return float(elapsed) / 1000 / float(counted) * tokens if counted else None


async def _extent(session: AsyncSession, collection: Collection) -> tuple[int, int]:
    live = (Version.collection_id == collection.id) & (Version.state == VersionState.LIVE)
    documents, pages = (await session.execute(select(func.count(), func.sum(Version.pages)).where(live))).one()
    return int(documents), int(pages or 0)


def _sizes(collection: Collection, change: GenerationChange) -> tuple[int, int]:
    size = change.chunk_tokens or collection.chunk_tokens
    overlap = collection.overlap_tokens if change.overlap_tokens is None else change.overlap_tokens
    if not LEAST_TOKENS <= size <= MOST_TOKENS or not 0 <= overlap < size:
        raise InputError(
            f"passages have {LEAST_TOKENS} to {MOST_TOKENS} tokens and overlap by fewer than they have",
            hint="Choose other numbers.",
        )
    return size, overlap


def _described(collection: Collection) -> GenerationChange:
    return GenerationChange(
        embedder=collection.embedder,
        embedding_model=collection.embedding_model,
        chunker=collection.chunker,
        chunk_tokens=collection.chunk_tokens,
        overlap_tokens=collection.overlap_tokens,
        store=collection.store,
    )


def _warnings(
    live: Live, before: Collection, after: Collection, *, price: float | None, seconds: float | None, tokens: int
) -> list[str]:
    told: list[str] = []
    if after.max_tokens and after.max_tokens < after.chunk_tokens:
        told.append(
            f"The embedder reads {after.max_tokens} tokens at a time: passages become shorter than {after.chunk_tokens} tokens."
        )
    if after.embedder in live.providers and after.model_id != before.model_id:
        told.append(
            f"The text of all documents is sent to {after.embedder} "
            f"({live.providers[after.embedder].base_url or 'the vendor’s own address'}), and later every question."
        )
    if after.store in live.providers and after.store != before.store:
        told.append(f"The vectors are kept in {after.store} ({live.providers[after.store].base_url or 'its own address'}).")
    if price is None and tokens:
        told.append("The cost is not known: no price was entered for this model.")
    if seconds is None and tokens:
        told.append("How long it takes is not known: this model has not embedded anything here yet.")
    return told
