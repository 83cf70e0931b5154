"""A collection as a file: originals, pages, passages, vectors and what they are; and back, in another workbench."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

import engine
from engine.database import collections, content
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import IN_INDEXES, Collection, DocumentRow, Version
from engine.errors import StoreError
from engine.keeping_views import BackupReport
from engine.services.backup_archive import ArchiveWriter
from engine.services.backup_reading import working_folder
from engine.services.portable_filling import Filling
from engine.services.portable_reading import CHUNKS, DOCUMENTS, FORMAT, FORMAT_VERSION, PAGES, VECTORS
from engine.services.room import Room
from engine.settings import Settings
from engine.types import Principal, Right
from engine.views import CollectionInfo

TOKEN_BYTES = 16  # of the text of passages and pages together, as JSON


class Portable:
    """Takes collections out and in."""

    def __init__(self, *, database: Database, blobs: Blobs, settings: Settings, room: Room, filling: Filling) -> None:
        self._database = database
        self._blobs = blobs
        self._settings = settings
        self._room = room
        self._filling = filling

    async def export_collection(self, principal: Principal, collection_id: str, target: Path) -> BackupReport:
        """Write what answers questions now to the new file `target`; see docs/export.md for its layout.

        Raises NotFound, AccessDenied unless the principal owns the collection, InputError when the file is there already,
        StoreError when the disk has no room for it.
        """
        started = time.perf_counter()
        async with self._database.read() as session:  # before anything is written
            await collections.require(session, principal, collection_id, Right.OWNER)
            needed = await _needed(session, collection_id)
        async with self._room.promised(needed, "this export"), working_folder(self._settings.data_dir) as folder:
            as_of = now()
            async with self._database.read() as session:
                if not self._database.is_sqlite:
                    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                row = await collections.require(session, principal, collection_id, Right.OWNER)
                with _Files(folder) as files:
                    for version, document in await _live(session, collection_id):
                        await files.add(session, row, version, document)
            manifest = _manifest(row, files, as_of)
            size = await asyncio.to_thread(self._put_together, folder, target, files, manifest)
        async with self._database.write() as session:
            counts: dict[str, Any] = {"documents": files.documents, "chunks": files.chunks}
            await record(session, principal, "collection.export", collection_id, size=size, **counts)
        return BackupReport(
            name=target.name,
            as_of=as_of,
            encrypted=False,
            rows=files.documents + files.pages + files.chunks,
            files=files.documents,
            size_bytes=size,
            seconds=time.perf_counter() - started,
        )

    async def import_collection(self, principal: Principal, source: Path, *, name: str = "") -> CollectionInfo:
        """Make a collection of an exported file, under its own or another name, and return it.

        Where the embedder in force makes the same space, vectors are taken as they are; else the documents wait to be cut and
        embedded. Nothing is left when anything is wrong. Raises InputError, BrokenFile, QuotaExceeded, FileTooLarge,
        AccessDenied, StoreError (no room).
        """
        return await self._filling.take(principal, source, name=name)

    def _put_together(self, folder: Path, target: Path, files: _Files, manifest: dict[str, Any]) -> int:
        with ArchiveWriter(target, at=datetime.fromisoformat(manifest["as_of"])) as archive:
            for name in (DOCUMENTS, PAGES, CHUNKS, VECTORS):
                with (folder / name).open("rb") as file:
                    archive.add(name, file)
            for place, key in files.originals:
                try:
                    original = self._blobs.path(key).open("rb")
                except FileNotFoundError as error:
                    raise StoreError("an original is gone from the data folder", hint="Restore it from a backup.") from error
                with original:
                    archive.add(place, original)
            return archive.finish(manifest)


class _Files:
    """The parts of an export while they are written."""

    def __init__(self, folder: Path) -> None:
        self._out = {name: (folder / name).open("wb") for name in (DOCUMENTS, PAGES, CHUNKS, VECTORS)}
        self.documents = self.pages = self.chunks = 0
        self.originals: list[tuple[str, str]] = []

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._out.values():
            file.close()

    async def add(self, session: AsyncSession, collection: Collection, version: Version, document: DocumentRow) -> None:
        """Write one document."""
        pages = await content.pages(session, version.id)
        chunks = await content.chunks(session, version, collection.generation)
        keys = [key for _, key in chunks]
        vectors = await content.vectors(session, collection.model_id, keys, dimension=collection.dimension)
        n = self.documents + 1
        place = f"originals/{n:06d}"
        about = {
            "n": n,
            "name": document.name,
            "title": version.title,
            "media_type": version.media_type,
            "sha256": version.sha256,
            "size_bytes": version.size_bytes,
            "original": place,
            "pages": len(pages),
            "chunks": len(chunks),
            "warnings": version.warnings,
        }
        self._line(DOCUMENTS, about)
        for page in pages:
            self._line(PAGES, {"document": n, **asdict(page)})
        for chunk, _ in chunks:
            known = asdict(chunk)
            taken = ("ordinal", "page", "start", "end", "text", "section", "context", "recognised")
            self._line(CHUNKS, {"document": n, **{name: known[name] for name in taken}})
        self._out[VECTORS].write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self.originals.append((place, version.blob))
        self.documents, self.pages, self.chunks = n, self.pages + len(pages), self.chunks + len(chunks)

    def _line(self, name: str, value: dict[str, Any]) -> None:
        self._out[name].write(json.dumps(value, ensure_ascii=False).encode() + b"\n")


async def _needed(session: AsyncSession, collection_id: str) -> int:
    """Return about how many bytes an export writes: its parts, and the file that is put together of them and the originals."""
    row = await session.get_one(Collection, collection_id)
    totals = select(func.coalesce(func.sum(Version.size_bytes), 0), func.coalesce(func.sum(Version.chunks), 0))
    originals, chunks = (await session.execute(totals.where(Version.collection_id == collection_id, IN_INDEXES))).one()
    return int(originals) + 2 * int(chunks) * (4 * row.dimension + TOKEN_BYTES * row.chunk_tokens)


async def _live(session: AsyncSession, collection_id: str) -> list[tuple[Version, DocumentRow]]:
    query = (
        select(Version, DocumentRow)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(Version.collection_id == collection_id, IN_INDEXES, DocumentRow.deleted_at.is_(None))
        .order_by(DocumentRow.name, DocumentRow.id)
    )
    return [(version, document) for version, document in await session.execute(query)]


def _manifest(row: Collection, files: _Files, as_of: datetime) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "product_version": engine.__version__,
        "as_of": as_of.isoformat(),
        "name": row.name,
        "description": row.description,
        "chunker": row.chunker,
        "chunk_tokens": row.chunk_tokens,
        "overlap_tokens": row.overlap_tokens,
        "space": {
            "model_id": row.model_id,
            "dimension": row.dimension,
            "normalised": row.normalised,
            "max_tokens": row.max_tokens,
            "probe": base64.b64encode(row.probe or b"").decode(),
        },
        "documents": files.documents,
        "pages": files.pages,
        "chunks": files.chunks,
    }
