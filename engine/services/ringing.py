"""Tells workers elsewhere, through a broker, which documents wait. The rows are the truth: a message only saves time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Protocol

from engine.database import jobs
from engine.database.database import Database
from engine.errors import EngineError

logger = logging.getLogger(__name__)

EVERY_SECONDS = 30.0  # how long a document waits whose message got lost
RUNG_AT_ONCE = 5000


class Doorbell(Protocol):
    """The way to the workers."""

    async def ring(self, version_ids: Sequence[str]) -> None:
        """Send one message for each of these versions. Raises StoreError when the broker is away."""

    async def waiting(self) -> int:
        """Return how many messages nobody has taken yet. Raises StoreError."""


class Ringing:
    """Rings for each job once, and anew for those that still wait when the broker holds no message any more."""

    def __init__(self, *, database: Database, bell: Doorbell, every_seconds: float = EVERY_SECONDS) -> None:
        self._database = database
        self._bell = bell
        self._every = every_seconds
        self._news = asyncio.Event()
        self._rung: set[str] = set()
        self._ringing = asyncio.Lock()  # two at once would send everything twice

    def wake(self) -> None:
        """Say that there may be a new job."""
        self._news.set()

    def again(self) -> None:
        """Say that jobs came back to the queue."""
        self._rung.clear()
        self._news.set()

    async def run(self) -> None:
        """Ring until cancelled. A broker that is away costs nothing but time."""
        again = True
        while True:
            try:
                await self.ring(again=again)
            except EngineError as error:
                logger.warning("workers could not be told of documents that wait: %s", error)
            except Exception:  # whatever it was, the next round tries again
                logger.exception("telling workers of documents that wait failed")
            again = not await self._woken()

    async def ring(self, *, again: bool) -> None:
        """Ring for the jobs that could be claimed now; with `again` also for those it rang for before. Raises StoreError."""
        async with self._ringing:
            await self._ring(again)

    async def _ring(self, again: bool) -> None:
        async with self._database.read() as session:
            waiting = await jobs.free(session, limit=RUNG_AT_ONCE)
        self._rung &= set(waiting)
        if again and waiting and not await self._bell.waiting():
            self._rung.clear()  # whatever was sent for them is lost, or was for a job that rested
        new = [version_id for version_id in waiting if version_id not in self._rung]
        if new:
            await self._bell.ring(new)
            self._rung |= set(new)

    async def _woken(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every):
                await self._news.wait()
        woken = self._news.is_set()
        self._news.clear()
        return woken
