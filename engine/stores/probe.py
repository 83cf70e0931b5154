"""An embedded store that was not closed in order is opened in a child process first.

Damaged native files can end the process that opens them (SIGSEGV of Chroma 1.5 on damaged HNSW segments, chroma-core/chroma
issue 7090). A folder that the child does not survive is put aside, and its collections are written again from SQL.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from engine.errors import StoreError

logger = logging.getLogger(__name__)

MARK = ".workbench.open"
SECONDS = 120.0
KEPT = frozenset({MARK, ".workbench.lock"})


def opening(folder: Path, script: str) -> None:
    """Mark a folder as open; one that still has the mark is tried by `script` in a child, with the folder as its argument.

    Raises StoreError when it cannot even be put aside.
    """
    if (folder / MARK).exists() and not _survives(folder, script):
        logger.error("the files in %s are damaged; they are put aside, and written again from the database", folder.name)
        _put_aside(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise StoreError(f"{folder.name} cannot be written: {error.strerror}", hint="Check space and permissions.") from error


def closed(folder: Path) -> None:
    """Take the mark away: it was closed in order."""
    (folder / MARK).unlink(missing_ok=True)


def _survives(folder: Path, script: str) -> bool:
    try:
        done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _put_aside(folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.damaged")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for path in list(folder.iterdir()):
            if path.name not in KEPT:  # the lock stays where it is: this process holds it
                shutil.move(path, aside / path.name)
    except OSError as error:
        raise StoreError(
            f"the damaged files of {folder.name} cannot be put aside: {error.strerror}", hint="Remove the folder by hand."
        ) from error
