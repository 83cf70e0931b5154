"""Whether this process can serve: what whoever balances load asks every few seconds, and strangers may.

"unready" takes a process out of use, so only what this process cannot serve without makes it so: SQL, its disk, the start,
the end.
A provider, a store or Redis that is away is away for all processes alike: "degraded", and everybody stays in use.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from engine.errors import EngineError
from engine.operations_views import Readiness

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 2.0
KEEP_SECONDS = 1.0
READY, DEGRADED, UNREADY = "ready", "degraded", "unready"


class Readinesses:
    """`ping` reads a row from SQL, and raises the OSError of a full disk; `problems` names what is not fine and asks nobody.

    A result is kept for a second.
    """

    def __init__(
        self,
        *,
        ping: Callable[[], Awaitable[object]],
        problems: Callable[[], Sequence[str]],
        limit: float = LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ping = ping
        self._problems = problems
        self._limit = limit
        self._clock = clock
        self._migrated = self._warm = self._leaving = False
        self._kept: tuple[float, str] | None = None
        self._asking: asyncio.Task[str] | None = None
        self._given_up: set[asyncio.Future[object]] = set()

    def migrated(self) -> None:
        """Say that the tables are up to date."""
        self._migrated = True

    def warm(self) -> None:
        """Say that the first loading of the embedder is over, however it ended."""
        self._warm = True

    def leave(self) -> None:
        """Say that this process shuts down: from now on it is not ready."""
        self._leaving = True

    async def startup(self) -> Readiness:
        """Return "ready" once the start is over, "unready" before."""
        missing = [what for what, done in (("migrations", self._migrated), ("the embedder", self._warm)) if not done]
        return Readiness(state=UNREADY if missing else READY, reasons=tuple(missing))

    async def readiness(self) -> Readiness:
        """Return whether this process can serve now. Takes at most two seconds, and asks SQL at most once in one."""
        if self._leaving or not self._migrated:
            return Readiness(state=UNREADY, reasons=("it shuts down" if self._leaving else "it starts",))
        problem = await self._sql()
        if self._leaving:
            return Readiness(state=UNREADY, reasons=("it shuts down",))
        if problem:
            return Readiness(state=UNREADY, reasons=(problem,))
        bad = tuple(self._problems())
        return Readiness(state=DEGRADED if bad else READY, reasons=bad)

    async def _sql(self) -> str:
        if self._kept and self._clock() - self._kept[0] < KEEP_SECONDS:
            return self._kept[1]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._asked())
        return await asyncio.shield(self._asking)  # who asked first may go away while others wait

    async def _asked(self) -> str:
        task = asyncio.ensure_future(self._ping())
        done, _ = await asyncio.wait({task}, timeout=self._limit)
        problem = ""
        if not done:  # it is not waited for: what hangs may not even notice that it is cancelled
            self._given_up.add(task)
            task.add_done_callback(self._forget)
            task.cancel()
            problem = "the database does not answer"
        elif error := task.exception():
            full = isinstance(error, OSError) and error.errno == errno.ENOSPC
            if not isinstance(error, EngineError) and not full:
                logger.error("the database could not be asked", exc_info=error)
            problem = "the disk of the data folder is full" if full else "the database does not answer"
        self._kept = (self._clock(), problem)
        return problem

    def _forget(self, task: asyncio.Future[object]) -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()
