"""Collections and documents as people handle them; every call checks what the principal may do, in SQL."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from engine import registry
from engine.database import collections, content, documents, jobs
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection, DocumentRow, Grant, Version, VersionState
from engine.errors import InputError, NotFound
from engine.protocols import Embedder
from engine.security.sealing import Sealer
from engine.services.indexes import Indexes
from engine.settings import Settings
from engine.types import (
    Chunk,
    CollectionInfo,
    DocumentInfo,
    Page,
    PageImage,
    Principal,
    Right,
    Role,
    UploadVerdict,
)

NAME_CHARS = 200
FILE_NAME_CHARS = 400
RenderPage = Callable[..., PageImage | None]


class Library:
    """The documents of this installation."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        sealer: Sealer,
        indexes: Indexes,
        embedders: Callable[[str], Embedder],
        render: RenderPage,
        settings: Settings,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._sealer = sealer
        self._indexes = indexes
        self._embedders = embedders
        self._render = render
        self._settings = settings
        self._wake = wake

    # --- collections -------------------------------------------------------------------------------------------------

    async def collections(self, principal: Principal) -> list[CollectionInfo]:
        """Return the collections that the principal may read, by name."""
        async with self._database.read() as session:
            return await collections.infos(session, principal)

    async def create_collection(self, principal: Principal, name: str, *, description: str, chunker: str) -> CollectionInfo:
        """Make a collection that the principal owns. Raises InputError, UnknownComponent."""
        name = _clean_name(name)
        chunker = chunker or self._settings.chunker
        registry.find(registry.CHUNKERS, "chunker", chunker)
        embedder = self._embedders(self._settings.embedder)
        async with self._database.write() as session:
            if await collections.name_taken(session, name):
                raise InputError(f"there is already a collection {name!r}", hint="Choose another name.")
            row = Collection(
                name=name,
                description=description.strip()[:2000],
                chunker=chunker,
                chunk_tokens=self._settings.chunk_tokens,
                overlap_tokens=self._settings.overlap_tokens,
                embedder=self._settings.embedder,
                model_id=embedder.model_id,
                dimension=embedder.dimension,
                created_by=principal.user_id,
            )
            session.add(row)
            await session.flush()
            if principal.role is not Role.ADMIN:  # admins hold every right already, and the command line is no user
                session.add(Grant(collection_id=row.id, user_id=principal.user_id, right=Right.OWNER))
            await record(session, principal, "collection.create", row.id, name=name, chunker=chunker)
        return next(one for one in await self.collections(principal) if one.id == row.id)

    async def collection_id(self, principal: Principal, name: str, *, create: bool) -> str:
        """Return the id of the collection with this name, made if asked. Raises NotFound, InputError."""
        name = _clean_name(name)
        async with self._database.read() as session:
            row = await collections.by_name(session, principal, name)
            known = [one.name for one in await collections.infos(session, principal)] if row is None else []
        if row is not None:
            return row.id
        if create:
            return (await self.create_collection(principal, name, description="", chunker="")).id
        raise NotFound(
            f"there is no collection {name!r}",
            hint=f"known: {', '.join(known)}" if known else "make one by ingesting documents into it",
        )

    async def require(self, principal: Principal, collection_id: str, right: Right) -> None:
        """Raise NotFound or AccessDenied unless the principal has this right."""
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, right)

    async def waiting(self, collection_id: str) -> list[str]:
        """Return the ids of the versions of a collection whose processing is not finished. For the worker."""
        async with self._database.read() as session:
            return await documents.waiting(session, collection_id)

    async def delete_collection(self, principal: Principal, collection_id: str) -> None:
        """Remove a collection with all of its documents, for good. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await collections.require(session, principal, collection_id, Right.OWNER)
            blobs = await documents.blobs_of(session, collection_id)
            await record(session, principal, "collection.delete", row.id, name=row.name, files=len(blobs))
            await session.delete(row)
            await session.flush()
            await content.sweep_vectors(session)
        await self._indexes.drop(collection_id)
        for key in blobs:
            await asyncio.to_thread(self._blobs.delete, key)

    # --- documents ---------------------------------------------------------------------------------------------------

    async def upload(
        self, principal: Principal, collection_id: str, name: str, data: bytes | Path, *, password: str | None
    ) -> tuple[DocumentInfo, UploadVerdict]:
        """Store a file and queue it. When this returns, the file survives a crash. Raises InputError, AccessDenied."""
        name = clean_file_name(name)
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.WRITE)
        limit = self._settings.limits.max_file_mb << 20
        blob = await asyncio.to_thread(self._blobs.put, data, max_bytes=limit)
        async with self._database.write() as session:
            version, verdict = await documents.receive(
                session,
                collection_id=collection_id,
                name=name,
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                blob=blob.key,
                created_by=principal.user_id,
            )
            if password and verdict is not UploadVerdict.DUPLICATE:
                version.sealed_password = self._sealer.seal(password)
            await record(session, principal, "document.upload", version.document_id, sha256=blob.sha256, verdict=verdict.value)
        if verdict is UploadVerdict.DUPLICATE:
            await asyncio.to_thread(self._blobs.delete, blob.key)
        self._wake()
        return await self.document(principal, version.document_id), verdict

    async def documents(self, principal: Principal, collection_id: str | None) -> list[DocumentInfo]:
        """Return the documents of one collection, or of all readable ones, newest change first."""
        async with self._database.read() as session:
            readable = list(await collections.rights(session, principal))
            if collection_id is not None:
                readable = [(await collections.require(session, principal, collection_id, Right.READ)).id]
            return await documents.infos(session, readable)

    async def document(self, principal: Principal, document_id: str) -> DocumentInfo:
        """Return one document. Raises NotFound."""
        async with self._database.read() as session:
            row = await self._visible(session, principal, document_id)
            return (await documents.infos(session, [row.collection_id], document_id=document_id))[0]

    async def page(self, principal: Principal, document_id: str, number: int, version: int | None) -> Page:
        """Return one page as parsed. Raises NotFound."""
        async with self._database.read() as session:
            await self._visible(session, principal, document_id)
            row = await documents.version_of(session, document_id, version)
            return await content.page(session, row.id, number)

    async def chunks(self, principal: Principal, document_id: str) -> list[Chunk]:
        """Return the chunks of the version that answers questions, in reading order. Raises NotFound."""
        async with self._database.read() as session:
            await self._visible(session, principal, document_id)
            row = await documents.version_of(session, document_id)
            return [chunk for chunk, _ in await content.chunks(session, row)]

    async def page_image(
        self,
        principal: Principal,
        document_id: str,
        number: int,
        *,
        version: int | None,
        highlight: Sequence[tuple[int, int]],
        width: int,
    ) -> PageImage | None:
        """Return the picture of a page with the passages marked, or None for a type without pictures. Raises NotFound."""
        async with self._database.read() as session:
            await self._visible(session, principal, document_id)
            row = await documents.version_of(session, document_id, version)
        password = self._sealer.open(row.sealed_password) if row.sealed_password else None
        return await asyncio.to_thread(
            self._render,
            self._blobs.path(row.blob),
            media_type=row.media_type,
            page=number,
            highlight=list(highlight),
            width=width,
            password=password,
        )

    async def original(self, principal: Principal, document_id: str) -> bytes:
        """Return the file as it was uploaded (the newest version). Raises NotFound."""
        async with self._database.write() as session:
            await self._visible(session, principal, document_id)
            info_row = await documents.newest_version(session, document_id)
            await record(session, principal, "document.download", document_id, version=info_row.number)
        return await asyncio.to_thread(self._blobs.read, info_row.blob)

    async def delete(self, principal: Principal, document_id: str) -> None:
        """Take a document out of every answer at once; `restore` undoes it. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await self._visible(session, principal, document_id, Right.WRITE)
            await documents.delete(session, row)
            await record(session, principal, "document.delete", document_id, name=row.name)

    async def restore(self, principal: Principal, document_id: str) -> None:
        """Undo a deletion that was not purged yet. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await documents.get(session, document_id, deleted=True)
            await collections.require(session, principal, row.collection_id, Right.WRITE)
            if (await documents.newest_version(session, document_id)).state == VersionState.DELETED:
                raise NotFound(f"{row.name!r} was deleted for good", hint="Upload the file again.")
            if row.deleted_at is not None:
                await documents.restore(session, row)
                await record(session, principal, "document.restore", document_id, name=row.name)

    async def reprocess(self, principal: Principal, document_id: str, *, password: str | None) -> DocumentInfo:
        """Process the newest upload again, beside what is live. Raises NotFound, AccessDenied, InputError."""
        async with self._database.write() as session:
            row = await self._visible(session, principal, document_id, Right.WRITE)
            version = await documents.newest_version(session, document_id)
            if version.state in collections.WORKING:
                raise InputError("this document is being processed already", hint="Wait until it is done.")
            if version.state == VersionState.FAILED:
                await documents.advance(session, version, state=VersionState.STORED, reason="", hint="")
                await jobs.queue_again(session, version)
            else:
                version = await self._next_version(session, row, version)
            if password:
                version.sealed_password = self._sealer.seal(password)
            await record(session, principal, "document.reprocess", document_id, version=version.number)
        self._wake()
        return await self.document(principal, document_id)

    async def _next_version(self, session: AsyncSession, row: DocumentRow, old: Version) -> Version:
        new = await documents.add_version(session, row, sha256=old.sha256, size_bytes=old.size_bytes, blob=old.blob)
        new.sealed_password = old.sealed_password
        return new

    async def purge(self, *, older_than: timedelta) -> int:
        """Remove for good what was deleted longer ago than that, and return how many documents. For the engine itself."""
        async with self._database.write() as session:
            rows = await documents.purgeable(session, before=now() - older_than)
            keys = [key for row in rows for key in await documents.purge(session, row)]
            for row in rows:
                await record(session, None, "document.purge", row.id)
            await content.sweep_vectors(session)
        for key in keys:
            await asyncio.to_thread(self._blobs.delete, key)
        return len(rows)

    async def _visible(
        self, session: AsyncSession, principal: Principal, document_id: str, right: Right = Right.READ
    ) -> DocumentRow:
        row = await documents.get(session, document_id)
        try:
            await collections.require(session, principal, row.collection_id, right)
        except NotFound as error:
            raise NotFound("there is no such document, or it is not yours to see") from error
        return row


def _clean_name(name: str) -> str:
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not 1 <= len(name) <= NAME_CHARS or not name.isprintable():
        raise InputError(f"a collection's name has 1 to {NAME_CHARS} printable characters", hint="Choose another name.")
    return name


def clean_file_name(name: str) -> str:
    """Return the last part of a client's file name, printable and short enough; it is only ever shown, never opened."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = "".join(character if character.isprintable() else "\ufffd" for character in last).strip()
    if len(shown) > FILE_NAME_CHARS:
        stem, dot, suffix = shown.rpartition(".")
        keep = FILE_NAME_CHARS - len(suffix) - 2
        shown = f"{stem[:keep]}…{dot}{suffix}" if dot and len(suffix) < 20 else shown[:FILE_NAME_CHARS]
    return shown or "unnamed"
