"""The saved files of local indexes, as far as SQL knows them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import select

from engine.database.database import Database
from engine.database.models import Snapshot
from engine.errors import StoreError
from engine.stores.snapshot import fingerprint


class IndexFiles:
    """The folder of `engine.services.indexes`, looked at without opening an index."""

    def __init__(self, *, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def damaged(self, collection_id: str) -> bool:
        """Whether the saved files of a collection are not the ones that SQL knows. Raises StoreError for the database."""
        async with self._database.read() as session:
            saved = await session.get(Snapshot, collection_id)
        if saved is None:
            return False
        try:
            return await asyncio.to_thread(fingerprint, self._folder / collection_id / saved.folder) != saved.sha256
        except StoreError:
            return True

    async def leftovers(self, *, before: float) -> list[Path]:
        """Return the folders that a crash left while saving: older than `before` (Unix seconds), and no row names them."""
        there = [path for path in self._folder.glob("*/*") if path.is_dir() and path.parent.name != "work"]
        old = [path for path in there if path.stat().st_mtime < before]
        async with self._database.read() as session:  # after the folders were listed: what came meanwhile is not among them
            named = {(row.collection_id, row.folder) for row in await session.scalars(select(Snapshot))}
        return [path for path in old if (path.parent.name, path.name) not in named]
