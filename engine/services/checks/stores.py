"""One check for each vector store: that of new collections, those that hold one, and those that were added."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from engine import registry
from engine.database.database import Database
from engine.database.models import Collection
from engine.monitoring.health import HealthCheck, Outcome
from engine.operations_views import Dependency
from engine.services.configuration import Configured
from engine.services.parts import Parts

LIMIT_SECONDS = 10.0
EFFECT = "Its collections are searched by words only, and answers say so; nothing is lost, for the vectors are in SQL, too."
NOWHERE = "health"  # a space that is never written: an empty index to every store


class StoreChecks:
    """Makes the checks of what is configured now."""

    def __init__(self, *, database: Database, configured: Configured, parts: Parts) -> None:
        self._database = database
        self._configured = configured
        self._parts = parts

    async def all(self) -> list[HealthCheck]:
        """Return a check for each store. Raises StoreError."""
        live = await self._configured.current()
        added = [name for name, row in live.providers.items() if "store" in registry.roles(row.kind)]
        query = select(Collection.store, func.count()).group_by(Collection.store).order_by(Collection.store)
        async with self._database.read() as session:
            used = {name: count for name, count in await session.execute(query)}
        names = dict.fromkeys([live.choices.store, *used, *added])
        return [self._check(name, used.get(name, 0)) for name in names]

    def _check(self, name: str, collections: int) -> HealthCheck:
        async def run(_asked: bool) -> Outcome:
            told = f"{collections} collection{'s' * (collections != 1)}"
            if not await self._parts.keeps_itself(name):
                return Outcome(detail=f"{told}; it lives in this process and is rebuilt from the database")
            query = select(Collection).where(Collection.store == name, Collection.space != "").limit(1)
            async with self._database.read() as session:
                row = await session.scalar(query)
            store = await self._parts.store(name, dimension=row.dimension if row else 3, space=row.space if row else NOWHERE)
            try:
                count = await asyncio.to_thread(store.count)
            finally:
                await asyncio.to_thread(store.close)
            return Outcome(detail=f"{told}; it answers" + (f", {count} vectors in one of them" if row else ""))

        return HealthCheck(
            name=f"store {name}",
            run=run,
            limit=LIMIT_SECONDS,
            dependency=str(Dependency(operation="store", provider=name)),
            effect=EFFECT if collections else "New collections cannot be kept in it.",
            serving=bool(collections),
        )
