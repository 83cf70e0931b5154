"""Notices jobs whose worker is gone, and puts them back into the queue; each process that serves or works does so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from engine.database import jobs
from engine.database.database import Database
from engine.errors import EngineError

logger = logging.getLogger(__name__)


class JobSweeper:
    """`found` is called when there were any; it must neither block nor raise."""

    def __init__(self, *, database: Database, every_seconds: float, found: Callable[[], None]) -> None:
        self._database = database
        self._every = every_seconds
        self._found = found

    async def run(self) -> None:
        """Look until cancelled; a look that fails is passed over, for the next one finds the same."""
        while True:
            try:
                await self.sweep()
            except EngineError as error:
                logger.warning("it is not known whether a worker is gone: %s", error)
            except Exception:  # whatever it was, the next look tries again
                logger.exception("looking for jobs whose worker is gone failed")
            await asyncio.sleep(self._every)

    async def sweep(self) -> list[str]:
        """Look once, and return the versions that were queued again. Raises StoreError."""
        async with self._database.read() as session:
            if not await jobs.stalled(session):
                return []
        async with self._database.write() as session:
            found = await jobs.sweep(session)
        for version_id in found:
            logger.warning("the worker of version %s is gone; it waits for the next one", version_id)
        if found:
            self._found()
        return found
