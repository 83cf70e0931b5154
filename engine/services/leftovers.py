"""Rows and files that should be there and are not, or are there and nobody names them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.blobs import Blobs
from engine.database.collections import WORKING
from engine.database.columns import Base
from engine.database.database import Database
from engine.database.models import IN_INDEXES, ChunkRow, Collection, DocumentRow, Job, VectorRow, Version, VersionState
from engine.services.comparing import Truth

SAMPLE = 100  # originals of a collection whose SHA-256 is computed; of the others only the size is looked at
NAMED = 3


@dataclass(frozen=True, slots=True)
class Lost:
    """`count` things are not as SQL says; `names` are of the documents."""

    count: int
    of: int
    names: tuple[str, ...] = ()

    def told(self, *, named: bool) -> str:
        """Return the first few names; unless `named`, how many there are: names are for those who may read the documents."""
        if not named:
            return f"{self.count:,} document{'' if self.count == 1 else 's'}"
        return ", ".join(self.names[:NAMED]) + (f" and {len(self.names) - NAMED} more" if len(self.names) > NAMED else "")


async def originals(database: Database, blobs: Blobs, collection: Collection, *, deep: bool) -> Lost:
    """Return the documents of a collection whose original is gone, or has other bytes than were uploaded."""
    query = (
        select(Version.blob, Version.size_bytes, Version.sha256, DocumentRow.name)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(Version.collection_id == collection.id, Version.state != VersionState.DELETED)
    )
    async with database.read() as session:
        rows = (await session.execute(query)).all()
    hashed = set(range(len(rows))) if deep or len(rows) <= SAMPLE else set(random.sample(range(len(rows)), SAMPLE))

    def bad() -> list[str]:
        found = []
        for n, (key, size, sha256, name) in enumerate(rows):
            if not blobs.holds(key, size_bytes=size, sha256=sha256 if n in hashed else ""):
                found.append(name)
        return found

    names = sorted(await asyncio.to_thread(bad))
    return Lost(len(names), len(rows), tuple(dict.fromkeys(names)))


async def strays(database: Database, blobs: Blobs, *, before: float) -> list[Path]:
    """Return the files among the originals, temporary ones included, that are older than `before` and that no row names."""
    paths = await asyncio.to_thread(blobs.files, before=before)
    async with database.read() as session:  # after the files were listed: what came meanwhile is not among them
        named = set(await session.scalars(select(Version.blob).where(Version.state != VersionState.DELETED)))
    return [path for path in paths if path.name not in named]


async def documents_without(session: AsyncSession, collection: Collection, known: Truth) -> Lost:
    """Return the live documents that lack chunks or vectors in SQL: only processing them again brings these back."""
    have = known.per_version()
    bare = {version for one, version in known.versions.items() if known.keys.get(one) in known.lost}
    query = (
        select(Version.id, Version.chunks, DocumentRow.name)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(Version.collection_id == collection.id, IN_INDEXES)
    )
    rows = list(await session.execute(query))
    names = sorted(name for key, chunks, name in rows if key in bare or have[key] != chunks)
    return Lost(len(names), len(rows), tuple(names))


async def forgotten(session: AsyncSession, collection: Collection) -> list[tuple[Version, str]]:
    """Return (version, document's name) of files that were taken and that nobody will ever work on: they have no job."""
    query = (
        select(Version, DocumentRow.name)
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .outerjoin(Job, Job.version_id == Version.id)
        .where(Version.collection_id == collection.id, Version.state.in_(WORKING), Job.id.is_(None))
    )
    return [(version, name) for version, name in await session.execute(query)]


def _orphans() -> dict[str, tuple[type[Base], ColumnElement[bool]]]:
    chunk = select(ChunkRow.vector_sha256).where(ChunkRow.vector_sha256 == VectorRow.text_sha256)
    return {
        "passages without a document": (ChunkRow, ~select(Version.id).where(Version.id == ChunkRow.version_id).exists()),
        "jobs without a document": (Job, ~select(Version.id).where(Version.id == Job.version_id).exists()),
        "vectors without a passage": (VectorRow, ~chunk.exists()),
    }


async def orphan_rows(session: AsyncSession, *, mend: bool) -> dict[str, int]:
    """Return what rows nothing refers to any more, with their number; with `mend` they are deleted."""
    found = {}
    for what, (table, orphaned) in _orphans().items():
        number = await session.scalar(select(func.count()).select_from(table).where(orphaned)) or 0
        if number:
            found[what] = number
            if mend:
                await session.execute(delete(table).where(orphaned).execution_options(synchronize_session=False))
    return found
