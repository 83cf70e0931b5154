"""Private folders of a process inside the data folder; what a killed process left is removed by the next one."""

from __future__ import annotations

import fcntl
import shutil
import uuid
from pathlib import Path
from typing import IO


class Workspaces:
    """Folders below `root/<process>/`. A file lock tells whether a process still lives, also across containers."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: Path | None = None
        self._lock: IO[str] | None = None

    def new(self) -> Path:
        """Return a new empty folder. Raises OSError."""
        if self._own is None:
            self._sweep()
            self._own = self._root / uuid.uuid4().hex
            self._own.mkdir(parents=True)
            self._lock = locked(self._own / "lock")
        folder = self._own / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def remove(self, folder: Path) -> None:
        """Remove one folder; what is open in it stays readable until it is closed."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove all folders of this process."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _sweep(self) -> None:
        for folder in self._root.glob("*"):
            lock = locked(folder / "lock") if (folder / "lock").exists() else None
            if lock is not None:  # nobody holds it: its process is gone
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()


def locked(path: Path) -> IO[str] | None:
    """Return the open file at `path` with an exclusive lock, or None when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
