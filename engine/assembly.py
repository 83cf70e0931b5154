"""Settings -> Workbench: the only place that wires parts together. Each part is a property, made when first asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cached_property, partial

from sqlalchemy import select

from engine.chat import Chat
from engine.database import conversations
from engine.database.models import Collection, Counter
from engine.errors import EngineError
from engine.pipelines.ask import Ask
from engine.pipelines.chain import Chain
from engine.pipelines.helpers import Helpers
from engine.retrieval.search import HybridSearch
from engine.security.passwords import Hasher
from engine.services.choosing import Choosing
from engine.services.offers import Offers
from engine.services.pace import Pace
from engine.services.permits import guard
from engine.services.prices import Prices
from engine.services.quarantine import Quarantine
from engine.services.retriever import Retriever
from engine.services.store_moves import StoreMoves
from engine.settings import Settings, secrets_in_environment
from engine.upholding import Upholding
from engine.workbench import Workbench

logger = logging.getLogger(__name__)

THREADS = 32
UNDO_PERIOD = timedelta(days=1)
REVERT_PERIOD = timedelta(days=7)
PURGE_EVERY_SECONDS = 3600.0
FOLLOW_SECONDS = 1.0


class Assembly(Upholding):
    """The parts of one installation."""

    @cached_property
    def retriever(self) -> Retriever:
        """Question to hits."""
        return Retriever(
            database=self.database,
            indexes=self.indexes,
            search=HybridSearch(settings=self.settings.retrieval),
            embedders=self.parts.embedder_of,
            kept=self.query_vectors,
            settings=self.settings.retrieval,
            max_question_chars=self.settings.limits.question_chars,
        )

    @cached_property
    def ask(self) -> Ask:
        """The story of a question."""
        return Ask(
            retriever=self.retriever,
            chain=Chain(configured=self.configured, parts=self.parts, seconds=self.settings.resilience.answer_seconds),
            helpers=Helpers(configured=self.configured, parts=self.parts),
            ledger=self.ledger,
            answers=self.answers,
            meter=self.meter,
            embedder=self.parts.local,
            passages=self.settings.retrieval.passages,
            seconds=self.settings.resilience.answer_seconds,
        )

    @cached_property
    def chat(self) -> Chat:
        """Conversations."""
        return Chat(
            database=self.database,
            ask=self.ask,
            trail=self.trail,
            pace=Pace(self.settings.limits.questions_per_minute, self.cache, at_once=self.settings.limits.questions_at_once),
            meter=self.meter,
            traces=self.traces,
            max_question_chars=self.settings.limits.question_chars,
        )

    @cached_property
    def workbench(self) -> Workbench:
        """The facade."""
        facade = Workbench(
            database=self.database,
            accounts=self.accounts,
            own_account=self.own_account,
            people=self.people,
            collections=self.collections,
            library=self.library,
            urls=self.urls,
            retriever=self.retriever,
            ask=self.ask,
            chat=self.chat,
            quarantine=Quarantine(self.database),
            worker=self.worker,
            providers=self.providers,
            choosing=Choosing(database=self.database, configured=self.configured),
            offers=Offers(providers=self.providers, environment=secrets_in_environment, configured=self.configured),
            ledger=self.ledger,
            prices=Prices(database=self.database, configured=self.configured, ledger=self.ledger),
            moves=StoreMoves(
                database=self.database, parts=self.parts, spaces=self.spaces, indexes=self.indexes, configured=self.configured
            ),
            trail=self.trail,
            access=self.access,
            operations=self.operations,
            keeping=self.keeping,
        )
        guard(facade, self.access.denials.note, self.meter)
        return facade

    @asynccontextmanager
    async def opened(self, *, serve: bool) -> AsyncIterator[Workbench]:
        """Migrate, give the facade, and close everything at the end, whatever happened."""
        async with self._open(self.start if serve else None):
            yield self.workbench

    @asynccontextmanager
    async def working(self, *, polling: bool) -> AsyncIterator[None]:
        """As `opened`, for a process that only works on documents; with `polling` it looks for them itself."""

        async def start() -> list[asyncio.Task[None]]:
            if polling:
                self.worker.start()
            return [asyncio.create_task(work()) for work in self.working_tasks()]

        async with self._open(start):
            yield

    @asynccontextmanager
    async def _open(self, start: Callable[[], Awaitable[list[asyncio.Task[None]]]] | None) -> AsyncIterator[None]:
        background: list[asyncio.Task[None]] = []
        # Calls of remote stores and embedders wait in threads: a few slow ones must not take all that two cores are given.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="engine"))
        try:
            await self.database.migrate()
            await self.breakers.sync()  # before the first call: what an operator took out of use stays so
            self.operations.readiness.migrated()
            if start is not None:
                background = await start()
            yield
        finally:
            self.operations.readiness.leave()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self.close()

    async def start(self) -> list[asyncio.Task[None]]:
        """Begin to serve: mend what a crash left, offer the first set-up, work on jobs. Returns background tasks.

        Raises ConfigError when another server has the data folder and must be the only one.
        """
        if await self.one_server_only():
            self.server_lock.take()
        await self.keeper.started()
        async with self.database.write() as session:
            await conversations.interrupted(session)
        await self.accounts.offer_setup()
        if self.settings.ingestion.worker == "inside":
            self.worker.start()
        return [
            asyncio.create_task(work())
            for work in (self._purge, self._follow, self.keeper.run, *self.operating_tasks(), *self.ingesting_tasks())
        ]

    async def close(self) -> None:
        """Stop what runs, keep what is there, save snapshots."""
        async with AsyncExitStack() as stack:  # each runs whatever became of the ones before it
            stack.callback(self.server_lock.release)
            stack.push_async_callback(asyncio.to_thread, self.traces.close)
            # The last ones close first; the history takes the last numbers of those behind it.
            first = (self.cache, self.database, self.outgoing, self.history, self.keeper, self.breakers)
            for part in (*first, self.parts, self.spaces, self.indexes, self.generations, self.chat):
                stack.push_async_callback(part.close)
            stack.push_async_callback(self.worker.stop)

    async def _purge(self) -> None:
        own: tuple[Callable[[], Awaitable[object]], ...] = (
            partial(self.library.purge, older_than=UNDO_PERIOD),
            partial(self.spaces.sweep, older_than=REVERT_PERIOD),
        )
        while True:
            for work in (*own, *self.purges()):
                try:
                    await work()
                except EngineError as error:
                    logger.warning("what is out of date could not be removed: %s", error)
                except Exception:  # whatever it was, the next hour tries again
                    logger.exception("removing what is out of date failed")
            await asyncio.sleep(PURGE_EVERY_SECONDS)

    async def _follow(self) -> None:
        # Indexes take in new documents as they go live, and are opened at the start, so that no question waits for it. Whoever
        # works on documents, in whatever process: the sequence moves when one goes live.
        seen = -1
        while True:
            try:
                async with self.database.read() as session:
                    reached = await session.scalar(select(Counter.value).where(Counter.name == "sequence")) or 0
                    rows = list(await session.scalars(select(Collection))) if reached != seen else []
                seen = reached
            except EngineError as error:  # the next question tries again, and says so
                logger.debug("the indexes could not follow: %s", error)
                rows = []
            for row in rows:
                try:
                    await self.indexes.current(row)
                except EngineError as error:
                    logger.warning("the indexes of %s could not follow: %s", row.id, error)
            await asyncio.sleep(FOLLOW_SECONDS)


@asynccontextmanager
async def build_workbench(settings: Settings, *, serve: bool = False, hasher: Hasher | None = None) -> AsyncIterator[Workbench]:
    """Give a workbench; with `serve` it also works on jobs in the background and offers the first set-up.

    `hasher` hashes passwords (None: bcrypt itself). Raises ConfigError, StoreError.
    """
    async with Assembly(settings, hasher=hasher).opened(serve=serve) as workbench:
        yield workbench
