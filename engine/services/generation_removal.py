"""Removing what generations out of use hold: chunks, vectors that nobody else needs, places in stores."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from engine.database import generations
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.ingestion_models import Generation
from engine.database.provider_models import SpaceRow
from engine.services.generation_infos import REVERT_PERIOD
from engine.services.spaces import Spaces

LONG_AGO = timedelta(days=3650)  # a space that retired then is swept whatever the period is


class GenerationRemoval:
    """Small transactions, each of which can be the last: what is left is removed the next time."""

    def __init__(self, *, database: Database, spaces: Spaces, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._spaces = spaces
        self._clock = clock

    async def purge(self) -> None:
        """Remove failed and cancelled generations, and former ones after seven days. For the engine itself."""
        async with self._database.read() as session:
            rows = await generations.removable(session, before=self._clock() - REVERT_PERIOD)
        for row in rows:
            await self.remove(row)

    async def remove(self, row: Generation) -> None:
        """Remove the content of a generation; its row stays as a record."""
        more = True
        while more:
            async with self._database.write() as session:
                more = await generations.remove_some(session, row)
        async with self._database.write() as session:
            current = await session.get_one(Generation, row.id)
            space, current.space = current.space, ""
            known = await session.get(SpaceRow, space) if space else None
            if known is not None:
                known.retired_at = self._clock() - LONG_AGO
            details = {"object_type": "collection", "generation": row.id, "state": row.state}
            await record(session, None, "generation.remove", row.collection_id, **details)
        if space:
            await self._spaces.sweep(older_than=LONG_AGO - timedelta(days=1), collection_id=row.collection_id)
