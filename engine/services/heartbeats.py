"""Which processes are alive: each says so every 15 seconds, in SQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import now
from engine.database.database import Database
from engine.database.operations_models import Heartbeat
from engine.errors import EngineError
from engine.services.replicas import Replica

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
ALIVE = timedelta(seconds=60)  # three may get lost
KEPT = timedelta(days=1)
SERVER, WORKER = "server", "worker"


class Heartbeats:
    """The heart of a process. `kind` is "server" or "worker"; `facts` are what the health page shows: version, slots, host."""

    def __init__(self, *, database: Database, replica: Replica, facts: Mapping[str, object], kind: str = SERVER) -> None:
        self._kind = kind
        self._database = database
        self._id = replica.process
        self._facts = dict(facts)
        self._started_at = now()

    async def run(self) -> None:
        """Beat until cancelled; a beat that fails is passed over, for the next one says the same."""
        while True:
            try:
                await self.beat()
            except EngineError as error:
                logger.warning("this process could not say that it is alive: %s", error)
            except Exception:  # whatever it was, the next beat tries again
                logger.exception("this process could not say that it is alive")
            await asyncio.sleep(EVERY_SECONDS)

    async def beat(self) -> None:
        """Say that this process is alive, and remove those that have not been for a day. Raises StoreError."""
        moment = now()
        async with self._database.write() as session:
            row = await session.get(Heartbeat, self._id)
            if row is None:
                made = Heartbeat(id=self._id, kind=self._kind, started_at=self._started_at, at=moment, facts=self._facts)
                session.add(made)
            else:
                row.at = moment
            await session.execute(delete(Heartbeat).where(Heartbeat.at < moment - KEPT))

    async def close(self) -> None:
        """Take this process off the list. Never raises: without it the row is old in a minute."""
        try:
            async with self._database.write() as session:
                await session.execute(delete(Heartbeat).where(Heartbeat.id == self._id))
        except Exception:  # whatever it was, everything else still has to be closed
            logger.exception("this process is still on the list of those that are alive")


async def alive(session: AsyncSession, *kinds: str) -> list[Heartbeat]:
    """Return the processes of these kinds (none given: servers) that said within a minute that they are alive, by name."""
    query = select(Heartbeat).where(Heartbeat.kind.in_(kinds or (SERVER,)), Heartbeat.at >= now() - ALIVE)
    return list(await session.scalars(query.order_by(Heartbeat.id)))


async def slots(session: AsyncSession) -> int:
    """Return how many documents the processes that are alive can work on at the same time."""
    return sum(int(beat.facts.get("slots", 0)) for beat in await alive(session, SERVER, WORKER))
