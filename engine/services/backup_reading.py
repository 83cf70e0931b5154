"""Reading a backup back, with every checksum, count and the audit compared; see `engine.services.backup_writing`."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from engine.database.audit_checkpoints import Checkpoints
from engine.database.audit_models import Audit, AuditHead
from engine.database.audit_verify import verify
from engine.database.columns import Base
from engine.database.database import Database
from engine.database.restoring import load
from engine.database.view import TYPES, Shape
from engine.errors import BrokenFile
from engine.keeping_views import BackupReport
from engine.security.sealing import audit_key
from engine.services.backup_archive import MANIFEST, ArchiveReader, Entry

FORMAT, FORMAT_VERSION = "rag-workbench-backup", 1
SECRETS, CHECKPOINTS = "secrets.json", "audit-checkpoints.jsonl"
_TABLE = re.compile(r"tables/([a-z_]{1,60})\.jsonl\.gz")
_BLOB = re.compile(r"blobs/([0-9a-f]{32})")
_AUDIT = ("tables/audit.jsonl.gz", "tables/audit_head.jsonl.gz", SECRETS, CHECKPOINTS)
_PART = 1 << 16
WORK_PREFIX = ".backup-"


@dataclass(slots=True, kw_only=True)
class Contents:
    """What was found in a file. `rows` is by table; `problems` is empty when the file is as it was written."""

    manifest: dict[str, Any]
    encrypted: bool
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def shapes(self) -> list[Shape]:
        """The tables in the order in which they are filled."""
        return [Shape(name=one["name"], columns=one["columns"]) for one in self.manifest["tables"]]

    @property
    def as_of(self) -> datetime:
        """The moment whose state it holds."""
        return datetime.fromisoformat(self.manifest["as_of"])

    def report(self, path: Path, seconds: float) -> BackupReport:
        """Return it as people see it."""
        return BackupReport(
            name=path.name,
            as_of=self.as_of,
            encrypted=self.encrypted,
            rows=sum(self.rows.values()),
            files=self.files,
            size_bytes=path.stat().st_size,
            seconds=seconds,
            problems=tuple(self.problems),
        )


def read_backup(path: Path, folder: Path, *, passphrase: str = "", only: Sequence[str] = ()) -> Contents:
    """Read a whole file, compare everything, and unpack it below `folder`, blobs as `Blobs` lays them; or `only` these members.

    Blocking. Raises InputError for no file of ours or a wrong passphrase, BrokenFile where it cannot be read on.
    """
    rows: dict[str, int] = {}
    files = 0
    damaged: list[str] = []
    with ArchiveReader(path, passphrase=passphrase) as archive:
        for entry in archive:
            place = _place(entry.path)
            with _kept(folder / place if not only or entry.path in only else None) as out:
                if found := _TABLE.fullmatch(entry.path):
                    rows[found[1]] = _count(entry, out, damaged)
                else:
                    for data in iter(entry.read, b""):
                        out(data)
            files += entry.path.startswith("blobs/")
        manifest, problems = archive.manifest, archive.problems
    _check_manifest(manifest)
    told = {table["name"]: table["rows"] for table in manifest["tables"]}
    problems += [f"{name} cannot be unpacked" for name in damaged]
    problems += [f"{name} has {rows.get(name, 0)} rows, not {count}" for name, count in told.items() if rows.get(name) != count]
    if files != manifest["files"]:
        problems.append(f"{files} originals are here, not {manifest['files']}")
    return Contents(manifest=manifest, encrypted=archive.encrypted, rows=rows, files=files, problems=problems)


async def check_backup(path: Path, work: Path, *, passphrase: str = "") -> Contents:
    """Read a whole file and verify its audit with its own key and checkpoints. Raises InputError, BrokenFile."""
    async with working_folder(work) as folder:
        found = await asyncio.to_thread(read_backup, path, folder, passphrase=passphrase, only=_AUDIT)
        if not found.problems:
            found.problems += await _audit_problems(found, folder)
        found.problems += told(found.manifest["missing_files"])
        return found


def lines_of(folder: Path, table: str) -> Iterator[bytes]:
    """Return the rows of a table that was unpacked. Blocking."""
    with gzip.open(folder / "tables" / table, "rb") as file:
        yield from file


def secret_of(folder: Path) -> str:
    """Return the secret of a backup that was unpacked. Raises BrokenFile."""
    try:
        return str(json.loads((folder / SECRETS).read_text())["secret_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenFile("the backup has no secrets.json", hint="Use another copy of the file.") from error


def told(missing: list[str]) -> list[str]:
    """Return what to say of originals that were not there."""
    if not missing:
        return []
    return [f"{len(missing)} originals were not in the data folder when the backup was made: {', '.join(missing[:5])}"]


@asynccontextmanager
async def working_folder(parent: Path) -> AsyncIterator[Path]:
    """Give an empty folder for this account only, and remove it in the end."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _audit_problems(found: Contents, folder: Path) -> list[str]:
    key = audit_key(secret_of(folder))
    checkpoints, damage = Checkpoints(folder / CHECKPOINTS, key).read()
    database = Database(f"sqlite+aiosqlite:///{folder / 'chain.db'}", audit_key=key)
    try:
        tables = [Base.metadata.tables[model.__tablename__] for model in (Audit, AuditHead)]
        async with database.schema() as connection:
            await connection.run_sync(lambda sync: Base.metadata.create_all(sync, tables=tables))
        async with database.write() as session:
            for shape in found.shapes:
                if shape.name in {table.name for table in tables}:
                    await load(session, shape, lines_of(folder, shape.name))
        async with database.read() as session:
            result = await verify(session, key, checkpoints, damage)
    finally:
        await database.close()
    return [] if result.ok else [f"the audit does not verify: {result.problem}"]


def _place(path: str) -> Path:
    """Return where a member is unpacked, below the folder. Raises BrokenFile for a name that is none of ours."""
    if found := _TABLE.fullmatch(path):
        return Path("tables", found[1])
    if found := _BLOB.fullmatch(path):
        return Path("blobs", found[1][:2], found[1])
    if path in (SECRETS, CHECKPOINTS):
        return Path(path)
    raise BrokenFile(f"the backup holds {path[:80]!r}, which is none of its parts", hint="Use another copy of the file.")


class _kept:  # noqa: N801 - reads as a clause: `with _kept(path) as out:`
    """Gives what takes the bytes of a member: a new file, or nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Callable[[bytes], object]:
        if self._path is None:
            return lambda _: None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("xb")
        return self._file.write

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _count(entry: Entry, out: Callable[[bytes], object], damaged: list[str]) -> int:
    unpack, count = zlib.decompressobj(wbits=31), 0
    try:
        while data := entry.read(_PART):
            out(data)
            count += unpack.decompress(data).count(b"\n")
        if unpack.eof:
            return count
    except zlib.error:
        pass
    damaged.append(entry.path)
    for data in iter(entry.read, b""):
        out(data)
    return count


def _check_manifest(manifest: dict[str, Any]) -> None:
    try:
        if manifest["format"] != FORMAT:
            raise BrokenFile("this is not a backup of the workbench", hint="A collection comes in with `import`.")
        if manifest["format_version"] != FORMAT_VERSION:
            raise BrokenFile(f"this version reads backups of format {FORMAT_VERSION}", hint="Restore it with a newer version.")
        kinds = {kind for table in manifest["tables"] for kind in table["columns"].values()}
        names = [table["name"] for table in manifest["tables"]]
        well = kinds <= set(TYPES) and all(isinstance(table["rows"], int) for table in manifest["tables"])
        well = well and {*names} <= {*Base.metadata.tables} and isinstance(manifest["missing_files"], list)
        datetime.fromisoformat(manifest["as_of"])
    except (KeyError, TypeError, ValueError, AttributeError):
        well = False
    if not well:
        raise BrokenFile(f"the {MANIFEST} of the backup cannot be understood", hint="Use another copy of the file.")
