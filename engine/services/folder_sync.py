"""Keeping a collection in step with a folder: only what changed is read again; what is gone goes only when somebody says so."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, documents
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.ingestion_models import Source
from engine.database.models import DocumentRow, Version
from engine.errors import AccessDenied, EngineError, InputError
from engine.ingestion_views import FileReceipt, OnDuplicate, SyncReport
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
        delete: bool | Collection[str] = False,
        note: Callable[[str], None] = lambda _: None,
    ) -> SyncReport:
        """Take in what is new or changed below `folder`; what is gone from it is told, and with `delete` removed.

        `delete` may name what was agreed on: nothing else is removed then.

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
            receipts=tuple(receipts), unchanged=unchanged, waiting=tuple(waiting), gone=tuple(gone), deleted=bool(delete)
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
        for file in await self._stranded(collection_id, root, files):
            note(file.location)
            unchanged -= file.location not in {one.name for one in receipts}
            receipt = await self._one(principal, collection_id, root, file, None)
            receipts = [one for one in receipts if one.name != file.location] + ([receipt] if receipt else [])
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
            name, mode = await self._whose(collection_id, root, file, before, sha256)
            info, verdict = await self._library.upload(
                principal, collection_id, name, file.path, password=None, on_duplicate=mode
            )
            await self._remember(collection_id, root, file, sha256, await self._ours(collection_id, root, info.id, verdict))
        except EngineError as error:
            return FileReceipt(name=file.location, problem=str(error), hint=error.hint)
        except OSError as error:
            return FileReceipt(
                name=file.location, problem=f"the file cannot be read: {error.strerror}", hint="See its permissions."
            )
        return FileReceipt(name=file.location, document_id=info.id, verdict=verdict)

    async def _whose(
        self, collection_id: str, root: str, file: _File, before: Source | None, sha256: str
    ) -> tuple[str, OnDuplicate]:
        """Return the name under which a file is received, and how: what it held before must not go on answering for it.

        It is the next version of its document, whatever that is called since the file moved and even where another one has
        the same bytes; unless other files stand for that document, too.
        """
        own = clean_file_name(file.location)
        if before is None:
            return own, OnDuplicate.ASK
        async with self._database.read() as session:
            row = await session.get(DocumentRow, before.document_id)
            if row is None or row.deleted_at is not None or row.collection_id != collection_id:
                return own, OnDuplicate.ASK
            others = {one.location for one in await _sources(session, collection_id, root) if one.document_id == row.id}
            present = await documents.present_version(session, row.id)
        if row.name != own and others != {file.location}:
            return own, OnDuplicate.ASK
        return row.name, OnDuplicate.ASK if present.sha256 == sha256 else OnDuplicate.VERSION

    async def _stranded(self, collection_id: str, root: str, files: dict[str, _File]) -> list[_File]:
        """Return the files that had the bytes of another one's document until that got new ones: nothing answers for them."""
        async with self._database.read() as session:
            rows = [row for row in await _sources(session, collection_id, root) if row.document_id and row.location in files]
            count = Counter(row.document_id for row in rows)
            shared = [document_id for document_id, number in count.items() if number > 1]
            present = {one: (await documents.present_version(session, one)).sha256 for one in shared}
        followed = {row.document_id for row in rows if row.sha256 == present.get(row.document_id)}
        return [files[row.location] for row in rows if row.document_id in followed and row.sha256 != present[row.document_id]]

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
        self, principal: Principal, collection_id: str, root: str, there: set[str], *, delete: bool | Collection[str]
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
                agreed = delete if isinstance(delete, bool) else row.location in delete
                if agreed:
                    try:
                        await self._library.delete(principal, row.document_id)
                    except EngineError as error:  # a legal hold, for instance: the document and its source stay
                        gone.append(FileReceipt(name=row.location, problem=str(error), hint=error.hint))
                        continue
                gone.append(receipt)
                if not agreed:
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
    """Yield the files below a folder, without hidden ones and without links, which may lead anywhere.

    Raises InputError where a folder is not there or cannot be read: its files are not gone.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder that is there", hint="Nothing was changed. Mount it, or name another.")
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            with contextlib.suppress(FileNotFoundError):  # it went a moment ago
                told = path.stat()
                yield _File(path, path.relative_to(folder).as_posix(), told.st_size, told.st_mtime_ns)


def _unreadable(error: OSError) -> None:
    raise InputError(
        f"{error.filename} cannot be read: {error.strerror}",
        hint="Nothing was changed. See its permissions, or mount it again.",
    ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            digest.update(part)
    return digest.hexdigest()
