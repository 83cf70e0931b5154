"""Claims ingestion jobs and runs them: inside the server, or for one command of the command line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.database import documents, jobs
from engine.database.audit import record
from engine.database.database import Database
from engine.database.jobs import MAX_ATTEMPTS, JobLost
from engine.database.models import Version
from engine.errors import CallNotPermitted, EngineError, StoreError
from engine.monitoring.tracing import Traces
from engine.pipelines.ingest import Ingest
from engine.protocols import Meter
from engine.services import outcomes

logger = logging.getLogger(__name__)

IDLE_SECONDS = 5.0  # how long a job that another process queued may wait to be seen
BEAT_SECONDS = 20.0
WAIT_SECONDS = 0.2
OUTAGE_ATTEMPTS, OUTAGE_SECONDS = 16, 120.0  # together about twenty minutes
REFUSED_SECONDS = 5.0  # after a call that was not permitted, where nobody knows when it will be
WORN_OUT = f"processing stopped without a word {MAX_ATTEMPTS} times"


class Claim(NamedTuple):
    """A leased job. Each claim has an owner of its own, so that a lost lease is noticed within one process, too."""

    version_id: str
    owner: str


class Worker:
    """Up to `slots` jobs at a time. Stopping gives unfinished ones back to the queue."""

    def __init__(
        self,
        *,
        database: Database,
        ingest: Ingest,
        meter: Meter,
        traces: Traces,
        slots: int,
        finished: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`finished` is called with a version's id after its job ended well; it must not block or raise."""
        self._finished = finished
        self._database = database
        self._ingest = ingest
        self._meter = meter
        self._traces = traces
        self._slots = slots
        self._bell = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._held: set[Claim] = set()

    def start(self) -> None:
        """Work in the background until `stop`."""
        self._tasks = [asyncio.create_task(self._serve(), name=f"ingest-{slot}") for slot in range(self._slots)]

    def wake(self) -> None:
        """Say that there may be a new job."""
        self._bell.set()

    async def stop(self) -> None:
        """Interrupt and give jobs back."""
        await _cancelled(self._tasks)
        self._tasks = []
        await self._release()

    async def run(self, version_ids: Sequence[str], *, done: Callable[[str], None] = lambda _: None) -> None:
        """Work on these versions in the caller's task until all are finished; `done` is called after each.

        What another process has in work is waited for, and taken over if that process dies. Raises StoreError.
        """
        open_ones = set(version_ids)

        async def slot() -> None:
            while open_ones:
                claim = await self._claim(sorted(open_ones))
                if claim is not None:
                    await self._work(claim)
                else:
                    await asyncio.sleep(WAIT_SECONDS)
                await settle()

        async def settle() -> None:
            async with self._database.read() as session:
                finished = open_ones - await jobs.unfinished(session, sorted(open_ones))
            for version_id in finished & open_ones:
                open_ones.discard(version_id)
                done(version_id)

        tasks = [asyncio.create_task(slot()) for _ in range(self._slots)]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _cancelled(tasks)
            await self._release()

    async def _serve(self) -> None:
        while True:
            self._bell.clear()  # before looking, so that a bell in between is not lost
            try:
                claim = await self._claim()
                if claim is not None:
                    await self._work(claim)
                    continue
            except EngineError as error:  # the database is away for a moment: the next round tries again
                logger.warning("ingestion waits: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), IDLE_SECONDS)

    async def _claim(self, only: Sequence[str] | None = None) -> Claim | None:
        owner = uuid.uuid4().hex
        async with self._database.write() as session:
            job = await jobs.claim(session, owner, only=only)
            if job is None:
                return None
            claim, worn_out = Claim(job.version_id, owner), job.crashes >= MAX_ATTEMPTS
            self._held.add(claim)  # before the commit, which happens also when this task is cancelled meanwhile
        if worn_out:
            self._held.discard(claim)  # a file that takes the whole process with it must not be tried for ever
            await self._fail(claim, WORN_OUT, "Split the file, or ask an operator to look at the log.")
            return None
        return claim

    async def _work(self, claim: Claim) -> None:
        beat = asyncio.create_task(self._beat(claim))
        try:
            with self._traces.trace("ingestion"):
                await self._ingest.run(claim.version_id, lambda progress: self._report(claim, progress))
            async with self._database.write() as session:
                await jobs.finish(session, claim.version_id, claim.owner, "done")
            self._meter.counted("documents_total", ("live",))
            self._finished(claim.version_id)
        except JobLost:
            logger.info("version %s is in other hands", claim.version_id)
        except EngineError as error:
            outcomes.failed(self._meter, error)
            if (
                isinstance(error, StoreError) or error.retryable
            ):  # not the file's fault: tried again up to the limit of attempts
                logger.warning("version %s goes back to the queue: %s", claim.version_id, error)
                await self._give_back(claim, error)
            else:
                await self._fail(claim, str(error), error.hint)
        except Exception as error:  # one bad file must never stop the batch, whatever is wrong with it or with us
            outcomes.failed(self._meter, error)
            reference = uuid.uuid4().hex[:8]
            logger.exception("ingestion of version %s failed (%s)", claim.version_id, reference)
            what = f"something unexpected went wrong (reference {reference})"
            await self._fail(claim, what, "Process it again; if it stays, ask an operator to look at the log.")
        finally:
            await _cancelled([beat])
        self._held.discard(claim)  # not reached when interrupted: `_release` gives it back

    async def _beat(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self._report(claim, None)
            except JobLost:
                logger.warning("the lease of version %s was lost", claim.version_id)
                return  # the next step of the pipeline finds the version moved, and stops
            except EngineError as error:
                logger.warning("the lease of version %s could not be prolonged: %s", claim.version_id, error)

    async def _report(self, claim: Claim, progress: float | None) -> None:
        async with self._database.write() as session:
            if not await jobs.beat(session, claim.version_id, claim.owner, progress=progress):
                raise JobLost(claim.version_id)

    async def _give_back(self, claim: Claim, error: EngineError) -> None:
        await asyncio.sleep(WAIT_SECONDS)
        if isinstance(error, StoreError):
            limit, asked = MAX_ATTEMPTS, 0.0
        else:  # a provider that is away comes back: the document waits, and the slot is free for others
            limit, asked = OUTAGE_ATTEMPTS, min(getattr(error, "retry_after_seconds", None) or 1.0, OUTAGE_SECONDS)
        async with self._database.write() as session:
            if isinstance(error, CallNotPermitted):  # nothing was tried, so nothing counts, however long it lasts
                wait = min(max(error.retry_after_seconds, REFUSED_SECONDS), OUTAGE_SECONDS)
                await jobs.postpone(session, claim.version_id, claim.owner, seconds=wait)
                return
            tried_enough = await jobs.give_back(
                session,
                claim.version_id,
                claim.owner,
                limit=limit,
                wait=lambda attempts: asked and max(asked, min(2.0 ** (attempts - 1), OUTAGE_SECONDS)),
            )
        if tried_enough:
            await self._fail(claim, str(error), error.hint)

    async def _fail(self, claim: Claim, reason: str, hint: str) -> None:
        logger.info("version %s failed: %s", claim.version_id, reason)
        with contextlib.suppress(JobLost):
            async with self._database.write() as session:
                await jobs.finish(session, claim.version_id, claim.owner, "failed")
                await documents.fail(session, claim.version_id, reason=reason, hint=hint)
                row = await session.get_one(Version, claim.version_id)
                await record(session, None, "document.fail", row.document_id, outcome="failure", version=row.number)
            self._meter.counted("documents_total", ("failed",))

    async def _release(self) -> None:
        if self._held:
            async with self._database.write() as session:
                for claim in self._held:
                    await jobs.release(session, claim.owner)
            self._held.clear()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
