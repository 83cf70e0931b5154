"""A zip of documents: each file in it becomes a document of its own, and one bad file never stops the rest."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath

from engine.database import collections
from engine.database.database import Database
from engine.errors import BrokenFile, EngineError, FileTooLarge, PasswordNeeded, QuotaExceeded, UnsupportedFile
from engine.ingestion_views import FileReceipt, OnDuplicate
from engine.loading.zips import BOUNDED, FAILURES, is_archive, open_zip
from engine.sections import Ingestion, Limits
from engine.services.library import FILE_NAME_CHARS, clean_file_name
from engine.services.room import Room
from engine.types import Principal, Right
from engine.views import DocumentInfo, UploadVerdict

logger = logging.getLogger(__name__)

__all__ = ["Archives", "is_archive"]

AGAIN = "Ask an operator whether the disk is full, and upload the archive again: what is there already is not added twice."
COPY_BYTES = 1 << 20
RATIO_FROM_BYTES = 16 << 20
MAX_RATIO = 200
AT_ONCE = 2
MAX_SUFFIX = 20
_UTF8_NAMES = 0x800
_ENCRYPTED = 0x1
_LINK, _KIND = 0o120000, 0o170000
Take = Callable[..., Awaitable[tuple[DocumentInfo, UploadVerdict]]]


class Archives:
    """Unpacks in threads, file by file, into `folder`; nothing of it stays there. `take` is `Library.upload`."""

    def __init__(
        self, *, database: Database, take: Take, room: Room, folder: Path, limits: Limits, ingestion: Ingestion
    ) -> None:
        self._database = database
        self._take = take
        self._room = room
        self._folder = folder
        self._limits = limits
        self._ingestion = ingestion
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def is_archive(self, data: bytes | Path) -> bool:
        """Whether `upload` takes it: a zip of files, and no document that is packed as one."""
        return await asyncio.to_thread(is_archive, data)

    async def upload(
        self,
        principal: Principal,
        collection_id: str,
        name: str,
        data: bytes | Path,
        *,
        on_duplicate: OnDuplicate = OnDuplicate.ASK,
    ) -> list[FileReceipt]:
        """Store and queue every file of a zip archive under "archive.zip/path"; return what became of each.

        Folders, links, hidden files and what macOS adds are left out. Each file counts against the quota. Raises AccessDenied,
        NotFound, UnsupportedFile (no archive), BrokenFile, FileTooLarge (more files than `ingestion.archive_files`).
        """
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.WRITE)
        size = len(data) if isinstance(data, bytes) else (await asyncio.to_thread(data.stat)).st_size
        if size > self._limits.max_unpacked_mb << 20:
            raise FileTooLarge(f"the archive is larger than {self._limits.max_unpacked_mb} MB (limit max_unpacked_mb)")
        async with self._turn:
            with await asyncio.to_thread(self._open, data) as archive:
                most = self._ingestion.archive_files
                some = islice(_members(archive, clean_file_name(name)), most + 1)
                members = await asyncio.to_thread(list, some)
                if len(members) > most:
                    raise FileTooLarge(
                        f"the archive holds more than {most:,} files, which is what is allowed at once (limit archive_files)",
                        hint="Split it into several archives. Nothing was added.",
                    )
                return await self._all(principal, collection_id, archive, members, on_duplicate)

    def _open(self, data: bytes | Path) -> zipfile.ZipFile:
        if not is_archive(data):
            raise UnsupportedFile("this is no zip archive of files", hint="Upload it as a document.")
        try:
            return open_zip(data)
        except FAILURES as error:
            raise BrokenFile("the archive is cut off or damaged") from error

    async def _all(
        self,
        principal: Principal,
        collection_id: str,
        archive: zipfile.ZipFile,
        members: list[tuple[str, zipfile.ZipInfo]],
        on_duplicate: OnDuplicate,
    ) -> list[FileReceipt]:
        receipts: list[FileReceipt] = []
        full: QuotaExceeded | None = None
        left = self._limits.max_unpacked_mb << 20
        with self._workplace() as place:
            for shown, member in members:
                try:
                    if full:
                        raise full  # the quota is used up: the others are not even unpacked
                    self._check(member, left)
                    left -= member.file_size
                    # unpacked here, and copied to the originals
                    async with self._room.promised(2 * member.file_size, "this file"):
                        file = await asyncio.to_thread(_unpack, archive, member, place)
                        info, verdict = await self._take(
                            principal, collection_id, shown, file, password=None, on_duplicate=on_duplicate
                        )
                    receipts.append(FileReceipt(name=shown, document_id=info.id, verdict=verdict))
                except EngineError as error:
                    full = error if isinstance(error, QuotaExceeded) else None
                    receipts.append(FileReceipt(name=shown, problem=str(error), hint=error.hint))
                except OSError as error:
                    logger.warning("a file of an archive could not be stored: %s", type(error).__name__)
                    receipts.append(FileReceipt(name=shown, problem="the file could not be stored", hint=AGAIN))
        return receipts

    @contextmanager
    def _workplace(self) -> Iterator[Path]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=self._folder, prefix="archive-"))
        try:
            yield place / "file"
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _check(self, member: zipfile.ZipInfo, left: int) -> None:
        """Judge by what the directory declares, which `zipfile` never exceeds. Raises InputError."""
        if member.flag_bits & _ENCRYPTED:
            raise PasswordNeeded("the file is encrypted in the archive", hint="Unpack the archive and upload the file itself.")
        if member.compress_type not in BOUNDED:
            raise UnsupportedFile(
                "the file is compressed in a way that is not read here", hint="Pack the archive anew as an ordinary zip file."
            )
        if member.file_size > self._limits.max_file_mb << 20:
            raise FileTooLarge(f"the file is larger than {self._limits.max_file_mb} MB (limit max_file_mb)")
        if member.file_size > RATIO_FROM_BYTES and member.file_size > MAX_RATIO * max(1, member.compress_size):
            raise FileTooLarge(f"the file unpacks to more than {MAX_RATIO} times its size, as bombs do")
        if member.file_size > left:
            raise FileTooLarge(f"the archive unpacks to more than {self._limits.max_unpacked_mb} MB (limit max_unpacked_mb)")


def _members(archive: zipfile.ZipFile, outer: str) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yield (name as shown, member) of the files to take. A name is only ever shown; no two are the same."""
    seen: dict[str, int] = {}  # what is shown -> the number that the next one of this name gets
    for member in archive.infolist():
        name = _readable(member)
        parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
        link = (member.external_attr >> 16) & _KIND == _LINK
        if member.is_dir() or link or not parts or any(part.startswith((".", "__MACOSX")) for part in parts):
            continue
        wanted = shown = clean_file_name(f"{outer}/{'/'.join(parts)}")
        while shown in seen:
            shown = _numbered(wanted, seen[wanted])
            seen[wanted] += 1
        seen[shown] = 2
        yield shown, member


def _numbered(name: str, number: int) -> str:
    """Return "name (number).type", not longer than a name may be: what is cut off at its end would be the number."""
    suffix = PurePosixPath(name).suffix
    end = f" ({number}){suffix if len(suffix) < MAX_SUFFIX else ''}"
    return name.removesuffix(suffix)[: FILE_NAME_CHARS - len(end)] + end


def _readable(member: zipfile.ZipInfo) -> str:
    """Return the name; many programs write UTF-8 without saying so, which `zipfile` reads as the DOS code page."""
    if member.flag_bits & _UTF8_NAMES:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> Path:
    """Write one member to `target`, part by part. Raises BrokenFile."""
    try:
        with archive.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)
    except FAILURES as error:
        raise BrokenFile("the file is damaged in the archive") from error
    return target
