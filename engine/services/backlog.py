"""How far stores that keep their vectors are behind SQL, and who makes them follow when nobody asks anything."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection, Version
from engine.database.provider_models import SpaceRow
from engine.errors import EngineError
from engine.services.spaces import Spaces

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
SETTLED = timedelta(seconds=60)  # a store that counts late is not suspected of having lost something


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A space that does not know of the last `changes` of its collection, the oldest of which was made at `since`."""

    collection_id: str
    collection: str
    store: str
    changes: int
    since: datetime


async def behind(session: AsyncSession) -> list[Behind]:
    """Return the spaces in use that are behind, the longest first."""
    lacks = or_(Version.live_seq > SpaceRow.seq, Version.dead_seq > SpaceRow.seq)
    since = func.min(Version.updated_at)
    query = (
        select(Collection.id, Collection.name, Collection.store, func.count(), since)
        .join(SpaceRow, SpaceRow.id == Collection.space)
        .join(Version, (Version.collection_id == Collection.id) & lacks)
        .group_by(Collection.id, Collection.name, Collection.store)
        .order_by(since)
    )
    return [
        Behind(collection_id=key, collection=name, store=store, changes=count, since=oldest)
        for key, name, store, count, oldest in await session.execute(query)
    ]


async def by_store(session: AsyncSession, moment: datetime) -> dict[str, tuple[int, float]]:
    """Return name of each store in use that keeps its vectors -> (changes that it lacks, seconds since the oldest of them)."""
    used = select(Collection.store).where(Collection.space != "").distinct()
    found = dict.fromkeys(await session.scalars(used), (0, 0.0))
    for one in await behind(session):
        changes, seconds = found.get(one.store, (0, 0.0))
        found[one.store] = (changes + one.changes, max(seconds, (moment - one.since).total_seconds()))
    return found


class Follower:
    """Lets every space follow SQL within seconds of its store's return, and looks whether one lost what it had."""

    def __init__(self, *, database: Database, spaces: Spaces) -> None:
        self._database = database
        self._spaces = spaces

    async def run(self) -> None:
        """Look until cancelled; deletions reach a store this way also when nobody asks a question."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.look()
            except EngineError as error:  # the database is away for a moment
                logger.warning("stores could not be looked after: %s", error)
            except Exception:  # whatever it was, the next look tries again
                logger.exception("looking after the stores failed")

    async def look(self) -> None:
        """Bring what is behind up to date, one collection after another. Raises StoreError for the database."""
        async with self._database.read() as session:
            late = {one.collection_id for one in await behind(session)}
            rows = list(await session.scalars(select(Collection).where(Collection.space != "")))
            newest = select(Version.collection_id, func.max(Version.updated_at)).group_by(Version.collection_id)
            quiet = {key for key, at in await session.execute(newest) if at < now() - SETTLED}
        for row in rows:
            try:
                if row.id in late or (row.id in quiet and await self._spaces.lost(row)):
                    await self._spaces.current(row)
            except EngineError as error:
                logger.info("the store of collection %s cannot follow: %s", row.id, error)
