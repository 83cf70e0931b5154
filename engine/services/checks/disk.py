"""The data folder: room for what is uploaded, and whether anything can be written at all."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine.monitoring.health import DEGRADED, FAILED, HealthCheck, Outcome

LOW_BYTES = 2 << 30
FULL_BYTES = 64 << 20
LEAST_BYTES = 1 << 20
TRIAL_PREFIX = ".health-"
EFFECT = "Uploads fail, and the audit and snapshots cannot be written; what is stored is not lost."


def disk_check(folder: Path, *, free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> HealthCheck:
    """Return the check of the data folder: a byte is really written, and the free space is looked at."""

    async def run(_asked: bool) -> Outcome:
        try:
            await asyncio.to_thread(_write, folder)
        except OSError as error:
            detail = f"nothing can be written to the data folder: {error.strerror}"
            hint = "Free space, and let the account of this process write there (mode and owner of the folder)."
            return Outcome(state=FAILED, detail=detail, effect=EFFECT, hint=hint)
        left = await asyncio.to_thread(free, folder)
        detail = f"{left / (1 << 30):.1f} GB free, and it can be written"
        if left >= LOW_BYTES:
            return Outcome(detail=detail)
        full = left < FULL_BYTES
        return Outcome(
            state=FAILED if full else DEGRADED,
            detail=detail,
            effect=EFFECT if full else "Uploads will fail when the disk is full.",
            hint="Free space on the disk of the data folder, or move it to a larger one.",
        )

    return HealthCheck(name="disk", run=run, limit=10.0, effect=EFFECT, serving=True)


def require_room(folder: Path) -> None:
    """Raise the OSError of a full disk when so little is left that not even a sign-in could be written."""
    if shutil.disk_usage(folder).free < LEAST_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=TRIAL_PREFIX) as file:
        file.write(b"1")
        file.flush()
        os.fsync(file.fileno())
