"""Claims ingestion jobs and runs them: inside the server, or for one command of the command line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Sequence

from engine.database import documents, jobs
from engine.database.audit import record
from engine.database.database import Database
from engine.database.models import Version, VersionState
from engine.errors import EngineError
from engine.pipelines.ingest import Ingest

logger = logging.getLogger(__name__)

IDLE_SECONDS = 5.0  # how long a job that another process queued may wait to be seen
BEAT_SECONDS = 20.0
WAIT_SECONDS = 0.2


class Worker:
    """Up to `slots` jobs at a time. Stopping gives unfinished ones back to the queue."""

    def __init__(self, *, database: Database, ingest: Ingest, slots: int) -> None:
        self._database = database
        self._ingest = ingest
        self._slots = slots
        self._owner = uuid.uuid4().hex
        self._bell = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Work in the background until `stop`."""
        self._tasks = [asyncio.create_task(self._serve(), name=f"ingest-{slot}") for slot in range(self._slots)]

    def wake(self) -> None:
        """Say that there may be a new job."""
        self._bell.set()

    async def stop(self) -> None:
        """Interrupt and give jobs back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._release()

    async def run(self, version_ids: Sequence[str], *, done: Callable[[str], None] = lambda _: None) -> None:
        """Work on these versions in the caller's task until all are finished; `done` is called after each.

        What another process has in work is waited for, and taken over if that process dies.
        """
        open_ones = set(version_ids)

        async def slot() -> None:
            while open_ones:
                version_id = await self._claim(sorted(open_ones))
                if version_id is not None:
                    await self._work(version_id)
                else:
                    await asyncio.sleep(WAIT_SECONDS)
                await settle()

        async def settle() -> None:
            async with self._database.read() as session:
                finished = open_ones - await jobs.unfinished(session, sorted(open_ones))
            for version_id in finished:
                if version_id in open_ones:
                    open_ones.discard(version_id)
                    done(version_id)

        try:
            await asyncio.gather(*(slot() for _ in range(self._slots)))
        finally:
            await self._release()

    async def _serve(self) -> None:
        while True:
            version_id = await self._claim()
            if version_id is not None:
                await self._work(version_id)
                continue
            self._bell.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), IDLE_SECONDS)

    async def _claim(self, only: Sequence[str] | None = None) -> str | None:
        try:
            async with self._database.write() as session:
                job = await jobs.claim(session, self._owner, only=only)
                return job.version_id if job else None
        except EngineError as error:  # the database is away for a moment: the next round tries again
            logger.warning("no job could be claimed: %s", error)
            return None

    async def _work(self, version_id: str) -> None:
        beat = asyncio.create_task(self._beat(version_id))
        try:
            await self._ingest.run(version_id, lambda progress: self._report(version_id, progress))
            await self._finish(version_id, "done")
        except EngineError as error:
            await self._fail(version_id, str(error), error.hint)
        except Exception:  # one bad file must never stop the batch, whatever is wrong with it or with us
            reference = uuid.uuid4().hex[:8]
            logger.exception("ingestion of version %s failed (%s)", version_id, reference)
            await self._fail(
                version_id,
                f"something unexpected went wrong (reference {reference})",
                "Process it again; if it stays, ask an operator to look at the log.",
            )
        finally:
            beat.cancel()

    async def _beat(self, version_id: str) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._report(version_id, None)

    async def _report(self, version_id: str, progress: float | None) -> None:
        async with self._database.write() as session:
            await jobs.beat(session, version_id, self._owner, progress=progress)

    async def _finish(self, version_id: str, state: str) -> None:
        async with self._database.write() as session:
            await jobs.finish(session, version_id, state)

    async def _fail(self, version_id: str, reason: str, hint: str) -> None:
        logger.info("version %s failed: %s", version_id, reason)
        async with self._database.write() as session:
            version = await session.get(Version, version_id)
            if version is None:
                return
            await documents.advance(session, version, state=VersionState.FAILED, reason=reason, hint=hint)
            await record(session, None, "document.fail", version.document_id, outcome="failure", version=version.number)
            await jobs.finish(session, version_id, "failed")

    async def _release(self) -> None:
        async with self._database.write() as session:
            await jobs.release(session, self._owner)
