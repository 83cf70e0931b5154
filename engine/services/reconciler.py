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

from engine.database import jobs, leases
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection
from engine.database.provider_models import SpaceRow
from engine.errors import EngineError, NotFound
from engine.keeping_views import Difference, ReconcileReport
from engine.services import leftovers
from engine.services.accounts import require_operator
from engine.services.comparing import Found, Truth, compared_vectors, compared_words, truth
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
    """`clock` gives Unix seconds."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        indexes: Indexes,
        spaces: Spaces,
        parts: Parts,
        every_minutes: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._indexes = indexes
        self._spaces = spaces
        self._parts = parts
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
        report = await self._looked(check=check, collection_id=collection_id, deep=deep, asked=True)
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
        report = await self._looked(check=False, collection_id=None, deep=False, asked=False)
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

    async def _looked(self, *, check: bool, collection_id: str | None, deep: bool, asked: bool) -> ReconcileReport:
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
            differences += await self._rows(row, known, check=check, asked=asked)
            differences += await self._indexed(row, check=check, deep=deep)
            differences += await self._originals(row, deep=deep)
        if not collection_id:
            differences += await self._nobodys(check=check)
        return ReconcileReport(
            at=now(),
            collections=len(rows),
            entries=entries,
            differences=tuple(differences),
            seconds=round(time.perf_counter() - started, 3),
        )

    # --- indexes -----------------------------------------------------------------------------------------------------

    async def _indexed(self, row: Collection, *, check: bool, deep: bool) -> list[Difference]:
        found = await self._local(row, check=check, deep=deep)
        if row.space:
            found += await self._remote(row, check=check, deep=deep)
        return found

    async def _local(self, row: Collection, *, check: bool, deep: bool) -> list[Difference]:
        """Compare what lives in this process, and its files."""
        place = "words" if row.space else "vectors"
        try:
            damaged = await self._indexes.damaged(row.id)
            before, known = await self._held(row, deep=deep)
            if not damaged and not any(before.values()):
                return []
            mended = False
            if not check:
                owner = await self._indexes.rebuild(row)
                after, _ = await self._held(row, deep=deep)
                mended = (owner or not damaged) and not any(after.values())
        except EngineError as error:
            return [_unreachable(row, place, error)]
        told = [_difference(row, name, known, found, mended) for name, found in before.items() if found]
        if damaged:
            detail = "the saved index is not the one that the database knows; it is never opened, and built again from SQL"
            held = len(known.versions)
            told.append(_line(row, place, expected=held, found=0, missing=held, mended=mended, detail=detail))
        return told

    async def _held(self, row: Collection, *, deep: bool) -> tuple[dict[str, Found], Truth]:
        index = await self._indexes.held(row)
        seq, words = index.seq, index.words
        there = await asyncio.to_thread(index.vectors.ids) if index.vectors else []
        async with self._database.read() as session:
            known = await truth(session, row, since=seq)
        found = {"words": await compared_words(known, words)}
        if index.vectors is not None:
            found["vectors"] = await compared_vectors(self._database, row, known, index.vectors, there, deep=deep)
        return found, known

    async def _remote(self, row: Collection, *, check: bool, deep: bool) -> list[Difference]:
        """Compare a store that keeps its vectors itself."""
        try:
            found, known = await self._stored(row, deep=deep)
            if not found:
                return []
            mended = False
            if not check:
                versions = {known.versions[one] for one in found.missing | found.altered}
                await self._spaces.mend(row, orphans=found.orphans, versions=versions)
                mended = not (await self._stored(row, deep=deep))[0]
        except EngineError as error:
            return [_unreachable(row, "vectors", error)]
        return [_difference(row, "vectors", known, found, mended)]

    async def _stored(self, row: Collection, *, deep: bool) -> tuple[Found, Truth]:
        async with self._database.read() as session:
            space = await session.get(SpaceRow, row.space)
        store = await self._parts.store(row.store, dimension=row.dimension, space=row.space)
        try:
            there = await asyncio.to_thread(store.ids)
            async with self._database.read() as session:
                known = await truth(session, row, since=space.seq if space else 0)
            return await compared_vectors(self._database, row, known, store, there, deep=deep), known
        finally:
            await asyncio.to_thread(store.close)

    # --- rows and files ----------------------------------------------------------------------------------------------

    async def _rows(self, row: Collection, known: Truth, *, check: bool, asked: bool) -> list[Difference]:
        told = []
        async with self._database.read() as session:
            bare = await leftovers.documents_without(session, row, known)
            idle = await leftovers.forgotten(session, row)
        if bare.count:
            detail = f"passages or vectors are missing in the database: {bare.told()}. {PROCESS}"
            told.append(_line(row, "rows", expected=bare.of, found=bare.of - bare.count, missing=bare.count, detail=detail))
        if idle:
            mend = asked and not check  # working on them may cost money: a person decides
            if mend:
                async with self._database.write() as session:
                    for version, _ in idle:
                        await jobs.queue_again(session, version)
            names = leftovers.Lost(len(idle), len(idle), tuple(name for _, name in idle)).told()
            detail = f"files that nobody works on: {names}. `reconcile` queues them again."
            told.append(_line(row, "rows", expected=len(idle), found=0, missing=len(idle), mended=mend, detail=detail))
        return told

    async def _originals(self, row: Collection, *, deep: bool) -> list[Difference]:
        lost = await leftovers.originals(self._database, self._blobs, row, deep=deep)
        if not lost.count:
            return []
        detail = f"gone, or not what was uploaded: {lost.told()}. {RESTORE}"
        return [_line(row, "originals", expected=lost.of, found=lost.of - lost.count, missing=lost.count, detail=detail)]

    async def _nobodys(self, *, check: bool) -> list[Difference]:
        """Find, and remove, what no row names: rows, originals, index files."""
        told, before = [], self._clock() - KEEP_SECONDS
        session_of = self._database.read if check else self._database.write
        async with session_of() as session:
            rows = await leftovers.orphan_rows(session, mend=not check)
        if rows:
            detail = ", ".join(f"{count} {what}" for what, count in rows.items())
            told.append(_line(None, "rows", orphans=sum(rows.values()), mended=not check, detail=detail))
        files = await leftovers.strays(self._database, self._blobs, before=before)
        folders = await self._indexes.leftovers(before=before)
        for place, paths, what in (("originals", files, "files"), ("words", folders, "index folders")):
            if paths:
                if not check:
                    await asyncio.to_thread(_remove, paths)
                detail = f"{len(paths)} {what} that no row names, older than a day"
                told.append(_line(None, place, found=len(paths), orphans=len(paths), mended=not check, detail=detail))
        return told


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _difference(row: Collection, place: str, known: Truth, found: Found, mended: bool) -> Difference:
    detail = f"{len(found.altered)} vectors have another value than in SQL" if found.altered else ""
    missing = len(found.missing) + len(found.altered)
    return _line(row, place, expected=len(known.versions), found=found.count, missing=missing, orphans=len(found.orphans),
                 mended=mended, detail=detail)  # fmt: skip


def _unreachable(row: Collection, place: str, error: EngineError) -> Difference:
    return _line(row, place, detail=f"could not be compared: {error}. {error.hint}")


def _line(
    row: Collection | None,
    place: str,
    *,
    expected: int = 0,
    found: int = 0,
    missing: int = 0,
    orphans: int = 0,
    mended: bool = False,
    detail: str = "",
) -> Difference:
    return Difference(
        collection_id=row.id if row else "",
        collection=row.name if row else "",
        place=place,
        expected=expected,
        found=found,
        missing=missing,
        orphans=orphans,
        mended=mended,
        detail=detail,
    )
