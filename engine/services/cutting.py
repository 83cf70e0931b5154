"""A version -> passages of a generation -> their vectors: what an upload and the building of a generation have in common."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from engine import faults
from engine.chunking.wording import PREFIX_TOKENS
from engine.database import content
from engine.database.database import Database
from engine.database.models import Collection, DocumentRow, Version
from engine.documents import Document, Piece
from engine.errors import BadResponse
from engine.protocols import Chunker, Embedder
from engine.sections import Injection
from engine.services.passage_rows import Row, commands, passage_rows, searchable, tamed, vector_key

EMBED_BATCH = 128  # texts per transaction: what a crash can cost, and how often progress moves

Done = Callable[[int, int], Awaitable[None]]


class Embedders(Protocol):
    """Gives the embedder of a collection; with `verify` it is asked first whether it still makes the same space."""

    def __call__(self, collection: Collection, *, verify: bool = False) -> Awaitable[Embedder]:
        """Return it. Raises ProviderError, StoreError, ConfigError."""
        ...


async def _permitted(_session: AsyncSession) -> None:
    return None


class Cutting:
    """Cuts and embeds as a collection says; the collection may be one that is only planned (see services/generations.py)."""

    def __init__(
        self,
        *,
        database: Database,
        embedders: Embedders,
        chunkers: Callable[[Collection], Awaitable[Chunker]],
        bill: Callable[[Collection, Sequence[str], Embedder, float], Awaitable[Callable[[AsyncSession], None]]],
        injection: Injection,
    ) -> None:
        self._database = database
        self._embedders = embedders
        self._chunkers = chunkers
        self._bill = bill
        self._injection = injection
        self._embedding: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)  # one batch a model at a time

    async def cut(self, collection: Collection, version: Version, document: DocumentRow) -> list[Row]:
        """Return the passages of a version as rows for `content.save_chunks`, scanned for text that commands."""
        pieces, embedder = await self._pieces(collection, version, document)
        return await asyncio.to_thread(passage_rows, collection, version, document, pieces, embedder, self._injection)

    async def searchable(self, collection: Collection, version: Version, document: DocumentRow) -> dict[str, str]:
        """Return vector key -> text to embed of the passages as they would be; nothing is kept."""
        pieces, embedder = await self._pieces(collection, version, document)
        texts = await asyncio.to_thread(lambda: [searchable(version, document, piece, embedder) for piece in pieces])
        return {vector_key(text): text for text in texts}

    async def _pieces(self, collection: Collection, version: Version, document: DocumentRow) -> tuple[list[Piece], Embedder]:
        async with self._database.read() as session:
            pages = await content.pages(session, version.id)
        parsed = Document(name=document.name, media_type=version.media_type, title=version.title, pages=tuple(pages))
        embedder = await self._embedders(collection)
        limit = min(collection.chunk_tokens, (collection.max_tokens or embedder.max_tokens) - PREFIX_TOKENS)
        chunker = await self._chunkers(collection)
        pieces = await asyncio.to_thread(
            lambda: [tamed(piece, self._injection) for piece in chunker.split(parsed, max_tokens=limit)]
        )
        return pieces, embedder

    async def texts(self, collection: Collection, version: Version, document: DocumentRow) -> dict[str, str]:
        """Return vector key -> text to embed of the passages that were saved of a version."""
        embedder = await self._embedders(collection)
        async with self._database.read() as session:
            rows = await content.chunks(session, version, collection.generation)
        return await asyncio.to_thread(lambda: {key: searchable(version, document, one, embedder) for one, key in rows})

    async def embed(
        self,
        collection: Collection,
        texts: dict[str, str],
        done: Done,
        *,
        permitted: Callable[[AsyncSession], Awaitable[None]] = _permitted,
    ) -> int:
        """Embed and keep what of `texts` (by vector key) this model has not embedded yet; return how many those were.

        `done(so far, of these)` is awaited first and after each batch; `permitted` in the transaction that keeps one, to raise
        there. Raises ProviderError, BadResponse, StoreError, ConfigError.
        """
        async with self._database.read() as session:
            missing = sorted(await content.missing_vectors(session, collection.model_id, texts))
        missing.sort(key=lambda key: len(texts[key]))  # texts of like length share a batch and waste no padding
        await done(0, len(missing))
        for start in range(0, len(missing), EMBED_BATCH):
            keys = missing[start : start + EMBED_BATCH]
            embedder = await self._embedders(collection)  # anew: an admin may have changed the provider meanwhile
            async with self._embedding[collection.embedder, collection.embedding_model]:
                started = time.perf_counter()
                vectors = await asyncio.to_thread(embedder.embed_documents, [texts[key] for key in keys])
            seconds = time.perf_counter() - started
            if vectors.shape != (len(keys), collection.dimension):
                raise BadResponse(
                    f"the embedder gave vectors of shape {vectors.shape}, the collection has {collection.dimension} dimensions",
                    hint="Nothing of it was kept. Test the provider, then process the document again.",
                )
            bill = await self._bill(collection, [texts[key] for key in keys], embedder, seconds)
            async with self._database.write() as session:
                await permitted(session)
                await content.save_vectors(session, collection.model_id, keys, vectors)
                bill(session)
            faults.point("ingest.embedded")
            await done(start + len(keys), len(missing))
        return len(missing)

    def commands(self, text: str) -> bool:
        """Whether a line (a title, a heading) reads as a command to an assistant."""
        return commands(text, self._injection)
