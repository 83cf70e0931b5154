"""Keeps the audit company while the engine runs: signed checkpoints outside of the database, and rows of start and stop."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time

from sqlalchemy.engine import make_url

import engine
from engine.database.audit import record
from engine.database.audit_chain import head_of
from engine.database.audit_checkpoints import Checkpoint, Checkpoints
from engine.database.columns import now
from engine.database.database import Database
from engine.errors import EngineError
from engine.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0


def checkpoints_of(settings: Settings, key: bytes) -> Checkpoints:
    """Return the file of checkpoints that the settings name."""
    return Checkpoints(settings.audit.checkpoints(settings.data_dir), key)


class AuditKeeper:
    """One a process. `run` belongs into a background task of a server; `close` is called at the end of every process."""

    def __init__(self, *, database: Database, key: bytes, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._checkpoints = checkpoints_of(settings, key)
        self._serving = False
        self.problem = ""
        """Why the last checkpoint could not be made, "" when it could."""

    async def checkpoint(self) -> bool:
        """Sign what the audit is now, outside of the database; nothing when it is not newer. Raises StoreError."""
        async with self._database.read() as session:
            head = await head_of(session)
        if not head.hash:
            return False
        made = Checkpoint(at=now(), rows=head.written, seq=head.seq, hash=head.hash)
        return await asyncio.to_thread(self._checkpoints.append, made)

    async def run(self) -> None:
        """Make a checkpoint now, and whenever so many minutes are over or so many rows were written by this process."""
        limits = self._settings.audit
        at, seq = -float("inf"), 0
        while True:
            late = time.monotonic() - at >= limits.checkpoint_minutes * 60
            if late or self._database.audit.newest - seq >= limits.checkpoint_rows:
                at, seq = time.monotonic(), self._database.audit.newest
                try:
                    await self.checkpoint()
                    self.problem = ""
                except EngineError as error:  # the next one comes; until then a cut tail could not be proved
                    self.problem = str(error)
                    logger.error("the audit has no new checkpoint: %s", error)  # noqa: TRY400 - the message says it all
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def started(self) -> None:
        """Record that a server starts, and with which settings: a hash over all but the secrets. Raises StoreError."""
        self._serving = True
        settings = self._settings
        where = make_url(settings.url).render_as_string(hide_password=True)
        told = settings.model_dump_json(exclude={"secret_key", "database_url"}) + where
        async with self._database.write() as session:
            digest = hashlib.sha256(told.encode()).hexdigest()
            await record(session, None, "system.start", version=engine.__version__, settings_sha256=digest)

    async def close(self) -> None:
        """Record that the server stops, and make a last checkpoint if this process wrote anything."""
        try:
            if self._serving:
                async with self._database.write() as session:
                    await record(session, None, "system.stop")
            if self._database.audit.newest:
                await self.checkpoint()
        except EngineError as error:  # what the process did is done; the next one makes the next checkpoint
            logger.error("the end of this process has no checkpoint: %s", error)  # noqa: TRY400 - the message says it all
