"""The story of an upload: load, chunk, embed, go live. Each step is idempotent and the state moves last."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from engine import faults
from engine.chunking.wording import PREFIX_TOKENS, searchable_text
from engine.database import content, documents
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.database import Database
from engine.database.jobs import JobLost
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.database.quarantine import FLAGGED, HELD
from engine.database.versions import remove_replaced
from engine.documents import Chunk, Document, Page, Piece
from engine.errors import BadResponse, EmptyDocument, StoreError
from engine.monitoring.timing import timing
from engine.protocols import Chunker, Embedder, Meter
from engine.sections import Injection
from engine.security.injection import assess
from engine.security.sealing import Sealer
from engine.services.entries import chunk_id

COMMANDING_TITLE = "The title in the file reads as a command to an assistant and was left out."
EMBED_BATCH = 128  # texts per transaction: what a crash can cost, and how often progress moves
EMBED_FROM, EMBED_TO = 0.15, 0.95  # the share of the progress bar that embedding gets

Report = Callable[[float], Awaitable[None]]


class Parse(Protocol):
    """The sandboxed parser; see `engine.loading.sandbox.parse`."""

    def __call__(self, path: Path, *, name: str, password: str | None, stop: threading.Event) -> Document:
        """Return the document, or raise an InputError."""
        ...


class Embedders(Protocol):
    """Gives the embedder of a collection; with `verify` it is asked first whether it still makes the same space."""

    def __call__(self, collection: Collection, *, verify: bool = False) -> Awaitable[Embedder]:
        """Return it. Raises ProviderError, StoreError, ConfigError."""
        ...


class Ingest:
    """Runs the steps that a version still needs."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        sealer: Sealer,
        parse: Parse,
        embedders: Embedders,
        chunkers: Callable[[Collection], Awaitable[Chunker]],
        bill: Callable[[Collection, Sequence[str], Embedder, float], Awaitable[Callable[[AsyncSession], None]]],
        injection: Injection,
        meter: Meter,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._sealer = sealer
        self._parse = parse
        self._embedders = embedders
        self._chunkers = chunkers
        self._bill = bill
        self._injection = injection
        self._meter = meter
        self._embedding: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)  # one batch a model at a time

    async def run(self, version_id: str, report: Report) -> None:
        """Bring a version to life. Raises InputError when the file is the reason, ProviderError, StoreError, JobLost."""
        async with self._database.read() as session:
            version = await session.get(Version, version_id)
            if version is None:
                raise JobLost(version_id)  # its collection was deleted
            document = await session.get_one(DocumentRow, version.document_id)
            collection = await session.get_one(Collection, version.collection_id)
        if version.state == VersionState.STORED:
            with timing(self._meter, "ingest_seconds", "parse"):
                await self._load(version, document)
            faults.point("ingest.parsed")
        if version.state == VersionState.PARSED:
            with timing(self._meter, "ingest_seconds", "chunk"):
                await self._chunk(version, document, collection)
            faults.point("ingest.chunked")
        if version.state == VersionState.CHUNKED:
            with timing(self._meter, "ingest_seconds", "embed"):
                await self._embed(version, document, collection, report)
        if version.state == VersionState.EMBEDDED:
            with timing(self._meter, "ingest_seconds", "live"):
                await self._go_live(version, collection)
            faults.point("ingest.live")

    async def _load(self, version: Version, document: DocumentRow) -> None:
        password = self._sealer.open(version.sealed_password) if version.sealed_password else None
        stop = threading.Event()
        try:
            path = self._blobs.path(version.blob)
            parsed = await asyncio.to_thread(self._parse, path, name=document.name, password=password, stop=stop)
        finally:
            stop.set()  # when this task is cancelled, the parser must not run on for nobody
        _refuse_empty(parsed)
        # A title stands in front of every passage that a model reads.
        title = "" if self._commands(parsed.title) else parsed.title[:500]
        async with self._database.write() as session:
            await content.save_pages(session, version.id, parsed.pages)
            await documents.advance(
                session,
                version,
                expected=VersionState.STORED,
                media_type=parsed.media_type,
                title=title,
                pages=len(parsed.pages),
                pages_with_text=sum(page.has_text for page in parsed.pages),
                warnings=[
                    *parsed.warnings,
                    *_coverage_warning(parsed.pages),
                    *[COMMANDING_TITLE] * (title != parsed.title[:500]),
                ],
                state=VersionState.PARSED,
            )

    async def _chunk(self, version: Version, document: DocumentRow, collection: Collection) -> None:
        async with self._database.read() as session:
            pages = await content.pages(session, version.id)
        parsed = Document(name=document.name, media_type=version.media_type, title=version.title, pages=tuple(pages))
        embedder = await self._embedders(collection)
        limit = min(collection.chunk_tokens, (collection.max_tokens or embedder.max_tokens) - PREFIX_TOKENS)
        pieces = await asyncio.to_thread((await self._chunkers(collection)).split, parsed, max_tokens=limit)
        pieces = await asyncio.to_thread(lambda: [self._tamed(piece) for piece in pieces])
        rows = await asyncio.to_thread(_chunk_rows, version, document, pieces, embedder, self._injection)
        async with self._database.write() as session:
            await content.save_chunks(session, version.id, rows)
            await documents.advance(
                session, version, expected=VersionState.PARSED, chunks=len(rows), state=VersionState.CHUNKED
            )

    def _commands(self, text: str) -> bool:
        return _score(text) >= self._injection.flag_score

    def _tamed(self, piece: Piece) -> Piece:
        """Return the piece without headings and table headers that command: they stand in front of it, outside its text."""
        section = tuple(part for part in piece.section if not self._commands(part))
        return replace(piece, section=section, context="" if self._commands(piece.context) else piece.context)

    async def _embed(self, version: Version, document: DocumentRow, collection: Collection, report: Report) -> None:
        embedder = await self._embedders(collection, verify=True)
        async with self._database.read() as session:
            rows = await content.chunks(session, version)
            missing = sorted(await content.missing_vectors(session, collection.model_id, [key for _, key in rows]))
        texts = await asyncio.to_thread(lambda: {key: _searchable(version, document, chunk, embedder) for chunk, key in rows})
        missing.sort(key=lambda key: len(texts[key]))  # texts of like length share a batch and waste no padding
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
                await content.save_vectors(session, collection.model_id, keys, vectors)
                bill(session)
            faults.point("ingest.embedded")
            await report(EMBED_FROM + (EMBED_TO - EMBED_FROM) * (start + len(keys)) / len(missing))
        async with self._database.write() as session:
            await documents.advance(session, version, expected=VersionState.CHUNKED, state=VersionState.EMBEDDED)

    async def _go_live(self, version: Version, collection: Collection) -> None:
        async with self._database.write() as session:
            rows = await content.chunks(session, version)
            lost = await content.missing_vectors(session, collection.model_id, [key for _, key in rows])
            if lost or len(rows) != version.chunks:
                raise StoreError(f"{len(lost)} vectors are missing after embedding", hint="Process the document again.")
            live = await documents.go_live(session, version)
            unused = await remove_replaced(session, version.document_id)
            if live:
                await record(
                    session,
                    None,
                    "document.live",
                    version.document_id,
                    version=version.number,
                    chunks=version.chunks,
                    pages=version.pages,
                )
        for key in unused:
            await asyncio.to_thread(self._blobs.delete, key)


@lru_cache(maxsize=1000)
def _score(text: str) -> float:
    return assess(text).score


def _refuse_empty(document: Document) -> None:
    if document.text_coverage > 0:
        return
    scanned = sum(page.has_image for page in document.pages)
    what = f"all {len(document.pages)} pages are pictures without text" if scanned else "there is no text in the file"
    raise EmptyDocument(f"nothing to index: {what}")


def _coverage_warning(pages: tuple[Page, ...]) -> list[str]:
    empty = [page.number for page in pages if not page.has_text]
    if not empty:
        return []
    shown = ", ".join(str(number) for number in empty[:10]) + (", …" if len(empty) > 10 else "")
    scans = sum(page.has_image for page in pages if not page.has_text)
    kind = "scanned pictures" if scans == len(empty) else "empty or scanned" if scans else "empty"
    return [f"{len(empty)} of {len(pages)} pages have no text ({kind}): {shown}. They cannot be found or cited."]


def _chunk_rows(
    version: Version, document: DocumentRow, pieces: list[Piece], embedder: Embedder, injection: Injection
) -> list[dict[str, object]]:
    return [
        {
            "id": chunk_id(version.id, ordinal),
            "version_id": version.id,
            "ordinal": ordinal,
            "page": piece.page,
            "start": piece.start,
            "end": piece.end,
            "text": piece.text,
            "section": list(piece.section),
            "context": piece.context,
            "vector_sha256": hashlib.sha256(_searchable(version, document, piece, embedder).encode()).hexdigest(),
            **_suspicion(piece.text, injection),
        }
        for ordinal, piece in enumerate(pieces)
    ]


def _suspicion(text: str, injection: Injection) -> dict[str, object]:
    found = assess(text)
    if found.score < injection.flag_score or not found.findings:
        return {"suspicion": found.score, "findings": [], "quarantine": ""}
    state = HELD if found.score >= injection.hold_score else FLAGGED
    return {"suspicion": found.score, "findings": [asdict(one) for one in found.findings], "quarantine": state}


def _searchable(version: Version, document: DocumentRow, piece: Piece | Chunk, embedder: Embedder) -> str:
    return searchable_text(
        document_name=document.name,
        title=version.title,
        section=piece.section,
        context=piece.context,
        text=piece.text,
        tokens=embedder.tokens,
        max_tokens=embedder.max_tokens,
    )
