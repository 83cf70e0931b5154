"""A backup becomes an installation, in an empty data folder and an empty database; needs no running workbench.

Everything is unpacked and compared first, below `restoring` in the data folder; only then rows go into the database, which is
marked meanwhile (`engine.database.restoring`). After an interruption, wherever it was, the same command begins again. Passwords
of files stay sealed and the audit goes on, because the secret of the old place comes along.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.database import restoring
from engine.database.audit import record
from engine.database.audit_checkpoints import Checkpoints
from engine.database.audit_verify import verify
from engine.database.columns import now
from engine.database.database import Database
from engine.errors import BrokenFile, ConfigError, EngineError, InputError, StoreError
from engine.keeping_views import BackupReport
from engine.security.sealing import audit_key
from engine.services.backup_reading import CHECKPOINTS, SECRETS, Contents, check_backup, lines_of, read_backup, secret_of
from engine.settings import Settings
from engine.types import Principal

STAGING = "restoring"
_OURS = ("blobs", SECRETS, CHECKPOINTS, "indexes", "stores")
_SQLITE = ("", "-wal", "-shm")

Reached = Callable[[str], None]


async def restore(
    settings: Settings,
    source: Path,
    *,
    passphrase: str = "",
    force: bool = False,
    principal: Principal | None = None,
    durable: bool = True,
    reached: Reached = lambda _: None,
) -> BackupReport:
    """Restore the backup `source` to the data folder and the database of `settings`, and return what came.

    With `force`, what is in the data folder is moved aside and the tables of a database server are removed, after the backup
    was verified. Without `durable` a power cut right afterwards may cost files: for a place that is thrown away. `reached` is
    told each step. Raises InputError when there is something already, BrokenFile for a damaged backup, ConfigError when the
    settings name another secret, StoreError.
    """
    started = time.perf_counter()
    place = _Place(settings, source)
    await place.prepare(passphrase, force=force)
    reached("prepared")
    try:
        found = await asyncio.to_thread(read_backup, source, place.staging, passphrase=passphrase)
    except EngineError:
        await asyncio.to_thread(shutil.rmtree, place.staging)
        raise
    if found.problems:
        await asyncio.to_thread(shutil.rmtree, place.staging)
        raise BrokenFile(
            f"the backup is damaged, so nothing was restored: {'; '.join(found.problems[:3])}", hint="Use another copy of it."
        )
    reached("unpacked")
    database = Database(settings.url, audit_key=audit_key(place.secret()))
    try:
        await _fill(database, place, found, reached)
        await asyncio.to_thread(place.put_files)
        if durable:
            await asyncio.to_thread(os.sync)
        reached("files")
        await _finish(database, place, found, principal)
        await asyncio.to_thread(shutil.rmtree, place.staging)
        reached("finished")
        await restoring.end(database)  # last: from here on a server may write, and nothing may be begun again
    finally:
        await database.close()
    report = found.report(source, time.perf_counter() - started)
    missing = found.manifest["missing_files"]
    return replace(report, problems=(f"{len(missing)} originals are not in the backup",) if missing else ())


class _Place:
    """Where a backup is restored to: the data folder, and SQLite where it is a file."""

    def __init__(self, settings: Settings, source: Path) -> None:
        self._settings, self.source = settings, source
        self.folder = settings.data_dir
        self.staging = settings.data_dir / STAGING

    async def prepare(self, passphrase: str, *, force: bool) -> None:
        """Refuse what is in use, remove what an interrupted restore left, and make the empty folder for unpacking."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # originals are nobody else's on this machine
        begun, bare = False, False
        database = Database(self._settings.url)
        if not database.is_sqlite or Path(str(database.url.database)).exists():
            try:
                begun = await restoring.check_room(database, force=force)
                bare = await restoring.is_bare(database)
            finally:
                await database.close()
        # Unpacking goes before the mark: a folder that it left says nothing of what came into this place since.
        here = [path for path in self._files(database=not bare) if path.exists()]
        if here and not begun and not force:
            raise InputError(
                f"the data folder is not empty ({here[0].name} is there), so nothing was restored",
                hint="Name an empty data folder and an empty database; or --force, which moves aside what is there.",
            )
        if begun:
            await asyncio.to_thread(_remove, here)
        elif here:  # nothing goes before it is sure that the backup is whole
            await check_backup(self.source, self.folder, passphrase=passphrase)
            await asyncio.to_thread(self._move_aside, here)
        await asyncio.to_thread(shutil.rmtree, self.staging, ignore_errors=True)
        self.staging.mkdir(parents=True, mode=0o700)

    def secret(self) -> str:
        """Return the secret of the backup. Raises ConfigError when the settings name another one."""
        secret, given = secret_of(self.staging), self._settings.secret_key.get_secret_value()
        if given and given != secret:
            raise ConfigError(
                "secret_key in the settings is not the one of the backup, so nothing was restored",
                hint="Set the one of the place where the backup was made, or none: it comes with the backup.",
            )
        return secret

    def put_files(self) -> None:
        """Put originals, the secret and the checkpoints in their places. What they replace is an interrupted restore's."""
        checkpoints = self._settings.audit.checkpoints(self.folder)
        if checkpoints.exists():  # outside of the data folder: it may know more than the backup
            checkpoints.replace(checkpoints.with_name(f"{checkpoints.name}.{now():%Y%m%d-%H%M%S}"))
        (self.staging / "blobs").mkdir(exist_ok=True)
        for name, target in (("blobs", self.folder / "blobs"), (CHECKPOINTS, checkpoints), (SECRETS, self.folder / SECRETS)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.staging / name, target)
        (self.folder / SECRETS).chmod(0o600)

    def checkpoints(self, key: bytes) -> Checkpoints:
        """Return the checkpoints as they lie now."""
        return Checkpoints(self._settings.audit.checkpoints(self.folder), key)

    def _files(self, *, database: bool) -> list[Path]:
        ours = [self.folder / name for name in _OURS]
        url = Database(self._settings.url).url
        if database and url.get_backend_name() == "sqlite":
            file = Path(str(url.database))
            ours += [file.with_name(file.name + end) for end in _SQLITE]
        return ours

    def _move_aside(self, paths: list[Path]) -> None:
        aside = self.folder / f"replaced-{now():%Y%m%d-%H%M%S}"
        aside.mkdir(parents=True, mode=0o700)
        for path in paths:
            shutil.move(path, aside / path.name)


async def _fill(database: Database, place: _Place, found: Contents, reached: Reached) -> None:
    await restoring.begin(database)
    await database.upgrade(str(found.manifest["revision"]))
    reached("tables made")
    async with database.write() as session:
        for shape in found.shapes:
            await restoring.load(session, shape, lines_of(place.staging, shape.name))
            reached(f"table {shape.name}")
    counted = await restoring.counts(database, [shape.name for shape in found.shapes])
    wrong = [name for name, count in counted.items() if count != found.rows[name]]
    if wrong:
        raise StoreError(f"the tables {', '.join(wrong)} have not the rows of the backup", hint="Run the same command again.")
    await restoring.settle(database)


async def _finish(database: Database, place: _Place, found: Contents, principal: Principal | None) -> None:
    key = audit_key(secret_of(place.folder))
    checkpoints, damage = await asyncio.to_thread(place.checkpoints(key).read)
    async with database.read() as session:
        result = await verify(session, key, checkpoints, damage)
    if not result.ok:
        raise BrokenFile(f"the restored audit does not verify: {result.problem}", hint="Use another backup.")
    async with database.write() as session:
        changed = await restoring.renew(session)
        details: dict[str, Any] = {"as_of": found.as_of, "rows": sum(found.rows.values()), "files": found.files, **changed}
        await record(session, principal, "backup.restore", place.source.name, **details)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
