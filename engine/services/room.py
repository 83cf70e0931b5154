"""Room on the disk of the data folder: what is large is refused before it is written, so that the rest can go on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.database.blobs import FULL
from engine.errors import StoreError

RESERVE_BYTES = 256 << 20  # left for sign-ins, chats, the audit and plain uploads
HINT = "Nothing of it was kept. Ask an operator to make room on the disk of the data folder; then try again."


def free_bytes(folder: Path) -> int:
    """Return how many bytes this account may still write there. Blocking."""
    return shutil.disk_usage(folder).free


class Room:
    """One a process, so that what is being written at the same time is counted together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._promised = 0

    @asynccontextmanager
    async def promised(self, size_bytes: int, what: str) -> AsyncIterator[None]:
        """Keep so many bytes for `what` ("this import") meanwhile.

        Raises StoreError when too little is free, and when the disk gets full all the same.
        """
        left = await asyncio.to_thread(free_bytes, self._folder) - self._promised - RESERVE_BYTES
        if size_bytes > left:
            needed = f"it needs about {max(1, size_bytes >> 20):,} MB, and {max(0, left) >> 20:,} MB may be used"
            raise StoreError(f"the disk has no room for {what}: {needed}", hint=HINT)
        self._promised += size_bytes
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise StoreError(f"the disk has no room for {what}: {error.strerror}", hint=HINT) from error
        finally:
            self._promised -= size_bytes
