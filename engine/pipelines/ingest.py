"""The story of an upload: load, chunk, embed, go live. Each step is idempotent and the state moves last."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from engine import faults
from engine.database import content, cuts, documents
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.database import Database
from engine.database.ingestion_models import Cut
from engine.database.jobs import JobLost
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.database.versions import remove_replaced
from engine.documents import Document, Page
from engine.errors import EmptyDocument, StoreError
from engine.monitoring.timing import timing
from engine.pipelines.recognition import Recognition
from engine.protocols import Meter
from engine.security.sealing import Sealer
from engine.services.cutting import Cutting, Embedders

COMMANDING_TITLE = "The title in the file reads as a command to an assistant and was left out."
NO_TEXT = "Look whether it is the file that you meant, and upload one that holds text."

Report = Callable[[str, int, int], Awaitable[None]]
"""`report(stage, done, total)` of pages or passages; the stage is "parse", "recognise", "chunk", "embed" or "index".

Raises JobLost when the job is somebody else's by now, or nobody's.
"""


class Parse(Protocol):
    """The sandboxed parser; see `engine.loading.sandbox.parse`."""

    def __call__(self, path: Path, *, name: str, password: str | None, stop: threading.Event) -> Document:
        """Return the document, or raise an InputError."""
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
        cutting: Cutting,
        recognition: Recognition,
        meter: Meter,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._sealer = sealer
        self._parse = parse
        self._embedders = embedders
        self._cutting = cutting
        self._recognition = recognition
        self._meter = meter

    async def run(self, version_id: str, report: Report) -> None:
        """Bring a version to life. Raises InputError when the file is the reason, ProviderError, StoreError, JobLost."""
        async with self._database.read() as session:
            version = await session.get(Version, version_id)
            if version is None:
                raise JobLost(version_id)  # its collection was deleted
            document = await session.get_one(DocumentRow, version.document_id)
        if version.state == VersionState.STORED:
            with timing(self._meter, "ingest_seconds", "parse"):
                await self._load(version, document, report)
            faults.point("ingest.parsed")
        while version.state in (VersionState.PARSED, VersionState.CHUNKED, VersionState.EMBEDDED):
            await self._step(version, document, report)

    async def _step(self, version: Version, document: DocumentRow, report: Report) -> None:
        """Bring a parsed version one step on, in the generation of its collection that is in force now."""
        async with self._database.read() as session:
            collection = await session.get(Collection, version.collection_id)
            cut = collection is not None and await session.get(Cut, (version.id, collection.generation)) is not None
        if collection is None:
            raise JobLost(version.id)
        if version.state == VersionState.PARSED or not cut:
            with timing(self._meter, "ingest_seconds", "chunk"):
                await self._chunk(version, document, collection, report)
            faults.point("ingest.chunked")
        elif version.state == VersionState.CHUNKED:
            with timing(self._meter, "ingest_seconds", "embed"):
                await self._embed(version, document, collection, report)
        else:
            with timing(self._meter, "ingest_seconds", "live"):
                await report("index", 0, version.chunks)
                await self._go_live(version)
            faults.point("ingest.live")

    async def _load(self, version: Version, document: DocumentRow, report: Report) -> None:
        await report("parse", 0, 0)
        password = self._sealer.open(version.sealed_password) if version.sealed_password else None
        stop = threading.Event()

        async def progress(done: int, total: int) -> None:
            await report("recognise", done, total)

        try:
            path = self._blobs.path(version.blob)
            parsed = await asyncio.to_thread(self._parse, path, name=document.name, password=password, stop=stop)
            await report("parse", len(parsed.pages), len(parsed.pages))
            parsed = await self._recognition.fill(path, parsed, password=password, stop=stop, progress=progress)
        finally:
            stop.set()  # when this task is cancelled, the parser must not run on for nobody
        _refuse_empty(parsed)
        # A title stands in front of every passage that a model reads.
        title = "" if self._cutting.commands(parsed.title) else parsed.title[:500]
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

    async def _chunk(self, version: Version, document: DocumentRow, collection: Collection, report: Report) -> None:
        await report("chunk", 0, version.pages)
        rows = await self._cutting.cut(collection, version, document)
        await report("chunk", version.pages, version.pages)
        async with self._database.write() as session:
            await content.save_chunks(session, version.id, collection.generation, rows)
            await documents.advance(
                session, version, expected=VersionState(version.state), chunks=len(rows), state=VersionState.CHUNKED
            )

    async def _embed(self, version: Version, document: DocumentRow, collection: Collection, report: Report) -> None:
        await self._embedders(collection, verify=True)
        texts = await self._cutting.texts(collection, version, document)

        async def told(done: int, total: int) -> None:
            await report("embed", done, total)

        async def permitted(session: AsyncSession) -> None:
            await documents.hold(session, version)  # vectors of a document that was purged meanwhile would be nobody's

        await self._cutting.embed(collection, texts, told, permitted=permitted)
        async with self._database.write() as session:
            await cuts.embedded(session, [version.id], collection.generation)
            await documents.advance(session, version, expected=VersionState.CHUNKED, state=VersionState.EMBEDDED)

    async def _go_live(self, version: Version) -> None:
        async with self._database.write() as session:
            # The row is locked: either this version is live before its collection switches to another generation, and the
            # switch sees it, or it is cut again for that one.
            collection = await session.get(Collection, version.collection_id, with_for_update={"key_share": True})
            if collection is None:
                raise JobLost(version.id)
            if not await cuts.has(session, version.id, collection.generation):
                await documents.advance(session, version, expected=VersionState.EMBEDDED, state=VersionState.PARSED)
                return
            rows = await content.chunks(session, version, collection.generation)
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


def _refuse_empty(document: Document) -> None:
    if document.text_coverage > 0:
        return
    scanned = sum(page.has_image for page in document.pages)
    what = f"all {len(document.pages)} pages are pictures without text" if scanned else "there is no text in the file"
    hint = next((text for text in document.warnings if text.startswith("Text recognition")), "")
    raise EmptyDocument(f"nothing to index: {what}", hint=hint or ("" if scanned else NO_TEXT))


def _coverage_warning(pages: tuple[Page, ...]) -> list[str]:
    empty = [page.number for page in pages if not page.has_text]
    if not empty:
        return []
    shown = ", ".join(str(number) for number in empty[:10]) + (", …" if len(empty) > 10 else "")
    scans = sum(page.has_image for page in pages if not page.has_text)
    kind = "scanned pictures" if scans == len(empty) else "empty or scanned" if scans else "empty"
    return [f"{len(empty)} of {len(pages)} pages have no text ({kind}): {shown}. They cannot be found or cited."]
