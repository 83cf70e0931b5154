"""One server for one data folder, where what is in it can have one writer only: SQLite, and indexes in files."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
from pathlib import Path
from typing import IO

from engine.database.columns import now
from engine.errors import ConfigError

NAME = "server.lock"


class ServerLock:
    """A lock on a file, which the kernel lets go when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take it until `release`. Raises ConfigError that names the process that has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with file:
                raise ConfigError(
                    f"another server works on the data folder {self._path.parent}: {_holder(file)}",
                    hint="Nothing was changed. Use that one, or stop it first. Several servers need PostgreSQL or MariaDB"
                    " (database_url) and a store on a server, such as pgvector or Qdrant; see docs/ingestion.md.",
                ) from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now().isoformat(timespec="seconds")}))
        file.flush()
        self._file = file

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let it go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _holder(file: IO[str]) -> str:
    with contextlib.suppress(ValueError, KeyError, OSError):
        told = json.load(file)
        return f"process {int(told['pid'])} on {told['host']}, since {told['since']}"
    return "it started just now"
