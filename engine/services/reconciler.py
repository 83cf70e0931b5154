"""Compares indexes, originals and rows with SQL, and mends what can be mended without asking a provider.

There is no outbox: how far a store has followed stands in its space's row, moved in a transaction of its own after the store
answered. What that cannot see (a store that lost a volume, a file that somebody deleted, a crash between two steps) is found
here. The embedder is out of reach on purpose: everything an index holds is in SQL.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from engine.database import collections, jobs, leases
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection
from engine.errors import EngineError, NotFound
from engine.keeping_views import Difference, ReconcileReport
from engine.services import leftovers
from engine.services.accounts import require_operator
from engine.services.comparing import Truth, truth
from engine.services.index_comparison import IndexComparison, difference
from engine.services.index_files import IndexFiles
from engine.services.indexes import Indexes
from engine.services.parts import Parts
from engine.services.spaces import Spaces
from engine.types import Principal

logger = logging.getLogger(__name__)

LEASE = "lease:reconcile"
START_SECONDS = 20.0
KEEP_SECONDS = 86_400.0  # what nobody names stays for a day: it may belong to an upload that is under way
RESTORE = "Restore the originals from a backup, or upload these files again; answers go on from what was read before."
PROCESS = "Process these documents again; this embeds what is missing."


class Reconciler:
    """`unfinished` gives temporary files older than a moment, in Unix seconds like `clock`."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        indexes: Indexes,
        files: IndexFiles,
        spaces: Spaces,
        parts: Parts,
        unfinished: Callable[[float], list[Path]],
        every_minutes: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._files = files
        self._indexed = IndexComparison(database=database, indexes=indexes, files=files, spaces=spaces, parts=parts)
        self._unfinished = unfinished
        self._every = every_minutes * 60
        self._clock = clock
        self._owner = uuid.uuid4().hex[:20]

    async def reconcile(
        self, principal: Principal, *, check: bool = False, collection_id: str | None = None, deep: bool = False
    ) -> ReconcileReport:
        """Compare everything, or one collection, with SQL; unless `check`, mend what differs. Nothing is embedded.

        `deep` computes the SHA-256 of every original and compares every vector, not samples. Raises AccessDenied, NotFound,
        StoreError for the database; a store that cannot be reached is a difference.
        """
        require_operator(principal)
        async with self._database.read() as session:
            readable = frozenset(await collections.rights(session, principal))
        report = await self._looked(readable, check=check, collection_id=collection_id, deep=deep, asked=True)
        await self._recorded(principal, report, check=check, deep=deep)
        return report

    async def run(self) -> None:
        """Compare and mend at the start and every so many minutes, one process at a time, until cancelled."""
        if not self._every:
            return
        await asyncio.sleep(START_SECONDS)
        while True:
            try:
                await self.round()
            except EngineError as error:
                logger.warning("indexes could not be compared with the database: %s", error)
            except Exception:  # whatever it was, the next round tries again
                logger.exception("indexes could not be compared with the database")
            await asyncio.sleep(self._every)

    async def round(self) -> ReconcileReport | None:
        """Compare and mend, if it is this process's turn. Raises StoreError."""
        async with self._database.write() as session:
            if not await leases.take(session, LEASE, self._owner, seconds=max(60.0, self._every)):
                return None
        report = await self._looked(frozenset(), check=False, collection_id=None, deep=False, asked=False)
        if report.differences:
            await self._recorded(None, report, check=False, deep=False)
        return report

    async def _recorded(self, principal: Principal | None, report: ReconcileReport, *, check: bool, deep: bool) -> None:
        async with self._database.write() as session:
            await record(
                session,
                principal,
                "index.reconcile",
                outcome="success" if report.clean else "failure",
                check=check,
                deep=deep,
                collections=report.collections,
                entries=report.entries,
                missing=sum(one.missing for one in report.differences),
                orphans=sum(one.orphans for one in report.differences),
                mended=sum(one.mended for one in report.differences),
            )
        for one in report.differences:
            logger.warning("%s of collection %s: %d missing, %d orphans, %s", one.place, one.collection_id or "-",
                           one.missing, one.orphans, "mended" if one.mended else "not mended")  # fmt: skip

    async def _looked(
        self, readable: frozenset[str], *, check: bool, collection_id: str | None, deep: bool, asked: bool
    ) -> ReconcileReport:
        """Documents are named in `readable` collections only, and counted in others."""
        started = time.perf_counter()
        query = select(Collection).order_by(Collection.name)
        async with self._database.read() as session:
            rows = list(await session.scalars(query.where(Collection.id == collection_id) if collection_id else query))
        if collection_id and not rows:
            raise NotFound("there is no such collection", hint="It may have been deleted.")
        differences, entries = list[Difference](), 0
        for row in rows:
            async with self._database.read() as session:
                known = await truth(session, row)
            entries += len(known.versions)
            differences += await self._rows(row, known, named=row.id in readable, check=check, asked=asked)
            differences += await self._indexed.differences(row, check=check, deep=deep)
            differences += await self._originals(row, named=row.id in readable, deep=deep)
        if not collection_id:
            differences += await self._nobodys(check=check)
        return ReconcileReport(
            at=now(),
            collections=len(rows),
            entries=entries,
            differences=tuple(differences),
            seconds=round(time.perf_counter() - started, 3),
        )

    # --- rows and files ----------------------------------------------------------------------------------------------

    async def _rows(self, row: Collection, known: Truth, *, named: bool, check: bool, asked: bool) -> list[Difference]:
        told = []
        async with self._database.read() as session:
            bare = await leftovers.documents_without(session, row, known)
            idle = await leftovers.forgotten(session, row)
        if bare.count:
            detail = f"passages or vectors are missing in the database: {bare.told(named=named)}. {PROCESS}"
            told.append(
                difference(row, "rows", expected=bare.of, found=bare.of - bare.count, missing=bare.count, detail=detail)
            )
        if idle:
            mend = asked and not check  # working on them may cost money: a person decides
            if mend:
                async with self._database.write() as session:
                    for version, _ in idle:
                        await jobs.queue_again(session, version)
            names = leftovers.Lost(len(idle), len(idle), tuple(name for _, name in idle)).told(named=named)
            detail = f"files that nobody works on: {names}. `reconcile` queues them again."
            told.append(difference(row, "rows", expected=len(idle), found=0, missing=len(idle), mended=mend, detail=detail))
        return told

    async def _originals(self, row: Collection, *, named: bool, deep: bool) -> list[Difference]:
        lost = await leftovers.originals(self._database, self._blobs, row, deep=deep)
        if not lost.count:
            return []
        detail = f"gone, or not what was uploaded: {lost.told(named=named)}. {RESTORE}"
        return [difference(row, "originals", expected=lost.of, found=lost.of - lost.count, missing=lost.count, detail=detail)]

    async def _nobodys(self, *, check: bool) -> list[Difference]:
        """Find, and remove, what no row names: rows, originals, index files; and temporary files of killed processes."""
        told, before = [], self._clock() - KEEP_SECONDS
        session_of = self._database.read if check else self._database.write
        async with session_of() as session:
            rows = await leftovers.orphan_rows(session, mend=not check)
        if rows:
            detail = ", ".join(f"{count} {what}" for what, count in rows.items())
            told.append(difference(None, "rows", orphans=sum(rows.values()), mended=not check, detail=detail))
        files = await leftovers.strays(self._database, self._blobs, before=before)
        folders = await self._files.leftovers(before=before)
        temporary = await asyncio.to_thread(self._unfinished, before)
        for place, paths, what in (
            ("originals", files, "files that no row names"),
            ("words", folders, "index folders that no row names"),
            ("unfinished", temporary, "temporary files that a process left when it was killed"),
        ):
            if paths:
                if not check:
                    await asyncio.to_thread(_remove, paths)
                detail = f"{len(paths)} {what}, older than a day"
                told.append(difference(None, place, found=len(paths), orphans=len(paths), mended=not check, detail=detail))
        return told


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
