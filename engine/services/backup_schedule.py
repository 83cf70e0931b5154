"""Backups at set times: one process makes them, restores each for a test, and removes old ones of its own making."""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete

from engine.database import leases
from engine.database.database import Database
from engine.database.ingestion_models import Backup
from engine.errors import EngineError
from engine.sections import Backups as Rules
from engine.services.backups import DIED, Backups, newest
from engine.services.lease_beats import beating

logger = logging.getLogger(__name__)

LEASE = "lease:backups"
LEASE_SECONDS = 90.0
BEAT_SECONDS = 20.0
LOOK_SECONDS = 60.0
SOON = timedelta(hours=1)
"""A backup that failed is tried again after this, or earlier where they are made more often."""


class BackupSchedule:
    """One a process; `run` belongs into a background task. A lease lets one process at a time do the work."""

    def __init__(self, *, database: Database, backups: Backups, rules: Rules) -> None:
        self._database = database
        self._backups = backups
        self._rules = rules
        self._owner = uuid.uuid4().hex[:20]

    async def run(self) -> None:
        """Look until it is cancelled; at once over where nothing is scheduled."""
        while self._rules.every_hours:
            try:
                await self.look()
            except EngineError as error:  # told by the row and the health page; the next look tries again when it is time
                logger.warning("the scheduled backup failed: %s", error)
            except Exception:  # whatever it was, backups must not end with it
                logger.exception("the scheduled backup failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Make a backup if it is time and this process's turn, and tell whether. Raises StoreError, InputError."""
        if not await self._take():
            return False
        async with beating(self._take, every_seconds=BEAT_SECONDS, what="the scheduled backup"):
            if not await self._due():
                return False
            passphrase = self._rules.passphrase.get_secret_value()
            path = self._backups.new_path()
            row = await self._backups.begin(path, passphrase=passphrase, scheduled=True)
            await self._backups.make(None, path, row, passphrase=passphrase)
            if self._rules.test_restore:
                tested = await self._backups.test(None, row.id, passphrase=passphrase)
                if not tested.test_ok:
                    logger.error("the backup %s could not be restored for a test: %s", path.name, tested.detail)
            await self._rotate()
            return True

    async def _due(self) -> bool:
        moment, every = self._backups.clock(), timedelta(hours=self._rules.every_hours)
        async with self._database.write() as session:
            rows = await newest(session)
            for row in rows:
                if row.state == "running":  # whoever made it has the lease no more, so it is not there any more
                    row.state, row.ended_at, row.detail = "failed", moment, DIED
        if not rows:
            return True
        age = moment - rows[0].started_at
        return age >= (every if rows[0].state == "done" else min(every, SOON))

    async def _rotate(self) -> None:
        """Remove what is over `keep`, but never the newest one that a test restored."""
        async with self._database.read() as session:
            rows = await newest(session)
        done = [row for row in rows if row.state == "done"]
        kept = {row.id for row in [*done[: self._rules.keep], *[row for row in done if row.test_ok][:1]]}
        kept |= {row.id for row in [row for row in rows if row.state != "done"][: self._rules.keep]}
        for row in rows:
            if row.id in kept:
                continue
            if row.state == "done":  # a name in our own folder: scheduled ones are nowhere else
                await asyncio.to_thread((self._backups.folder / Path(row.name).name).unlink, missing_ok=True)
            async with self._database.write() as session:
                await session.execute(delete(Backup).where(Backup.id == row.id))

    async def _take(self) -> bool:
        async with self._database.write() as session:
            return await leases.take(session, LEASE, self._owner, seconds=LEASE_SECONDS, moment=self._backups.clock())
