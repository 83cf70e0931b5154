"""Documents as people handle them; every call checks what the principal may do, in SQL."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from engine import faults
from engine.database import collections, content, document_list, documents, holds
from engine.database.audit import record
from engine.database.blobs import Blob, Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.database.receiving import receive
from engine.documents import Chunk, Page, PageImage
from engine.errors import AccessDenied, EngineError, InputError, NotFound, QuotaExceeded
from engine.ingestion_views import OnDuplicate
from engine.loading.zips import refuse_archive
from engine.security.sealing import Sealer
from engine.services.quotas import Quotas
from engine.services.visible import visible
from engine.settings import Settings
from engine.types import Principal, Right
from engine.views import DocumentInfo, UploadVerdict

FILE_NAME_CHARS = 400
ADDED = (UploadVerdict.ACCEPTED, UploadVerdict.NEW_VERSION)
RenderPage = Callable[..., PageImage | None]


class Library:
    """The documents of this installation."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        sealer: Sealer,
        render: RenderPage,
        settings: Settings,
        quotas: Quotas,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._sealer = sealer
        self._render = render
        self._settings = settings
        self._quotas = quotas
        self._wake = wake

    async def upload(
        self,
        principal: Principal,
        collection_id: str,
        name: str,
        data: bytes | Path,
        *,
        password: str | None,
        on_duplicate: OnDuplicate = OnDuplicate.ASK,
    ) -> tuple[DocumentInfo, UploadVerdict]:
        """Store a file and queue it. When this returns, the file survives a crash.

        Its SHA-256 is taken while it is stored, and what is there already is found before anything is read of it.
        Raises InputError (UnsupportedFile for an archive), QuotaExceeded, AccessDenied.
        """
        name = clean_file_name(name)
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.WRITE)
        await asyncio.to_thread(refuse_archive, data)
        limit = self._settings.limits.max_file_mb << 20
        blob = await asyncio.to_thread(self._blobs.put, data, max_bytes=limit)
        try:
            version, verdict = await self._receive(principal, collection_id, name, blob, password, on_duplicate)
            faults.point("original.stored")
        except (InputError, AccessDenied) as error:
            # Refused before anything was written. After an interruption the row may be there all the same, and an original
            # too many is better than a document without one.
            await asyncio.to_thread(self._blobs.delete, blob.key)
            await self._note_refusal(principal, collection_id, blob, error)
            raise
        if verdict not in ADDED and version.sha256 == blob.sha256:  # whose original may have been lost since
            await asyncio.to_thread(self._blobs.heal, version.blob, blob)
        elif verdict not in ADDED:
            await asyncio.to_thread(self._blobs.delete, blob.key)
        self._wake()
        return await self.document(principal, version.document_id), verdict

    async def _receive(
        self,
        principal: Principal,
        collection_id: str,
        name: str,
        blob: Blob,
        password: str | None,
        on_duplicate: OnDuplicate,
    ) -> tuple[Version, UploadVerdict]:
        async with self._database.write() as session:
            await collections.require(session, principal, collection_id, Right.WRITE)
            await self._quotas.take(session, principal, blob.size_bytes)
            version, verdict = await receive(
                session,
                collection_id=collection_id,
                name=name,
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                blob=blob.key,
                created_by=principal.user_id,
                on_duplicate=OnDuplicate(on_duplicate),
            )
            if password and verdict in (*ADDED, UploadVerdict.AGAIN):
                version.sealed_password = self._sealer.seal(password)
            await record(session, principal, "document.upload", version.document_id, sha256=blob.sha256, verdict=verdict.value)
        return version, verdict

    async def _note_refusal(self, principal: Principal, collection_id: str, blob: Blob, error: EngineError) -> None:
        if isinstance(error, QuotaExceeded):
            async with self._database.write() as session:
                size = blob.size_bytes
                await record(
                    session, principal, "upload.refused", collection_id, outcome="denied", size=size, reason=str(error)
                )

    async def documents(self, principal: Principal, collection_id: str | None) -> list[DocumentInfo]:
        """Return the documents of one collection, or of all readable ones, newest change first."""
        async with self._database.read() as session:
            readable = list(await collections.rights(session, principal))
            if collection_id is not None:
                readable = [(await collections.require(session, principal, collection_id, Right.READ)).id]
            return await document_list.infos(session, readable)

    async def document(self, principal: Principal, document_id: str) -> DocumentInfo:
        """Return one document. Raises NotFound."""
        async with self._database.read() as session:
            row = await visible(session, principal, document_id)
            return (await document_list.infos(session, [row.collection_id], document_id=document_id))[0]

    async def page(self, principal: Principal, document_id: str, number: int, version: int | None) -> Page:
        """Return one page as parsed. Raises NotFound."""
        async with self._database.read() as session:
            await visible(session, principal, document_id)
            row = _kept(await documents.version_of(session, document_id, version))
            return await content.page(session, row.id, number)

    async def chunks(self, principal: Principal, document_id: str) -> list[Chunk]:
        """Return the chunks of the version that answers questions, in reading order. Raises NotFound."""
        async with self._database.read() as session:
            await visible(session, principal, document_id)
            row = await documents.version_of(session, document_id)
            collection = await session.get_one(Collection, row.collection_id)
            return [chunk for chunk, _ in await content.chunks(session, row, collection.generation)]

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
            await visible(session, principal, document_id)
            row = _kept(await documents.version_of(session, document_id, version))
            lines = (await content.page(session, row.id, number)).lines if highlight else ()
        password = self._sealer.open(row.sealed_password) if row.sealed_password else None
        return await asyncio.to_thread(
            self._render,
            self._blobs.path(row.blob),
            media_type=row.media_type,
            page=number,
            highlight=list(highlight),
            lines=lines,
            width=width,
            password=password,
        )

    async def original(self, principal: Principal, document_id: str, version: int | None = None) -> bytes:
        """Return the file as it was uploaded: that version, or else the present one. Raises NotFound."""
        async with self._database.write() as session:
            await visible(session, principal, document_id)
            if version is None:
                row = await documents.present_version(session, document_id)
            else:
                row = _kept(await documents.version_of(session, document_id, version))
            await record(session, principal, "document.download", document_id, version=row.number)
        return await asyncio.to_thread(self._blobs.read, row.blob)

    async def delete(self, principal: Principal, document_id: str) -> None:
        """Take a document out of every answer at once; `restore` undoes it. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            await holds.refuse_document(session, row)
            await documents.delete(session, row)
            await record(session, principal, "document.delete", document_id, name=row.name)

    async def restore(self, principal: Principal, document_id: str) -> None:
        """Undo a deletion that was not purged yet. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await documents.get(session, document_id, deleted=True)
            await collections.require(session, principal, row.collection_id, Right.WRITE)
            await collections.lock(session, row.collection_id)
            await documents.get(session, document_id, deleted=True, lock=True)  # it may have been purged a moment ago
            if (await documents.newest_version(session, document_id)).state == VersionState.DELETED:
                raise NotFound(f"{row.name!r} was deleted for good", hint="Upload the file again.")
            if row.deleted_at is not None:
                await documents.restore(session, row)
                await record(session, principal, "document.restore", document_id, name=row.name)
        self._wake()  # its processing goes on where the deletion stopped it

    async def reprocess(self, principal: Principal, document_id: str, *, password: str | None) -> DocumentInfo:
        """Process the present version again, beside what is live. Raises NotFound, AccessDenied, InputError."""
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            version = await documents.present_version(session, document_id)
            if version.state in collections.WORKING:
                raise InputError("this document is being processed already", hint="Wait until it is done.")
            if version.state == VersionState.FAILED:
                await documents.retry(session, version)
            else:
                version = await next_version(session, row, version)
            if password:
                version.sealed_password = self._sealer.seal(password)
            await record(session, principal, "document.reprocess", document_id, version=version.number)
        self._wake()
        return await self.document(principal, document_id)

    async def purge(self, *, older_than: timedelta) -> int:
        """Remove for good what was deleted longer ago than that, and return how many documents. For the engine itself."""
        async with self._database.write() as session:
            rows = await documents.purgeable(session, before=now() - older_than)
            keys = [key for row in rows for key in await documents.purge(session, row)]
            for row in rows:
                await record(session, None, "document.purge", row.id)
        for key in keys:
            await asyncio.to_thread(self._blobs.delete, key)
        return len(rows)


async def next_version(session: AsyncSession, row: DocumentRow, old: Version) -> Version:
    """Queue the file of a version as the next version of its document."""
    new = await documents.add_version(session, row, sha256=old.sha256, size_bytes=old.size_bytes, blob=old.blob)
    new.sealed_password = old.sealed_password
    return new


def _kept(version: Version) -> Version:
    if version.state == VersionState.DELETED:
        raise NotFound(
            f"the content of version {version.number} was removed", hint="What an answer quoted of it is kept with the answer."
        )
    return version


def clean_file_name(name: str) -> str:
    """Return a client's file name, folders kept, printable and short enough. It is only ever shown, never opened."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    path = "/".join(part.strip() for part in parts if part.strip() not in {"", ".", ".."})
    shown = "".join(character if character.isprintable() else "\ufffd" for character in path)
    if len(shown) > FILE_NAME_CHARS:
        stem, dot, suffix = shown.rpartition(".")
        short = f"{dot}{suffix}" if dot and len(suffix) < 20 else ""
        shown = f"{stem[: FILE_NAME_CHARS - len(short) - 1]}…{short}"
    return shown or "unnamed"
