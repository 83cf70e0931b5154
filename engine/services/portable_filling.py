"""An exported file becomes a collection. Nothing in it is believed: see `engine.services.portable_reading`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import update

from engine import registry
from engine.database import collections as rows
from engine.database import content, cuts, documents
from engine.database.audit import record
from engine.database.blobs import Blob, Blobs
from engine.database.columns import new_id
from engine.database.database import Database
from engine.database.models import Collection, DocumentRow, Job, Version, VersionState
from engine.errors import BrokenFile, FileTooLarge, InputError, QuotaExceeded
from engine.protocols import Embedder
from engine.services.backup_reading import working_folder
from engine.services.collections import NAME_CHARS, Collections
from engine.services.foreign_vectors import foreign_name
from engine.services.library import clean_file_name
from engine.services.naming import clean_name
from engine.services.parts import Parts, same_space
from engine.services.passage_rows import commands, passage_rows, tamed
from engine.services.portable_reading import CollectionRecord, Parcel, parcels, unpack
from engine.services.quotas import Quotas
from engine.services.room import Room
from engine.settings import Settings
from engine.types import Principal
from engine.views import CollectionInfo


class Filling:
    """Takes files in; `wake` tells the worker of what waits."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        collections: Collections,
        parts: Parts,
        quotas: Quotas,
        room: Room,
        settings: Settings,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._collections = collections
        self._parts = parts
        self._quotas = quotas
        self._room = room
        self._settings = settings
        self._wake = wake

    async def take(self, principal: Principal, source: Path, *, name: str) -> CollectionInfo:
        """As `engine.services.portable.Portable.import_collection`."""
        rows.refuse_change(principal)
        size = await asyncio.to_thread(_size, source)
        await self._require(principal, documents=1, size_bytes=size)
        stored = 2 * size  # unpacked, and then once more as originals and rows
        async with self._room.promised(stored, "this import"), working_folder(self._settings.data_dir) as folder:
            about = await asyncio.to_thread(unpack, source, folder, self._settings.limits)
            await self._require(principal, documents=about.documents, size_bytes=size)
            wanted = clean_name(name or about.name, "a collection", most=NAME_CHARS)
            async with self._database.read() as session:
                if await rows.name_taken(session, wanted):
                    raise InputError(f"there is already a collection {wanted!r}", hint="Give it another name.")
            await self._count(principal, folder, size)
            # Under another name until all is in: what an ended process leaves is seen for what it is, and can be deleted.
            temporary = f"{wanted[:150]} (import not finished, {new_id()[:8]})"
            chunker = about.chunker if about.chunker in registry.CHUNKERS else ""
            made = await self._collections.create(principal, temporary, description=about.description, chunker=chunker)
            try:
                same = await self._fill(principal, made.id, folder, about)
                await self._finish(principal, made.id, wanted, about, same=same)
            except BaseException:
                await asyncio.shield(self._collections.delete(principal, made.id))
                raise
        self._wake()
        return next(one for one in await self._collections.all(principal) if one.id == made.id)

    async def _require(self, principal: Principal, *, documents: int, size_bytes: int) -> None:
        """Look whether the upload quota bears the whole file, besides each original: pages and vectors need room, too."""
        try:
            async with self._database.read() as session:
                await self._quotas.require(session, principal, files=documents + 1, size_bytes=size_bytes)
        except (QuotaExceeded, FileTooLarge) as error:
            async with self._database.write() as session:
                refused: dict[str, Any] = {"size": size_bytes, "reason": str(error)}
                await record(session, principal, "upload.refused", "", outcome="denied", **refused)
            raise

    async def _count(self, principal: Principal, folder: Path, size_bytes: int) -> None:
        """Count what is not an original; each of those counts when it is stored."""
        originals = await asyncio.to_thread(lambda: sum(path.stat().st_size for path in folder.glob("originals/*")))
        async with self._database.write() as session:
            await self._quotas.take(session, principal, max(0, size_bytes - originals))

    async def _fill(self, principal: Principal, collection_id: str, folder: Path, about: CollectionRecord) -> bool:
        async with self._database.write() as session:
            collection = await session.get_one(Collection, collection_id)
            collection.chunk_tokens, collection.overlap_tokens = about.chunk_tokens, about.overlap_tokens
            same = same_space(about.space.vector(), collection.probe) and about.space.dimension == collection.dimension
            if same:
                collection.model_id = foreign_name(collection.model_id)
        self._parts.distrust()
        embedder = await self._parts.embedder_of(collection)
        parts = parcels(folder, about, self._settings.limits)
        while (parcel := await asyncio.to_thread(next, parts, None)) is not None:
            await self._add(principal, collection, parcel, embedder, same=same)
        return same

    async def _add(
        self, principal: Principal, collection: Collection, parcel: Parcel, embedder: Embedder, *, same: bool
    ) -> None:
        injection = self._settings.injection
        blob = await asyncio.to_thread(self._blobs.put, parcel.original, max_bytes=self._settings.limits.max_file_mb << 20)
        try:
            if blob.sha256 != parcel.record.sha256:
                raise BrokenFile(f"the original of document {parcel.record.n} was altered", hint="Export the collection again.")
            document, version = self._rows(principal, collection, parcel, blob)
            pieces = await asyncio.to_thread(lambda: [tamed(piece, injection) for piece in parcel.pieces])
            chunks = await asyncio.to_thread(passage_rows, collection, version, document, pieces, embedder, injection)
            async with self._database.write() as session:
                await self._quotas.take(session, principal, blob.size_bytes)
                session.add(document)
                await session.flush()
                session.add(version)
                await session.flush()
                await content.save_pages(session, version.id, parcel.pages)
                if same and chunks:
                    await content.save_chunks(session, version.id, collection.generation, chunks)
                    keys = [str(chunk["vector_sha256"]) for chunk in chunks]
                    await content.save_vectors(session, collection.model_id, keys, parcel.vectors)
                    version.state, version.chunks = VersionState.EMBEDDED.value, len(chunks)
                    await session.flush()
                    await cuts.embedded(session, [version.id], collection.generation)
                    await documents.go_live(session, version)
                else:  # cut and embedded here, as this embedder needs it
                    session.add(Job(version_id=version.id))
        except BaseException:
            await asyncio.to_thread(self._blobs.delete, blob.key)
            raise

    def _rows(self, principal: Principal, collection: Collection, parcel: Parcel, blob: Blob) -> tuple[DocumentRow, Version]:
        told = parcel.record
        document = DocumentRow(
            id=new_id(), collection_id=collection.id, name=clean_file_name(told.name), created_by=principal.user_id
        )
        version = Version(
            id=new_id(),
            document_id=document.id,
            collection_id=collection.id,
            number=1,
            sha256=blob.sha256,
            size_bytes=blob.size_bytes,
            blob=blob.key,
            media_type=told.media_type,
            title="" if commands(told.title, self._settings.injection) else told.title,
            state=VersionState.PARSED.value,
            warnings=list(told.warnings),
            pages=len(parcel.pages),
            pages_with_text=sum(page.has_text for page in parcel.pages),
        )
        return document, version

    async def _finish(
        self, principal: Principal, collection_id: str, name: str, about: CollectionRecord, *, same: bool
    ) -> None:
        async with self._database.write() as session:
            await session.execute(update(Collection).where(Collection.id == collection_id).values(name=name))
            details: dict[str, Any] = {
                "name": name,
                "documents": about.documents,
                "chunks": about.chunks,
                "vectors_taken": same,
            }
            await record(session, principal, "collection.import", collection_id, **details)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it says in words what is wrong
        return 0
