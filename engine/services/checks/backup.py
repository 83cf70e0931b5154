"""Scheduled backups: whether there is a new one, and whether the last could be restored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from engine.database.columns import now
from engine.database.database import Database
from engine.monitoring.health import DEGRADED, HealthCheck, Outcome
from engine.sections import Backups
from engine.services.backups import newest

LIMIT_SECONDS = 5.0
LATE = 2.0
"""So many times the interval may pass without a backup."""
EFFECT = "Users notice nothing; after a disaster, what is newer than the last good backup would be lost."


def backup_check(database: Database, rules: Backups, *, wall: Callable[[], datetime] = now) -> HealthCheck:
    """Return the check of scheduled backups; for installations that schedule them."""

    async def run(_asked: bool) -> Outcome:
        async with asyncio.timeout(LIMIT_SECONDS), database.read() as session:
            rows = await newest(session)
        done = next((row for row in rows if row.state == "done"), None)
        if done is None:
            failed = next((row for row in rows if row.state == "failed"), None)
            if failed is None:
                return Outcome(detail="the first backup is being made, or will be in a minute")
            return Outcome(state=DEGRADED, detail=f"no backup yet: {failed.detail}", effect=EFFECT, hint=_HINT)
        hours = (wall() - done.started_at).total_seconds() / 3600
        detail = f"the last one is {hours:.0f} h old" if hours < 72 else f"no backup for {hours / 24:.0f} days"
        if rows[0].state == "failed":
            detail += f"; the newest try failed: {rows[0].detail}"
        if done.test_ok is False:
            hint = "Make another on the health page or with `python -m engine backup`, and keep the older ones."
            return Outcome(state=DEGRADED, detail=f"{detail}; its restore test failed: {done.detail}", effect=EFFECT, hint=hint)
        if hours > LATE * rules.every_hours or rows[0].state == "failed":
            return Outcome(state=DEGRADED, detail=detail, effect=EFFECT, hint=_HINT)
        return Outcome(detail=detail + ("; its restore test went well" if done.test_ok else ""))

    return HealthCheck(
        name="backup", run=run, limit=LIMIT_SECONDS + 1, keep=60.0, effect="Whether there is a good backup is not known."
    )


_HINT = "Look whether the folder of backups has room and can be written, and at the log; see docs/backup.md."
