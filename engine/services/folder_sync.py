"""Keeping a collection in step with a folder: only what changed is read again; what is gone goes only when somebody says so."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.ingestion_models import Source
from engine.database.models import DocumentRow, Version
from engine.errors import AccessDenied, EngineError, InputError
from engine.ingestion_views import FileReceipt, SyncReport
from engine.services.accounts import require_role
from engine.services.library import Library, clean_file_name
from engine.types import Principal, Right, Role
from engine.views import UploadVerdict

PART_BYTES = 1 << 20
SETTLED_SECONDS = 2.0  # a file that changed since may still be being written


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    location: str
    size_bytes: int
    modified_ns: int


class FolderSync:
    """Folders of this machine, for its command line only: who can name a path here could read any file of the server."""

    def __init__(self, *, database: Database, library: Library, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._library = library
        self._clock = clock

    async def sync(
        self,
        principal: Principal,
        collection_id: str,
        folder: Path,
        *,
        delete: bool = False,
        note: Callable[[str], None] = lambda _: None,
    ) -> SyncReport:
        """Take in what is new or changed below `folder`, and with `delete` remove what is gone from it; else it is only named.

        A file is read only when its size or time differ from the last time. A document that was deleted by hand stays deleted
        until its file changes. `note(name)` before each file that is read. Raises InputError (a folder that is not there, or is
        empty although documents came from it), NotFound, AccessDenied.
        """
        require_role(principal, Role.ADMIN)
        if principal.session_id or principal.scopes is not None:
            raise AccessDenied("folders of the server are read from its own command line only", hint="Upload the files.")
        root = str(folder.resolve())
        files = await asyncio.to_thread(lambda: {one.location: one for one in _walk(folder)})
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.WRITE)
            known = {row.location: row for row in await _sources(session, collection_id, root)}
        if known and not files:
            raise InputError(
                f"{folder} is empty, although {len(known)} documents came from it",
                hint="Nothing was changed. If its files are really gone, delete the documents; else mount the folder again.",
            )
        receipts, unchanged, waiting = await self._taken(principal, collection_id, root, files, known, note)
        gone = await self._gone(principal, collection_id, root, set(files), delete=delete)
        report = SyncReport(
            receipts=tuple(receipts), unchanged=unchanged, waiting=tuple(waiting), gone=tuple(gone), deleted=delete
        )
        if report.changed:
            await self._told(principal, collection_id, report)
        return report

    async def _taken(
        self,
        principal: Principal,
        collection_id: str,
        root: str,
        files: dict[str, _File],
        known: dict[str, Source],
        note: Callable[[str], None],
    ) -> tuple[list[FileReceipt], int, list[str]]:
        """Upload what changed; return receipts, how many files did not change, and which are still being written."""
        receipts: list[FileReceipt] = []
        waiting: list[str] = []
        unchanged = 0
        for file in files.values():
            before = known.get(file.location)
            if before and (before.size_bytes, before.modified_ns) == (file.size_bytes, file.modified_ns):
                unchanged += 1
            elif self._clock().timestamp() - file.modified_ns / 1e9 < SETTLED_SECONDS:
                waiting.append(file.location)
            else:
                note(file.location)
                receipt = await self._one(principal, collection_id, root, file, before)
                unchanged += receipt is None
                receipts += [receipt] if receipt else []
        return receipts, unchanged, waiting

    async def _one(
        self, principal: Principal, collection_id: str, root: str, file: _File, before: Source | None
    ) -> FileReceipt | None:
        """Take one file in; None when only its time changed. One that is refused is told, and tried again at the next sync."""
        try:
            sha256 = await asyncio.to_thread(_sha256, file.path)
            if before and before.sha256 == sha256:
                await self._remember(collection_id, root, file, sha256, before.document_id)
                return None
            info, verdict = await self._library.upload(
                principal, collection_id, clean_file_name(file.location), file.path, password=None
            )
            await self._remember(collection_id, root, file, sha256, await self._ours(collection_id, root, info.id, verdict))
        except EngineError as error:
            return FileReceipt(name=file.location, problem=str(error), hint=error.hint)
        except OSError as error:
            return FileReceipt(
                name=file.location, problem=f"the file cannot be read: {error.strerror}", hint="See its permissions."
            )
        return FileReceipt(name=file.location, document_id=info.id, verdict=verdict)

    async def _ours(self, collection_id: str, root: str, document_id: str, verdict: UploadVerdict) -> str:
        """Return the document if it came from this folder; "" for one that somebody uploaded, which is not ours to delete."""
        if verdict is not UploadVerdict.DUPLICATE:
            return document_id
        async with self._database.read() as session:
            ours = {row.document_id for row in await _sources(session, collection_id, root)}
        return document_id if document_id in ours else ""

    async def _remember(self, collection_id: str, root: str, file: _File, sha256: str, document_id: str) -> None:
        async with self._database.write() as session:
            there = (Source.collection_id == collection_id) & (Source.root == root) & (Source.location == file.location)
            row = await session.scalar(select(Source).where(there))
            if row is None:
                row = Source(collection_id=collection_id, root=root, location=file.location, document_id=document_id)
                session.add(row)
            row.document_id, row.sha256, row.size_bytes = document_id, sha256, file.size_bytes
            row.modified_ns, row.seen_at = file.modified_ns, self._clock()
            newest = (Version.document_id == document_id) & (Version.sha256 == sha256)
            await session.execute(update(Version).where(newest).values(source=f"{root}/{file.location}"[:500]))

    async def _gone(
        self, principal: Principal, collection_id: str, root: str, there: set[str], *, delete: bool
    ) -> list[FileReceipt]:
        """Return, and with `delete` remove, the documents whose file is gone. A file that only moved keeps its document."""
        async with self._database.read() as session:
            rows = list(await _sources(session, collection_id, root))
            alive = set(
                await session.scalars(
                    select(DocumentRow.id).where(DocumentRow.collection_id == collection_id, DocumentRow.deleted_at.is_(None))
                )
            )
        kept = {row.document_id for row in rows if row.location in there}
        gone: list[FileReceipt] = []
        for row in rows:
            if row.location in there:
                continue
            receipt = FileReceipt(name=row.location, document_id=row.document_id)
            if row.document_id in alive - kept:
                if delete:
                    try:
                        await self._library.delete(principal, row.document_id)
                    except EngineError as error:  # a legal hold, for instance: the document and its source stay
                        gone.append(FileReceipt(name=row.location, problem=str(error), hint=error.hint))
                        continue
                gone.append(receipt)
                if not delete:
                    continue
            async with self._database.write() as session:
                if (mine := await session.get(Source, row.id)) is not None:
                    await session.delete(mine)
        return gone

    async def _told(self, principal: Principal, collection_id: str, report: SyncReport) -> None:
        refused = sum(not one.document_id for one in report.receipts)
        new = sum(one.verdict is UploadVerdict.ACCEPTED for one in report.receipts)
        async with self._database.write() as session:
            await record(
                session,
                principal,
                "folder.sync",
                collection_id,
                new=new,
                changed=len(report.receipts) - refused - new,
                refused=refused,
                removed=len(report.gone) if report.deleted else 0,
            )


async def _sources(session: AsyncSession, collection_id: str, root: str) -> list[Source]:
    query = select(Source).where(Source.collection_id == collection_id, Source.root == root).order_by(Source.id)
    return list(await session.scalars(query))


def _walk(folder: Path) -> Iterator[_File]:
    """Yield the files below a folder, without hidden ones and without links, which may lead anywhere. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder that is there", hint="Nothing was changed. Mount it, or name another.")
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or path.is_symlink() or not path.is_file():
            continue
        told = path.stat()
        yield _File(path, inside.as_posix(), told.st_size, told.st_mtime_ns)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            digest.update(part)
    return digest.hexdigest()
