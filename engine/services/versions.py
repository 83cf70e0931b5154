"""Versions of documents, and documents that are kept but not asked; every call checks what the principal may do, in SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, document_list, documents, versions
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.database import Database
from engine.database.models import DocumentRow, Version, VersionState
from engine.errors import InputError
from engine.ingestion_views import VersionInfo
from engine.services.library import next_version
from engine.services.visible import visible
from engine.types import Principal, Right
from engine.views import DocumentInfo

_WHY_NOT = {
    VersionState.LIVE: ("version {} answers questions already", "Choose another one."),
    VersionState.FAILED: ("version {} could not be processed", "Process the document again, or upload the file again."),
    VersionState.DELETED: ("the content of version {} was removed, so it cannot answer any more", "Upload the file again."),
}


class Versions:
    """What people do with the versions of this installation's documents."""

    def __init__(self, *, database: Database, blobs: Blobs, wake: Callable[[], None]) -> None:
        self._database = database
        self._blobs = blobs
        self._wake = wake

    async def all(self, principal: Principal, document_id: str) -> list[VersionInfo]:
        """Return the versions of a document, newest first; `can_activate`: and the principal may. Raises NotFound."""
        async with self._database.read() as session:
            row = await visible(session, principal, document_id)
            writable = (await collections.rights(session, principal))[row.collection_id] is not Right.READ
            found = [versions.info(one) for one in await versions.all_versions(session, document_id)]
        return [replace(one, can_activate=one.can_activate and writable) for one in found]

    async def activate(self, principal: Principal, document_id: str, number: int) -> DocumentInfo:
        """Let a former version answer questions again, at once and without any embedding.

        Where its passages are not those of the collection's present generation (another chunker or embedder, or they were
        removed), its file is queued as the next version instead, beside the one that answers; `state` of what is returned
        tells. A newer version that is being processed meanwhile still goes live when it is done.
        Raises NotFound, AccessDenied, InputError.
        """
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE)
            # Locked: else another generation is put in force between the look at its passages and the commit.
            [collection] = await collections.lock(session, row.collection_id)
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            if row.collection_id != collection.id:
                raise InputError("somebody else moved the document meanwhile", hint="Load the page again.")
            version = await versions.numbered(session, document_id, number)
            _refuse(version)
            at_once = await versions.ready(session, collection, version)
            if at_once:
                await documents.activate(session, row, version)
            else:
                await self._again(session, row, version)
            await record(session, principal, "document.activate", document_id, version=number, queued=not at_once)
            info = (await document_list.infos(session, [row.collection_id], document_id=document_id))[0]
        self._wake()
        return info

    async def _again(self, session: AsyncSession, row: DocumentRow, version: Version) -> None:
        new = await next_version(session, row, version)
        new.reason = (
            f"version {version.number} was cut or embedded in a way that this collection no longer uses,"
            " so its file is processed again"
        )
        await session.flush()

    async def disable(self, principal: Principal, document_id: str) -> DocumentInfo:
        """Keep a document out of every answer from now on; it stays listed. Quiet when it is. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            if row.disabled_at is None:
                await documents.disable(session, row)
                await record(session, principal, "document.disable", document_id, name=row.name)
            return (await document_list.infos(session, [row.collection_id], document_id=document_id))[0]

    async def enable(self, principal: Principal, document_id: str) -> DocumentInfo:
        """Let a disabled document be in answers again. Quiet when it is. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await visible(session, principal, document_id, Right.WRITE, lock=True)
            if row.disabled_at is not None:
                await documents.enable(session, row)
                await record(session, principal, "document.enable", document_id, name=row.name)
            return (await document_list.infos(session, [row.collection_id], document_id=document_id))[0]

    async def purge(self) -> None:
        """Remove what an upload with "replace" wanted gone and could not have then. For the engine, now and then."""
        async with self._database.read() as session:
            waiting = await versions.unreplaced(session)
        for document_id in waiting:
            async with self._database.write() as session:
                await documents.get(session, document_id, deleted=True, lock=True)
                keys = await versions.remove_replaced(session, document_id)
            for key in keys:
                await asyncio.to_thread(self._blobs.delete, key)


def _refuse(version: Version) -> None:
    if version.state == VersionState.REPLACED:
        return
    working = ("version {} is being processed", "It answers questions as soon as it is done.")
    reason, hint = _WHY_NOT.get(VersionState(version.state), working)
    raise InputError(reason.format(version.number), hint=hint)
