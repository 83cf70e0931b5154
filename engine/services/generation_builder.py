"""Building a generation of a collection beside the one that answers: cut, embedded, projected, measured, then switched.

All that is done stands in SQL (`cuts`, `vectors`), so whoever takes the lease after a crash goes on where it stopped. What
arrives or goes away meanwhile is followed until nothing is lacking; the switch itself looks once more, under a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import content, cuts, generations, quarantine
from engine.database.audit import record
from engine.database.columns import new_id, now
from engine.database.database import Database
from engine.database.generations import GenerationLost
from engine.database.ingestion_models import Cut, Generation
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.errors import CallNotPermitted, EngineError, StoreError
from engine.keeping_views import GenerationState
from engine.services.cutting import Cutting, Embedders
from engine.services.generation_recall import GenerationRecall
from engine.services.indexes import Indexes
from engine.services.passage_rows import Row
from engine.services.spaces import Spaces

logger = logging.getLogger(__name__)

GROUP_VERSIONS, GROUP_TEXTS = 128, 512  # what is cut before it is embedded together
BEAT_SECONDS = 20.0
LOOK_SECONDS = 5.0
TRIES, LONGEST_WAIT = 60, 60.0  # with nothing done in between: about an hour
LEAST_RECALL = 0.5


class _Cut(NamedTuple):
    version: Version
    document: DocumentRow
    rows: list[Row] | None  # None: they were saved before


class GenerationBuilder:
    """Builds those of this process; the rows say which there are."""

    def __init__(
        self,
        *,
        database: Database,
        cutting: Cutting,
        embedders: Embedders,
        indexes: Indexes,
        spaces: Spaces,
        recall: GenerationRecall,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._cutting = cutting
        self._embedders = embedders
        self._indexes = indexes
        self._spaces = spaces
        self._recall = recall
        self._sleep = sleep
        self._bell = asyncio.Event()

    def wake(self) -> None:
        """There is something to build."""
        self._bell.set()

    async def serve(self) -> None:
        """Build whatever is to be built and nobody builds, until cancelled; one that waits for a provider holds up none."""
        tasks = set[asyncio.Task[bool]]()
        try:
            while True:
                self._bell.clear()
                try:
                    async with self._database.read() as session:
                        waiting = await generations.unfinished(session)
                except EngineError as error:
                    logger.warning("generations could not be looked at: %s", error)
                    waiting = []
                for generation_id in waiting:
                    task = asyncio.create_task(self.run(generation_id))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._bell.wait()
        finally:
            running = list(tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def run(self, generation_id: str) -> bool:
        """Build one to its end; False when another has it. What goes wrong is told by its row, not raised."""
        owner = uuid.uuid4().hex
        async with self._database.write() as session:
            if not await generations.claim(session, generation_id, owner):
                return False
        beat = asyncio.create_task(self._beat(generation_id, owner))
        try:
            await self._build(generation_id, owner)
        except GenerationLost:
            logger.info("generation %s is in other hands, or cancelled", generation_id)
        except EngineError as error:
            await self._failed(generation_id, owner, str(error), error.hint)
        except Exception:  # a defect of ours must not be tried for ever
            reference = uuid.uuid4().hex[:8]
            logger.exception("building generation %s failed (%s)", generation_id, reference)
            hint = "Nothing has changed. Start it again; if it stays, ask an operator to look at the log."
            await self._failed(generation_id, owner, f"something unexpected went wrong (reference {reference})", hint)
        finally:
            beat.cancel()
            await asyncio.shield(self._release(owner))
        return True

    async def _build(self, generation_id: str, owner: str) -> None:
        failures, best = 0, -1
        while True:
            try:
                if await self._pass(generation_id, owner):
                    return
            except (EngineError, OSError) as error:
                refused = isinstance(error, (StoreError, CallNotPermitted, OSError))
                done = await self._told(generation_id, owner, error)
                best, failures = (done, 1) if done > best else (best, failures + 1)
                if not (refused or getattr(error, "retryable", False)) or failures >= TRIES:
                    raise
                logger.warning("generation %s waits: %s", generation_id, error)
                await self._sleep(min(2.0**failures, LONGEST_WAIT))

    async def _told(self, generation_id: str, owner: str, error: Exception) -> int:
        """Note why it waits, and return how many documents are done; -1 where the database is what is away."""
        try:
            async with self._database.write() as session:
                await generations.hold(session, generation_id, owner, reason=f"{error}; it is tried again")
                return (await session.get_one(Generation, generation_id, populate_existing=True)).documents_done
        except StoreError:
            return -1

    async def _pass(self, generation_id: str, owner: str) -> bool:
        """Do what is lacking; False where the collection changed meanwhile, and there is more."""
        async with self._database.read() as session:
            row = await session.get(Generation, generation_id)
            if row is None:
                raise GenerationLost(generation_id)  # its collection was deleted
            collection = await session.get_one(Collection, row.collection_id)
        target = generations.shadow(row, collection.name)
        await self._embedders(target, verify=True)
        while await self._group(collection, target, owner):
            pass
        await self._indexes.words(target)
        if target.space:
            await self._spaces.settled(target)
        if row.recall is None and not row.report.get("was"):  # it answered before: there is nothing to compare it with
            await self._measure(collection, target, owner)
        return await self._ended(generation_id, owner)

    # --- cutting and embedding ---------------------------------------------------------------------------------------

    async def _group(self, collection: Collection, target: Collection, owner: str) -> bool:
        """Cut and embed some of the versions that are lacking; False when there is none."""
        taken: list[_Cut] = []
        count = 0
        for version, document, cut in await self._lacking(target):
            rows = None if cut is not None else await self._cutting.cut(target, version, document)
            taken.append(_Cut(version, document, rows))
            count += len(rows) if rows is not None else cut or 0
            if count >= GROUP_TEXTS:
                break
        ids = [one.version.id for one in taken]
        if taken:
            taken = await self._saved(collection, target, owner, taken)
            texts: dict[str, str] = {}
            for one in taken:
                texts |= await self._cutting.texts(target, one.version, one.document)

            async def permitted(session: AsyncSession) -> None:
                await generations.hold(session, target.generation, owner)

            await self._cutting.embed(target, texts, _silent, permitted=permitted)
        async with self._database.write() as session:
            await cuts.embedded(session, [one.version.id for one in taken], target.generation)
            done, total = await generations.progress(session, target)
            chunks = await cuts.live_chunks(session, target)
            values = {"documents_done": done, "documents_total": total, "chunks": chunks, "reason": ""}
            await generations.hold(session, target.generation, owner, **values)
        return bool(ids)

    async def _lacking(self, target: Collection) -> list[tuple[Version, DocumentRow, int | None]]:
        """Return versions without vectors, each with its number of chunks where it was cut already."""
        mine = (Cut.version_id == Version.id) & (Cut.generation == target.generation)
        query = cuts.lacking(target).add_columns(DocumentRow, Cut.chunks)
        query = query.join(DocumentRow, DocumentRow.id == Version.document_id).outerjoin(Cut, mine).limit(GROUP_VERSIONS)
        async with self._database.read() as session:
            return [(version, document, chunks) for version, document, chunks in await session.execute(query)]

    async def _saved(self, collection: Collection, target: Collection, owner: str, taken: list[_Cut]) -> list[_Cut]:
        """Keep the chunks of those versions that are still there, and return these."""
        async with self._database.write() as session:
            await generations.hold(session, target.generation, owner)
            there = select(Version.id).where(Version.id.in_([one.version.id for one in taken]))
            live = set(await session.scalars(there.where(Version.state == VersionState.LIVE).with_for_update(key_share=True)))
            kept = [one for one in taken if one.version.id in live]
            fresh = [one for one in kept if one.rows is not None]
            for one in fresh:
                await content.save_chunks(session, one.version.id, target.generation, one.rows or [])
            in_force = await session.get_one(Collection, collection.id)
            ids = [one.version.id for one in fresh]
            await quarantine.carry(session, ids, before=in_force.generation, after=target.generation)
        return kept

    # --- measuring and switching -------------------------------------------------------------------------------------

    async def _measure(self, collection: Collection, target: Collection, owner: str) -> None:
        found = await self._recall.measure(collection, target)
        async with self._database.write() as session:
            row = await session.get_one(Generation, target.generation)
            values = {"recall": found.recall, "questions": found.questions, "report": {**row.report, **found.report()}}
            await generations.hold(session, target.generation, owner, **values)

    async def _ended(self, generation_id: str, owner: str) -> bool:
        """Switch, or say that it is ready to; False when something is lacking again."""
        async with self._database.write() as session:
            await generations.hold(session, generation_id, owner)
            row = await session.get_one(Generation, generation_id, populate_existing=True)
            poor = row.recall is not None and row.recall < LEAST_RECALL and not row.report.get("forced")
            if poor or not row.report.get("switch"):
                row.state, row.owner, row.lease_until = GenerationState.READY, "", None
                if poor:
                    row.reason = f"it finds {row.recall:.0%} of what the present one finds, so it was not switched to"
                    row.hint = "Look at what it finds before you switch to it, or cancel it. Nothing has changed so far."
                return True
            former = await generations.switch(session, row)
            if not former:
                return False
            action = "generation.revert" if row.report.get("was") else "generation.switch"
            details = {"before": former, "after": row.id, "chunks": row.chunks, "by": row.report.get("by", row.started_by)}
            await record(session, None, action, row.collection_id, object_type="collection", **details)
            row.report = {key: value for key, value in row.report.items() if key not in ("was", "forced")}
        return True

    async def _failed(self, generation_id: str, owner: str, reason: str, hint: str) -> None:
        logger.warning("generation %s failed: %s", generation_id, reason)
        with contextlib.suppress(GenerationLost):
            async with self._database.write() as session:
                await generations.hold(session, generation_id, owner)
                row = await session.get_one(Generation, generation_id, populate_existing=True)
                await stopped(session, row, GenerationState.FAILED)
                row.reason, row.hint = reason, hint or "The collection answers as before. Start it again when this is mended."
                details = {"outcome": "failure", "object_type": "collection", "generation": row.id}
                await record(session, None, "generation.fail", row.collection_id, **details)

    async def _beat(self, generation_id: str, owner: str) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                async with self._database.write() as session:
                    await generations.hold(session, generation_id, owner)
            except GenerationLost:
                return  # the next transaction of the build finds out, and stops
            except EngineError as error:
                logger.warning("the lease of generation %s could not be prolonged: %s", generation_id, error)

    async def _release(self, owner: str) -> None:
        with contextlib.suppress(EngineError):  # it ends by itself
            async with self._database.write() as session:
                await generations.release(session, owner)


async def stopped(session: AsyncSession, row: Generation, state: GenerationState) -> None:
    """End the building of a generation; one that was in force before and could not be gone back to stays the former one."""
    back = bool(row.report.get("was"))
    row.state, row.owner, row.lease_until = GenerationState.FORMER if back else state, "", None
    row.report = {key: value for key, value in row.report.items() if key not in ("was", "forced", "switch")}
    if back:
        await generations.retire(session, row.space, retired=True)


async def _silent(_done: int, _total: int) -> None:
    return None


def marks(*, switch: bool, by: str, done: int, **more: object) -> dict[str, object]:
    """Return what a build that begins now notes in its report; `done` versions were there already."""
    return {"switch": switch, "by": by, "since": now().isoformat(), "from": done, "run": new_id(), **more}
