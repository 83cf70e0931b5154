"""How far a job is: told by the steps of ingestion, kept with its lease in SQL, and with its stages in its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import job_events, jobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.jobs import JobLost

EVERY_SECONDS = 0.5  # between two writes within a stage: screens look no more often, and each is a transaction
SHARES = {
    "parse": (0.02, 0.1),
    "recognise": (0.1, 0.4),
    "chunk": (0.4, 0.45),
    "embed": (0.45, 0.95),
    "index": (0.95, 1.0),
}
"""The part of the whole (0..1) that each stage stands for."""


class JobProgress:
    """The progress of one claim."""

    def __init__(
        self,
        *,
        database: Database,
        version_id: str,
        owner: str,
        lease: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._version_id = version_id
        self._owner = owner
        self._lease = lease
        self._clock = clock
        self._stage = ""
        self._units = 0
        self._began = self._written = clock()

    async def report(self, stage: str, done: int, total: int) -> None:
        """Note that `done` of `total` units of a stage are done. Raises JobLost, StoreError."""
        moment, turned = self._clock(), stage != self._stage
        if not turned:
            self._units = done
            if done < total and moment - self._written < EVERY_SECONDS:
                return
        first, last = SHARES[stage]
        values: dict[str, object] = {
            "stage": stage,
            "done": done,
            "total": total,
            "progress": first + (last - first) * (done / total if total else 0.0),
        }
        if turned:
            values["stage_at"] = now()
        async with self._database.write() as session:
            await self._beat(session, **values)
            if turned:
                await self.ended(session)
                await job_events.add(session, self._version_id, "began", stage=stage)
        if turned:
            self._stage, self._units, self._began = stage, done, moment
        self._written = moment

    async def beat(self) -> None:
        """Prolong the lease. Raises JobLost, StoreError."""
        async with self._database.write() as session:
            await self._beat(session)

    async def ended(self, session: AsyncSession) -> None:
        """Note, in the caller's transaction, that the present stage is over."""
        if self._stage:
            counted = f"{self._units} in " if self._units else ""
            text = f"done: {counted}{self._clock() - self._began:.1f} s"
            await job_events.add(session, self._version_id, text, stage=self._stage)

    async def _beat(self, session: AsyncSession, **values: object) -> None:
        if not await jobs.beat(session, self._version_id, self._owner, lease=self._lease, **values):
            raise JobLost(self._version_id)
