"""Temporary files of processes that were killed: whoever makes one removes it, and what a killed process left is found here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.services.backup_archive import UNFINISHED
from engine.services.backup_reading import WORK_PREFIX
from engine.services.checks.disk import TRIAL_PREFIX
from engine.settings import SECRETS_NEW, Settings


def unfinished(settings: Settings, backups: Path, *, before: float) -> list[Path]:
    """Return files and folders in which nothing was written since `before` (Unix seconds), sorted. Blocking.

    They are uploads half received, archives half unpacked, exports and imports (`incoming`, `.backup-*`), backups half
    written, and small files of the disk check and of the first start. What a restore began stays: it is gone on with.
    """
    return sorted(path for path in _temporary(settings, backups) if _is_older(path, before))


def _temporary(settings: Settings, backups: Path) -> Iterator[Path]:
    folder = settings.data_dir
    yield from settings.incoming.glob("*")
    for prefix in (WORK_PREFIX, TRIAL_PREFIX, SECRETS_NEW):
        yield from folder.glob(f"{prefix}*")
    # Elsewhere people may keep what is theirs: only names that the workbench gives its own backups.
    yield from backups.glob(f"{'' if backups.is_relative_to(folder) else 'workbench-'}*{UNFINISHED}")


def _is_older(path: Path, before: float) -> bool:
    """Whether it is, with all that is in a folder: writing to a file does not touch the folder that it is in."""
    try:
        return path.lstat().st_mtime < before and all(_is_older(one, before) for one in _in(path))
    except OSError:  # done, and removed by whoever made it
        return False


def _in(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() and not path.is_symlink() else []
