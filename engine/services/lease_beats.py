"""Keeping a lease while work goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from engine.errors import EngineError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def beating(prolong: Callable[[], Awaitable[object]], *, every_seconds: float, what: str) -> AsyncIterator[None]:
    """Call `prolong` every so many seconds meanwhile; a time that fails is logged, for the next one may reach the database."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await prolong()
            except EngineError as error:
                logger.warning("the lease of %s could not be prolonged: %s", what, error)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
