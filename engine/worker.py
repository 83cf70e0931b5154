"""Claims ingestion jobs and runs them: in a process of its own, inside the server, or for one command of the command line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from engine.database import documents, job_events, jobs
from engine.database.audit import record
from engine.database.database import Database
from engine.database.jobs import JobLost
from engine.database.models import Version
from engine.errors import CallNotPermitted, EngineError, StoreError
from engine.monitoring.tracing import Traces
from engine.pipelines.ingest import Ingest
from engine.protocols import Meter
from engine.sections import Ingestion
from engine.services import outcomes
from engine.services.job_progress import JobProgress

logger = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # how long a job that another process queued may wait to be seen
LOOK_SECONDS = 1.0  # how soon a job that was cancelled, or went to somebody else, is stopped
BEATS = 3  # in the time of a lease
WAIT_SECONDS = 0.2
STORE_ATTEMPTS = 3
OUTAGE_ATTEMPTS, OUTAGE_SECONDS = 16, 120.0  # together about twenty minutes
REFUSED_SECONDS = 5.0  # after a call that was not permitted, where nobody knows when it will be


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
        rules: Ingestion,
        name: str = "",
    ) -> None:
        """`name` is this process's, for people."""
        self._database = database
        self._ingest = ingest
        self._meter = meter
        self._traces = traces
        self._slots = slots
        self._rules = rules
        self._lease = timedelta(seconds=rules.stalled_seconds)
        self._name = name
        self._bell = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._held: dict[Claim, asyncio.Task[None] | None] = {}
        self._owed: set[Claim] = set()  # that nobody could be told of, for the database was away
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Work in the background until `stop`."""
        self._stopping = False
        self._tasks = [asyncio.create_task(self._serve(), name=f"ingest-{slot}") for slot in range(self._slots)]

    def wake(self) -> None:
        """Say that there may be a new job."""
        self._bell.set()

    async def stop(self) -> None:
        """Interrupt and give jobs back."""
        self._stopping = True
        await _cancelled([*self._tasks, *([self._looking] if self._looking else [])])
        self._tasks = []
        await self._release()

    async def run_one(self, version_id: str) -> None:
        """Work on this version, if nobody else has it. Raises CancelledError when `stop` comes first, StoreError."""
        if self._stopping:
            raise asyncio.CancelledError
        task = asyncio.create_task(self._once(version_id))
        self._tasks.append(task)
        try:
            await task
        finally:
            if task in self._tasks:
                self._tasks.remove(task)

    async def _once(self, version_id: str) -> None:
        claim = await self._claim([version_id])
        if claim is not None:
            await self._work(claim)

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
                if claim := await self._claim():
                    await self._work(claim)
                    continue
            except EngineError as error:  # the database is away for a moment: the next round tries again
                logger.warning("ingestion waits: %s", error)
            except Exception:  # whatever it was: nobody would miss a slot that ended
                logger.exception("ingestion waits")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._bell.wait()

    async def _claim(self, only: Sequence[str] | None = None) -> Claim | None:
        for claim in list(self._owed):
            async with self._database.write() as session:
                await jobs.give_back(session, *claim, limit=OUTAGE_ATTEMPTS)
            self._owed.discard(claim)
        async with self._database.read() as session:  # idle workers look often, and must not take the writers' lock for it
            if not await jobs.free(session, only=only):
                return None
        owner = uuid.uuid4().hex
        async with self._database.write() as session:
            job = await jobs.claim(session, owner, only=only, lease=self._lease, worker=self._name)
            if job is None:
                return None
            claim, worn_out = Claim(job.version_id, owner), job.crashes >= self._rules.attempts
            self._held[claim] = None  # before the commit, which happens also when this task is cancelled meanwhile
        if worn_out:  # a file that takes the whole process with it must not be tried for ever
            self._held.pop(claim, None)
            what = f"processing stopped without a word {self._rules.attempts} times"
            await self._fail(claim, what, "Split the file, or ask an operator to look at the log.")
            return None
        return claim

    async def _work(self, claim: Claim) -> None:
        try:
            await self._worked(claim)
        except Exception as error:
            self._held.pop(claim, None)
            if isinstance(error, StoreError):
                self._owed.add(claim)
            raise
        self._held.pop(claim, None)  # not reached when interrupted: `_release` gives it back

    async def _worked(self, claim: Claim) -> None:
        progress = JobProgress(database=self._database, version_id=claim.version_id, owner=claim.owner, lease=self._lease)
        beat = asyncio.create_task(self._beat(claim, progress))
        try:
            with self._traces.trace("ingestion"):
                await self._ingested(claim, progress)
            async with self._database.write() as session:
                await jobs.finish(session, claim.version_id, claim.owner, "done")
                await progress.ended(session)
            self._meter.counted("documents_total", ("live",))
        except JobLost:
            logger.info("version %s was stopped, or is in other hands", claim.version_id)
        except EngineError as error:
            outcomes.failed(self._meter, error)
            if isinstance(error, StoreError) or error.retryable:  # not the file's fault: tried again, so many times
                logger.warning("version %s goes back to the queue: %s", claim.version_id, error)
                await self._give_back(claim, error)
            else:
                await self._fail(claim, str(error), error.hint, type(error).__name__)
        except Exception as error:  # one bad file must never stop the batch, whatever is wrong with it or with us
            outcomes.failed(self._meter, error)
            reference = uuid.uuid4().hex[:8]
            logger.exception("ingestion of version %s failed (%s)", claim.version_id, reference)
            what = f"something unexpected went wrong (reference {reference})"
            await self._fail(claim, what, "Process it again; if it stays, ask an operator to look at the log.")
        finally:
            await _cancelled([beat])

    async def _ingested(self, claim: Claim, progress: JobProgress) -> None:
        """Run the steps. Raises JobLost when `_look` finds that they are not wanted any more."""
        steps = asyncio.create_task(self._ingest.run(claim.version_id, progress.report))
        self._held[claim] = steps
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="ingest-look")
        try:
            await asyncio.wait([steps])
        except asyncio.CancelledError:  # this worker is stopped
            await _cancelled([steps])
            raise
        if steps.cancelled():
            raise JobLost(claim.version_id)
        steps.result()

    async def _look(self) -> None:
        """Stop the steps of jobs that were cancelled, deleted or taken over, as long as there are any."""
        while self._held:
            await asyncio.sleep(LOOK_SECONDS)
            held = dict(self._held)
            try:
                async with self._database.read() as session:
                    owners = await jobs.owners(session, [claim.version_id for claim in held])
            except EngineError as error:  # the beat says so, too, and the next look tries again
                logger.debug("it is not known whether jobs are still wanted: %s", error)
                continue
            for claim, steps in held.items():
                if steps is not None and owners.get(claim.version_id) != claim.owner and claim in self._held:
                    steps.cancel()

    async def _beat(self, claim: Claim, progress: JobProgress) -> None:
        while True:
            await asyncio.sleep(self._rules.stalled_seconds / BEATS)
            try:
                await progress.beat()
            except JobLost:
                logger.warning("the lease of version %s was lost", claim.version_id)
                return  # the next look stops the steps
            except EngineError as error:
                logger.warning("the lease of version %s could not be prolonged: %s", claim.version_id, error)

    async def _give_back(self, claim: Claim, error: EngineError) -> None:
        await asyncio.sleep(WAIT_SECONDS)
        if isinstance(error, StoreError):
            limit, asked = STORE_ATTEMPTS, 0.0
        else:  # a provider that is away comes back: the document waits, and the slot is free for others
            limit, asked = OUTAGE_ATTEMPTS, min(getattr(error, "retry_after_seconds", None) or 1.0, OUTAGE_SECONDS)
        async with self._database.write() as session:
            if (await jobs.owners(session, [claim.version_id])).get(claim.version_id) != claim.owner:
                return
            await job_events.add(session, claim.version_id, f"tried again later: {error}", level="warning")
            if isinstance(error, CallNotPermitted):  # nothing was tried, so nothing counts, however long it lasts
                wait = min(max(error.retry_after_seconds, REFUSED_SECONDS), OUTAGE_SECONDS)
                await jobs.postpone(session, claim.version_id, claim.owner, seconds=wait)
                return
            tried_enough = await jobs.give_back(
                session,
                *claim,
                limit=limit,
                wait=lambda attempts: asked and max(asked, min(2.0 ** (attempts - 1), OUTAGE_SECONDS)),
            )
        if tried_enough:
            await self._fail(claim, str(error), error.hint, type(error).__name__)

    async def _fail(self, claim: Claim, reason: str, hint: str, error: str = "") -> None:
        logger.info("version %s failed: %s", claim.version_id, reason)
        with contextlib.suppress(JobLost):
            async with self._database.write() as session:
                await jobs.finish(session, claim.version_id, claim.owner, "failed")
                await documents.fail(session, claim.version_id, reason=reason, hint=hint, error=error)
                await job_events.add(session, claim.version_id, f"failed: {reason}", level="error")
                row = await session.get_one(Version, claim.version_id)
                await record(session, None, "document.fail", row.document_id, outcome="failure", version=row.number)
            self._meter.counted("documents_total", ("failed",))

    async def _release(self) -> None:
        if claims := {*self._held, *self._owed}:
            async with self._database.write() as session:
                for claim in claims:
                    if await jobs.release(session, claim.owner):
                        await job_events.add(session, claim.version_id, "its worker was stopped: it waits for the next one")
            self._held.clear()
            self._owed.clear()


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
