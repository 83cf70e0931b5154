"""The audit: whether checkpoints can be written, and what its last check found."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from engine.database.audit_models import Audit
from engine.database.database import Database
from engine.monitoring.health import FAILED, HealthCheck, Outcome
from engine.services.audit_keeper import AuditKeeper

LIMIT_SECONDS = 5.0
EFFECT = "Users notice nothing; until it is mended the record of what was done proves less."


def audit_check(database: Database, keeper: AuditKeeper) -> HealthCheck:
    """Return the check of the audit. It verifies nothing itself: that reads every row, and people ask for it."""

    async def run(_asked: bool) -> Outcome:
        query = select(Audit.at, Audit.outcome).where(Audit.action == "audit.verify").order_by(Audit.seq.desc()).limit(1)
        async with asyncio.timeout(LIMIT_SECONDS), database.read() as session:
            last = (await session.execute(query)).first()
        when = f"last verified at {last.at:%Y-%m-%d %H:%M} UTC" if last else "not verified yet"
        if keeper.problem:
            hint = "Make the folder of the checkpoints writable; see docs/audit.md."
            return Outcome(state=FAILED, detail=f"no checkpoint: {keeper.problem}", effect=EFFECT, hint=hint)
        if last and last.outcome != "success":
            hint = "Verify again on the audit page, and follow docs/audit.md; keep the database as it is until it is explained."
            return Outcome(state=FAILED, detail=f"{when}, and it was not whole", effect=EFFECT, hint=hint)
        return Outcome(detail=when)

    return HealthCheck(name="audit", run=run, limit=LIMIT_SECONDS + 1, keep=60.0, effect=EFFECT)
