"""Changing embedder, chunker or store of a collection while it answers: planned, built beside it, switched, gone back on.

Every call needs an admin who owns the collection. See docs/generations.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, cuts, generations
from engine.database.audit import record
from engine.database.columns import new_id, now
from engine.database.database import Database
from engine.database.ingestion_models import Generation
from engine.database.models import Collection
from engine.database.provider_models import SpaceRow
from engine.errors import InputError, NotFound
from engine.keeping_views import GenerationChange, GenerationInfo, GenerationPlan, GenerationState
from engine.services.accounts import require_role
from engine.services.generation_builder import GenerationBuilder, marks, stopped
from engine.services.generation_infos import REVERT_PERIOD, described, listed
from engine.services.generation_plan import GenerationPlanner
from engine.services.generation_removal import GenerationRemoval
from engine.services.parts import Parts
from engine.types import Principal, Right, Role

WAIT_SECONDS = 20.0  # what a switch or a way back may take while somebody waits; then it goes on by itself
POLL_SECONDS = 0.5


class Generations:
    """The generations of all collections."""

    def __init__(
        self,
        *,
        database: Database,
        parts: Parts,
        planner: GenerationPlanner,
        builder: GenerationBuilder,
        removal: GenerationRemoval,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._parts = parts
        self._planner = planner
        self._builder = builder
        self._removal = removal
        self._clock = clock
        self._running: set[asyncio.Task[bool]] = set()

    async def plan(self, principal: Principal, collection_id: str, change: GenerationChange) -> GenerationPlan:
        """Return what a change would take; nothing is changed.

        Raises NotFound, AccessDenied, InputError (also when nothing would change), ConfigError, ProviderError, StoreError.
        """
        collection = await self._owned(principal, collection_id)
        return await self._planner.plan(collection, await self._planner.target(collection, change))

    async def start(
        self, principal: Principal, collection_id: str, change: GenerationChange, *, switch: bool = True
    ) -> GenerationInfo:
        """Begin to build the collection anew beside the present one, in the background of a server.

        With `switch` the collection answers from it as soon as it is complete, unless it finds much less than the present one.
        Raises NotFound, AccessDenied, InputError (also when nothing would change, or one is being built), ConfigError,
        ProviderError, StoreError.
        """
        collection = await self._owned(principal, collection_id)
        target = await self._planner.target(collection, change)
        target.space = new_id() if await self._parts.keeps_itself(target.store) else ""
        async with self._database.write() as session:
            current = await _locked(session, principal, collection_id)
            if current.generation != collection.generation:
                raise InputError("the collection was changed meanwhile", hint="Look at what it is now, then change it again.")
            await generations.live(session, current)
            done, total = await generations.progress(session, target)
            row = Generation(
                id=target.generation,
                collection_id=collection_id,
                number=await generations.next_number(session, collection_id),
                state=GenerationState.BUILDING,
                documents_total=total,
                started_by=principal.name[:100],
                started_at=now(),
                report=marks(switch=switch, by=principal.name, done=done),
                **{name: getattr(target, name) for name in generations.PARAMETERS},
            )
            session.add(row)
            if target.space:
                space = SpaceRow(id=target.space, collection_id=collection_id, store=target.store, dimension=target.dimension)
                session.add(space)
            details = {
                "object_type": "collection",
                "generation": row.id,
                "embedder": row.embedder,
                "model": row.embedding_model,
            }
            details |= {"chunker": row.chunker, "store": row.store}
            await record(session, principal, "generation.start", collection_id, **details)
        self._builder.wake()
        return await self._info(row.id)

    async def all(self, principal: Principal, collection_id: str) -> list[GenerationInfo]:
        """Return the generations of a collection, newest first; the first alone where nothing was ever changed."""
        collection = await self._owned(principal, collection_id)
        async with self._database.read() as session:
            return await listed(session, collection)

    async def cancel(self, principal: Principal, generation_id: str) -> None:
        """Stop the building of a generation, or drop one that is ready, and remove what was made of it.

        Raises NotFound, AccessDenied, InputError.
        """
        row = await self._named(principal, generation_id)
        async with self._database.write() as session:
            await _locked(session, principal, row.collection_id, busy=True)
            row = await session.get_one(Generation, generation_id, populate_existing=True)
            if row.state not in generations.OPEN:
                raise InputError("this generation is neither being built nor waiting", hint="Load the page again.")
            await stopped(session, row, GenerationState.CANCELLED)
            details = {"object_type": "collection", "generation": row.id}
            await record(session, principal, "generation.cancel", row.collection_id, **details)
        if row.state == GenerationState.CANCELLED:
            await self._removal.remove(row)

    async def switch(self, principal: Principal, generation_id: str) -> GenerationInfo:
        """Answer from a generation that is ready; what came since is added first, in the background if it takes long.

        Raises NotFound, AccessDenied, InputError.
        """
        row = await self._named(principal, generation_id)
        async with self._database.write() as session:
            await _locked(session, principal, row.collection_id, busy=True)
            row = await session.get_one(Generation, generation_id, populate_existing=True)
            if row.state != GenerationState.READY:
                raise InputError("only a generation that is ready can be switched to", hint="Load the page again.")
            row.state, row.reason, row.hint = GenerationState.BUILDING, "", ""
            row.report = {**row.report, **marks(switch=True, by=principal.name, done=row.documents_done, forced=True)}
        return await self._finished(row.id)

    async def revert(self, principal: Principal, collection_id: str) -> GenerationInfo:
        """Go back to the generation that was in force before, within seven days; what came since is added to it first.

        Raises NotFound, AccessDenied, InputError.
        """
        await self._owned(principal, collection_id)
        async with self._database.write() as session:
            await _locked(session, principal, collection_id)
            former = await generations.all_of(session, collection_id, GenerationState.FORMER)
            kept = [row for row in former if row.retired_at is not None and row.retired_at > self._clock() - REVERT_PERIOD]
            if not kept:
                raise InputError(
                    "there is no former generation to go back to", hint="It is kept for seven days after a switch."
                )
            row = max(kept, key=lambda one: one.retired_at or one.started_at)
            if not await generations.retire(session, row.space, retired=False):  # removed already: it is filled anew from SQL
                row.space = new_id()
                session.add(SpaceRow(id=row.space, collection_id=collection_id, store=row.store, dimension=row.dimension))
            done, total = await generations.progress(session, generations.shadow(row))
            row.state, row.documents_done, row.documents_total = GenerationState.BUILDING, done, total
            row.report = {**row.report, **marks(switch=True, by=principal.name, done=done, was="former", forced=True)}
        return await self._finished(row.id)

    async def build(
        self, principal: Principal, generation_id: str, *, note: Callable[[GenerationInfo], None] = lambda _: None
    ) -> GenerationInfo:
        """Build a generation in this process, or wait for the process that does; return it as it is then.

        `note` is called now and then with how far it is. For the command line, and for tests.
        """
        await self._named(principal, generation_id)
        while True:
            task = self._run(generation_id)
            while not task.done():
                await asyncio.wait([task], timeout=POLL_SECONDS)
                note(await self._info(generation_id))
            await task
            info = await self._info(generation_id)
            if info.state is not GenerationState.BUILDING:
                return info
            await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Stop what was begun here; the rows say where it goes on."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _finished(self, generation_id: str) -> GenerationInfo:
        await asyncio.wait([self._run(generation_id)], timeout=WAIT_SECONDS)
        return await self._info(generation_id)

    def _run(self, generation_id: str) -> asyncio.Task[bool]:
        task = asyncio.create_task(self._builder.run(generation_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _owned(self, principal: Principal, collection_id: str) -> Collection:
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await collections.require(session, principal, collection_id, Right.OWNER)

    async def _named(self, principal: Principal, generation_id: str) -> Generation:
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            row = await session.get(Generation, generation_id)
            if row is None:
                raise NotFound("there is no such generation", hint="Load the page again.")
            await collections.require(session, principal, row.collection_id, Right.OWNER)
        return row

    async def _info(self, generation_id: str) -> GenerationInfo:
        async with self._database.read() as session:
            row = await session.get_one(Generation, generation_id)
            chunks = await cuts.live_chunks(session, generations.shadow(row))
        return described(row, chunks)


async def _locked(session: AsyncSession, principal: Principal, collection_id: str, *, busy: bool = False) -> Collection:
    """Lock a collection; unless `busy`, refuse when one is being built or waits to be switched to."""
    await collections.require(session, principal, collection_id, Right.OWNER)
    row = await generations.lock(session, collection_id)
    if not busy and await generations.all_of(session, collection_id, *generations.OPEN):
        raise InputError(
            "another generation of this collection is being built, or waits", hint="Switch to it or cancel it first."
        )
    return row
