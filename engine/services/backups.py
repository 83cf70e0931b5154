"""Backups as admins and operators see them: made while the server works, verified, restored for a test."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import leases
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.columns import new_id, now
from engine.database.database import Database
from engine.database.ingestion_models import Backup
from engine.errors import EngineError, InputError, NotFound
from engine.keeping_views import BackupInfo, BackupReport
from engine.security.sealed_stream import check_passphrase
from engine.services.accounts import require_operator, require_role
from engine.services.backup_reading import check_backup
from engine.services.backup_trial import IndexesOf, tried
from engine.services.backup_writing import Source, write_backup
from engine.services.lease_beats import beating
from engine.settings import Settings
from engine.types import Principal, Role

logger = logging.getLogger(__name__)

LOCAL_ID = "local"
"""The user id of the command line: whoever runs it can write files on this machine anyway."""
SHOWN = 200
BEAT_SECONDS, DEAD_SECONDS = 20.0, 90.0
DIED = "the server ended while it was made; nothing else was touched"


class Backups:
    """The backups that this installation made. `clock` is the wall clock, in UTC."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        settings: Settings,
        secret: str,
        indexes_of: IndexesOf,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._settings = settings
        self._secret = secret
        self._indexes_of = indexes_of
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._owner = new_id()[:20]
        self.clock = clock
        self.folder = Path(settings.backups.folder) if settings.backups.folder else settings.data_dir / "backups"

    async def backup(self, principal: Principal, target: Path | None = None, *, passphrase: str = "") -> BackupReport:
        """Make a backup; others go on working. `target` is a name in the folder of backups (None: one with the time).

        A path elsewhere is for the command line only. Raises AccessDenied, InputError, StoreError.
        """
        require_role(principal, Role.ADMIN)
        if passphrase:
            check_passphrase(passphrase)
        path = self._where(principal, target or self._name())
        return await self.make(principal, path, await self.begin(path, passphrase=passphrase), passphrase=passphrase)

    async def start_backup(self, principal: Principal) -> BackupInfo:
        """Begin a backup in the folder of backups, with the passphrase of the settings, and return it as it runs.

        Raises AccessDenied; InputError while another one is being made here.
        """
        require_role(principal, Role.ADMIN)
        async with self._starting:  # two presses at once are one backup
            if self._tasks:
                raise InputError("a backup is being made already", hint="Wait until it is done.")
            path = self.new_path()
            row = await self.begin(path, passphrase=self._passphrase)
            task = asyncio.create_task(self._alone(principal, path, row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return _info(row)

    async def close(self) -> None:
        """Give up a backup that is being made."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _alone(self, principal: Principal, path: Path, row: Backup) -> None:
        try:
            await self.make(principal, path, row, passphrase=self._passphrase)
        except EngineError as error:  # the row tells
            logger.warning("a backup failed: %s", error)

    async def backups(self, principal: Principal) -> list[BackupInfo]:
        """Return the newest 200 backups that were made or begun here, newest first. Raises AccessDenied for analysts."""
        require_operator(principal)
        async with self._database.read() as session:
            rows = list(await session.scalars(select(Backup).order_by(Backup.started_at.desc(), Backup.id).limit(SHOWN)))
            dead = {row.id for row in await self._dead(session)}
            return [replace(_info(row), state="failed", detail=DIED) if row.id in dead else _info(row) for row in rows]

    async def verify_backup(self, principal: Principal, source: Path, *, passphrase: str = "") -> BackupReport:
        """Read a backup whole, and compare its checksums, counts and audit; `problems` tell what is wrong.

        Raises AccessDenied; InputError when it cannot be read at all, or the passphrase is wrong.
        """
        require_role(principal, Role.ADMIN)
        path, started, outcome = self._where(principal, source), time.perf_counter(), "failure"
        try:
            found = await check_backup(path, self._settings.data_dir, passphrase=passphrase or self._passphrase)
            outcome = "failure" if found.problems else "success"
        finally:
            async with self._database.write() as session:
                await record(session, principal, "backup.verify", path.name, outcome=outcome)
        return found.report(path, time.perf_counter() - started)

    async def test_backup(self, principal: Principal, backup_id: str, *, passphrase: str = "") -> BackupInfo:
        """Restore a backup to an empty place, compare, search there, and note what came of it.

        Raises AccessDenied, NotFound.
        """
        require_role(principal, Role.ADMIN)
        return await self.test(principal, backup_id, passphrase=passphrase or self._passphrase)

    # --- for the schedule, too ---------------------------------------------------------------------------------------

    async def begin(self, path: Path, *, passphrase: str, scheduled: bool = False) -> Backup:
        """Note that a backup to `path` begins. Raises StoreError."""
        name = path.name if path.parent == self.folder else str(path)
        row = Backup(name=name, scheduled=scheduled, encrypted=bool(passphrase), started_at=self.clock())
        async with self._database.write() as session:
            for dead in await self._dead(session):
                dead.state, dead.ended_at, dead.detail = "failed", self.clock(), DIED
            session.add(row)
            await session.flush()
            await self._beat(session, row.id)
        return row

    async def make(self, principal: Principal | None, path: Path, row: Backup, *, passphrase: str) -> BackupReport:
        """Write the backup whose row is `row`, and return what is in it. Raises InputError, StoreError."""
        started = time.perf_counter()
        source = Source(
            database=self._database,
            blobs=self._blobs,
            secret=self._secret,
            checkpoints=self._settings.audit.checkpoints(self._settings.data_dir),
            work=self._settings.data_dir,
        )
        try:
            async with beating(lambda: self._prolong(row.id), every_seconds=BEAT_SECONDS, what="a backup"):
                found = await write_backup(source, path, passphrase=passphrase)
                sha256 = await asyncio.to_thread(_sha256, path)
        except BaseException as error:  # also when it is cut off: a row that runs for ever would hide it
            why = str(error) if isinstance(error, EngineError) else "it was interrupted"
            await asyncio.shield(self._failed(principal, row.id, why))
            raise
        report = found.report(path, time.perf_counter() - started)
        async with self._database.write() as session:
            kept = await session.get_one(Backup, row.id)
            kept.state, kept.ended_at, kept.sha256 = "done", self.clock(), sha256
            kept.size_bytes, kept.rows, kept.files = report.size_bytes, report.rows, report.files
            kept.documents, kept.detail = found.rows["documents"], "; ".join(report.problems)
            details: dict[str, Any] = {"rows": report.rows, "files": report.files, "encrypted": report.encrypted}
            await record(session, principal, "backup.create", path.name, scheduled=row.scheduled, **details)
        return report

    async def test(self, principal: Principal | None, backup_id: str, *, passphrase: str) -> BackupInfo:
        """As `test_backup`, for whoever may."""
        async with self._database.read() as session:
            row = await session.get(Backup, backup_id)
        if row is None or row.state != "done":
            raise NotFound("there is no such backup", hint="Choose one from the list that is done.")
        try:
            path = self.folder / row.name  # an absolute name stays what it is
            detail = await tried(path, self._settings, self._indexes_of, passphrase=passphrase if row.encrypted else "")
            ok = True
        except EngineError as error:
            ok, detail = False, str(error)
        async with self._database.write() as session:
            row = await session.get_one(Backup, backup_id)
            row.tested_at, row.test_ok, row.detail = self.clock(), ok, detail
            outcome = "success" if ok else "failure"
            await record(session, principal, "backup.verify", Path(row.name).name, outcome=outcome, restored=True)
        return _info(row)

    def new_path(self) -> Path:
        """Return where the next scheduled backup goes."""
        return self.folder / self._name()

    @property
    def _passphrase(self) -> str:
        return self._settings.backups.passphrase.get_secret_value()

    def _name(self) -> Path:
        return Path(f"workbench-{self.clock():%Y%m%d-%H%M%S}-{new_id()[:4]}.tar")

    def _where(self, principal: Principal, target: Path) -> Path:
        if principal.user_id == LOCAL_ID:
            return target.absolute() if target.parent != Path() or target.exists() else self.folder / target
        if target.name != str(target) or target.name.startswith(".") or not target.name.isprintable():
            raise InputError("a backup has a plain name here, without folders", hint="Paths are for the command line.")
        return self.folder / target

    async def _dead(self, session: AsyncSession) -> list[Backup]:
        """Return the backups that nobody makes any more, although their rows say so."""
        rows = {f"lease:{row.id}": row for row in await session.scalars(select(Backup).where(Backup.state == "running"))}
        alive = await leases.held(session, list(rows), seconds=DEAD_SECONDS, moment=self.clock())
        return [row for name, row in rows.items() if name not in alive]

    async def _beat(self, session: AsyncSession, backup_id: str) -> None:
        await leases.take(session, f"lease:{backup_id}", self._owner, seconds=DEAD_SECONDS, moment=self.clock())

    async def _prolong(self, backup_id: str) -> None:
        async with self._database.write() as session:
            await self._beat(session, backup_id)

    async def _failed(self, principal: Principal | None, backup_id: str, why: str) -> None:
        try:
            async with self._database.write() as session:
                row = await session.get_one(Backup, backup_id)
                row.state, row.ended_at, row.detail = "failed", self.clock(), why
                await record(session, principal, "backup.create", Path(row.name).name, outcome="failure")
        except EngineError as error:  # the next look of the schedule finds it without a worker
            logger.warning("a backup that failed could not be noted: %s", error)


async def newest(session: AsyncSession, *, scheduled: bool = True) -> list[Backup]:
    """Return the scheduled backups, newest first."""
    query = select(Backup).where(Backup.scheduled.is_(scheduled)).order_by(Backup.started_at.desc(), Backup.id)
    return list(await session.scalars(query))


def _info(row: Backup) -> BackupInfo:
    return BackupInfo(
        id=row.id,
        name=row.name,
        scheduled=row.scheduled,
        state=row.state,
        size_bytes=row.size_bytes,
        documents=row.documents,
        rows=row.rows,
        files=row.files,
        encrypted=row.encrypted,
        sha256=row.sha256,
        started_at=row.started_at,
        ended_at=row.ended_at,
        tested_at=row.tested_at,
        test_ok=row.test_ok,
        detail=row.detail,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
