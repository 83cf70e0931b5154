"""What an upload would find, told before it is made: from names, SHA-256 and sizes alone, and what was processed before."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections
from engine.database.database import Database
from engine.database.models import Collection, DocumentRow, Job, Version, VersionState
from engine.database.present import present
from engine.database.receiving import STANDING
from engine.errors import InputError
from engine.ingestion_views import UploadCheck, UploadForecast
from engine.registry import LOADERS
from engine.services.configuration import Configured
from engine.services.ledger import Call, cost
from engine.services.library import clean_file_name
from engine.services.quotas import Quotas
from engine.settings import Settings
from engine.types import Principal, Right

MOST = 1000
BATCH = 500
JOBS = 200  # the last ones that ended tell how fast this machine is now
_TYPES = mimetypes.MimeTypes()  # the table of the standard library, whatever this machine has beside it
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OTHERS = {
    ".docx": _OFFICE + "wordprocessingml.document",
    ".pptx": _OFFICE + "presentationml.presentation",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".tsv": "text/csv",
    ".log": "text/plain",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """Passages per byte by media type, seconds per passage, and US dollars per passage; None or absent: not known."""

    density: dict[str, float]
    seconds: float | None
    dollars: float | None


class UploadChecks:
    """Forecasts for files that nobody has sent yet."""

    def __init__(self, *, database: Database, quotas: Quotas, configured: Configured, settings: Settings) -> None:
        self._database = database
        self._quotas = quotas
        self._configured = configured
        self._settings = settings

    async def check(self, principal: Principal, collection_id: str, files: Sequence[UploadCheck]) -> list[UploadForecast]:
        """Return a forecast for each file, in order. Nothing is reserved: what others do meanwhile may change it.

        What the collection has already costs 0. Raises NotFound, AccessDenied, InputError for more than `MOST` files.
        """
        if len(files) > MOST:
            raise InputError(f"at most {MOST:,} files at once", hint="Ask about fewer.")
        async with self._database.read() as session:
            collection = await collections.require(session, principal, collection_id, Right.WRITE)
            left = await self._quotas.left(session, principal)
            same = await _by_bytes(session, collection_id, [file.sha256.lower() for file in files])
            named = await _by_name(session, collection_id, [clean_file_name(file.name) for file in files])
            density, seconds = await _density(session, collection_id), await _pace(session, collection_id)
        past = _Past(density=density, seconds=seconds, dollars=await self._dollars(collection))
        found = []
        for file in files:
            problem, hint = self._problem(file, left)
            if left is not None and not problem:
                left = (left[0] - 1, left[1] - file.size_bytes)
            found.append(_forecast(file, same, named, past, problem=problem, hint=hint))
        return found

    def _problem(self, file: UploadCheck, left: tuple[int, int] | None) -> tuple[str, str]:
        most = self._settings.limits.max_file_mb
        if file.size_bytes > most << 20:
            return f"the file is larger than {most} MB", "Split it, or ask an operator."
        if file.size_bytes <= 0:
            return "the file is empty", "Save it again where it was made, and add it once more."
        if left is not None and (left[0] < 1 or left[1] < file.size_bytes):
            return "this is more than you may upload within an hour", "Upload the rest later."
        return "", ""

    async def _dollars(self, collection: Collection) -> float | None:
        # A passage has at most as many tokens as the collection cuts, so this is the most that it can cost.
        if collection.embedder == "local":
            return 0.0
        call = Call(
            provider=collection.embedder,
            model=collection.embedding_model,
            job="embedding",
            elapsed_ms=0.0,
            input_tokens=collection.chunk_tokens,
        )
        return cost(await self._configured.current(), call)


def kind_of(name: str) -> tuple[str, str]:
    """Return (media type, label of its loader) by a file's name; "" where the name says nothing."""
    media_type = _OTHERS.get(PurePath(name).suffix.lower()) or _TYPES.guess_type(name)[0] or ""
    return media_type, LOADERS[media_type].label if media_type in LOADERS else ""


def _forecast(
    file: UploadCheck,
    same: dict[str, tuple[str, str]],
    named: dict[str, str],
    past: _Past,
    *,
    problem: str,
    hint: str,
) -> UploadForecast:
    media_type, label = kind_of(file.name)
    twin_id, twin = same.get(file.sha256.lower(), ("", ""))
    known = past.density.get(media_type)
    chunks = 0 if twin else None if known is None else max(1, round(known * file.size_bytes))
    return UploadForecast(
        name=file.name,
        size_bytes=file.size_bytes,
        same_as=twin,
        same_as_id=twin_id,
        same_name_id=named.get(clean_file_name(file.name), ""),
        kind=label,
        problem=problem,
        hint=hint,
        chunks=chunks,
        seconds=None if chunks is None or past.seconds is None else chunks * past.seconds,
        cost_usd=None if chunks is None or past.dollars is None else chunks * past.dollars,
    )


async def _by_bytes(session: AsyncSession, collection_id: str, hashes: Sequence[str]) -> dict[str, tuple[str, str]]:
    now = present([collection_id])
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(hashes), BATCH):
        query = (
            select(Version.sha256, DocumentRow.id, DocumentRow.name)
            .join(now, (now.c.document_id == Version.document_id) & (now.c.n == Version.number))
            .join(DocumentRow, DocumentRow.id == Version.document_id)
            .where(
                Version.sha256.in_(hashes[start : start + BATCH]),
                Version.state.in_(STANDING),
                DocumentRow.collection_id == collection_id,
                DocumentRow.deleted_at.is_(None),
            )
        )
        found |= {sha256: (key, name) for sha256, key, name in await session.execute(query)}
    return found


async def _by_name(session: AsyncSession, collection_id: str, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(names), BATCH):
        query = select(DocumentRow.name, DocumentRow.id).where(
            DocumentRow.collection_id == collection_id,
            DocumentRow.name.in_(names[start : start + BATCH]),
            DocumentRow.deleted_at.is_(None),
        )
        found |= {name: key for name, key in await session.execute(query)}
    return found


async def _density(session: AsyncSession, collection_id: str) -> dict[str, float]:
    query = (
        select(Version.media_type, func.sum(Version.chunks), func.sum(Version.size_bytes))
        .where(Version.collection_id == collection_id, Version.state == VersionState.LIVE)
        .group_by(Version.media_type)
    )
    return {kind: float(chunks) / float(size) for kind, chunks, size in await session.execute(query) if size}


async def _pace(session: AsyncSession, collection_id: str) -> float | None:
    query = (
        select(Job.created_at, Job.updated_at, Version.chunks)
        .join(Version, Version.id == Job.version_id)
        .where(Version.collection_id == collection_id, Version.chunks > 0, Job.state == "done")
        .order_by(Job.updated_at.desc())
        .limit(JOBS)
    )
    rows = (await session.execute(query)).all()
    chunks = sum(row.chunks for row in rows)
    return busy_seconds([(row.created_at, row.updated_at) for row in rows]) / chunks if chunks else None


def busy_seconds(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Return for how long at least one of these spans was going on: what waited in a queue meanwhile counts once."""
    total, reached = 0.0, None
    for begin, end in sorted(spans):
        start = begin if reached is None else max(begin, reached)
        if end > start:
            total += (end - start).total_seconds()
            reached = end
    return total
