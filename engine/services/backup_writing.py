"""Writing a backup, from a view of the database.

Members: `tables/NAME.jsonl.gz` (rows as of one moment, see `engine.database.view`; compressed, for JSON shrinks to a fifth),
`blobs/KEY` (originals as they are: office files and PDFs are compressed already), `secrets.json`, `audit-checkpoints.jsonl`.
Indexes and caches are not in it: they are made from the rows.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

import engine
from engine.database.audit_models import AuditHead
from engine.database.blobs import Blobs
from engine.database.database import Database
from engine.database.models import Version, VersionState
from engine.database.view import Shape, View, view
from engine.services.backup_archive import ArchiveWriter
from engine.services.backup_reading import CHECKPOINTS, FORMAT, FORMAT_VERSION, SECRETS, Contents, told, working_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is backed up. `secret` is the one in force, `checkpoints` those of the audit; `work` is for files meanwhile."""

    database: Database
    blobs: Blobs
    secret: str
    checkpoints: Path
    work: Path


async def write_backup(source: Source, target: Path, *, passphrase: str = "") -> Contents:
    """Write a backup while others read and write. Raises InputError, StoreError; nothing of the name is left then."""
    checkpoints = await asyncio.to_thread(_read, source.checkpoints)  # first: the rows that they name are in any later view
    async with working_folder(source.work) as folder:
        async with view(source.database, folder) as seen:
            tables = [await _spool(seen, shape, folder) for shape in seen.shapes]
            keys = await seen.values(select(Version.blob).where(Version.state != VersionState.DELETED))
            head = json.loads((await anext(aiter(seen.lines(_shape(seen, AuditHead.__tablename__)))))[0])
            manifest = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "product_version": engine.__version__,
                "revision": seen.revision,
                "dialect": seen.dialect,
                "as_of": seen.as_of.isoformat(),
                "tables": tables,
                "audit": dict(zip(_shape(seen, AuditHead.__tablename__).columns, head, strict=True)),
            }
        (folder / "copy.db").unlink(missing_ok=True)
        small = {SECRETS: json.dumps({"secret_key": source.secret}).encode(), CHECKPOINTS: checkpoints}

        def put_together() -> Contents:
            with ArchiveWriter(target, at=seen.as_of, passphrase=passphrase) as archive:
                for table in tables:
                    with (folder / table["name"]).open("rb") as file:
                        archive.add(f"tables/{table['name']}.jsonl.gz", file)
                missing = _add_blobs(archive, source.blobs, sorted(set(keys)))
                for name, data in small.items():
                    archive.add_bytes(name, data)
                files = len(set(keys)) - len(missing)
                manifest.update(files=files, missing_files=missing)
                archive.finish(manifest)
            rows = {table["name"]: table["rows"] for table in tables}
            return Contents(manifest=manifest, encrypted=bool(passphrase), rows=rows, files=files, problems=told(missing))

        return await asyncio.to_thread(put_together)


async def _spool(seen: View, shape: Shape, folder: Path) -> dict[str, Any]:
    count = 0
    with gzip.open(folder / shape.name, "wb", compresslevel=1) as file:
        async for lines in seen.lines(shape):
            await asyncio.to_thread(file.write, b"".join(lines))
            count += len(lines)
    return {"name": shape.name, "columns": dict(shape.columns), "rows": count}


def _shape(seen: View, name: str) -> Shape:
    return next(shape for shape in seen.shapes if shape.name == name)


def _add_blobs(archive: ArchiveWriter, blobs: Blobs, keys: list[str]) -> list[str]:
    missing = []
    for key in keys:
        try:
            file = blobs.path(key).open("rb")
        except FileNotFoundError:  # purged since the rows were read, or gone before
            missing.append(key)
            continue
        with file:
            archive.add(f"blobs/{key}", file)
    return missing


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
