"""Who may write to a space: one process at a time, and another when that one is gone."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import or_, update

from engine.database.columns import now
from engine.database.database import Database, changed
from engine.database.provider_models import SpaceRow
from engine.errors import StoreError

logger = logging.getLogger(__name__)

LEASE_SECONDS = 45.0  # what the other replicas wait for after a crash
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1
SWEEP_SECONDS = 3600.0  # the longest lease: removing a retired space


class SpaceLeases:
    """The leases of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._me = uuid.uuid4().hex

    @asynccontextmanager
    async def held(self, space: str) -> AsyncIterator[None]:
        """Hold the lease, prolonged while the block runs. Raises StoreError when another process has it for a minute."""
        end = time.monotonic() + WAIT_SECONDS
        while not await self.claimed(space, seconds=LEASE_SECONDS):
            if time.monotonic() > end:
                raise StoreError("another process is writing to the vector store for long", hint="Try again in a moment.")
            await asyncio.sleep(POLL_SECONDS)
        beat = asyncio.create_task(self._beat(space))
        try:
            yield
        finally:
            beat.cancel()
            await self.release(space)

    async def claimed(self, space: str, *, seconds: float, retired: bool = False) -> bool:
        """Take or prolong the lease, if nobody else has it; with `retired` only of a space that is out of use."""
        longest = timedelta(seconds=SWEEP_SECONDS if retired else LEASE_SECONDS)
        # From the future: the clock of whoever wrote it is wrong, and nobody waits for it to come true.
        lapsed = or_(SpaceRow.lease_until < now(), SpaceRow.lease_until > now() + 2 * longest)
        free = or_(SpaceRow.owner == "", SpaceRow.owner == self._me, lapsed)
        which = (SpaceRow.id == space) & free & (SpaceRow.retired_at.is_not(None) if retired else True)
        async with self._database.write() as session:
            values = {"owner": self._me, "lease_until": now() + timedelta(seconds=seconds)}
            return await changed(session, update(SpaceRow).where(which).values(**values)) > 0

    async def release(self, space: str) -> None:
        """Give the lease back."""
        async with self._database.write() as session:
            await session.execute(update(SpaceRow).where(SpaceRow.id == space, SpaceRow.owner == self._me).values(owner=""))

    async def _beat(self, space: str) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self.claimed(space, seconds=LEASE_SECONDS)
            except StoreError as error:
                logger.warning("the lease of space %s could not be prolonged: %s", space, error)
