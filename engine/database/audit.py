"""The audit table: rows are added in the transaction of the change they record, never altered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.models import Audit
from engine.types import Principal
from engine.views import AuditEntry


async def record(
    session: AsyncSession,
    principal: Principal | None,
    action: str,
    object_: str = "",
    *,
    outcome: str = "success",
    ip: str = "",
    **details: Any,
) -> None:
    """Add one row. `action` is `<domain>.<verb>`; `details` hold ids and counts, never text of documents or secrets."""
    session.add(
        Audit(
            actor_id=principal.user_id if principal else "",
            actor=principal.name if principal else "",
            session_id=principal.session_id if principal else "",
            action=action,
            object=object_[:200],
            outcome=outcome,
            ip=ip[:64],
            details=details,
        )
    )


async def newest(session: AsyncSession, *, limit: int) -> list[AuditEntry]:
    """Return the newest rows, newest first."""
    rows = await session.scalars(select(Audit).order_by(Audit.seq.desc()).limit(limit))
    return [
        AuditEntry(
            seq=row.seq,
            at=row.at,
            actor=row.actor,
            action=row.action,
            object=row.object,
            outcome=row.outcome,
            ip=row.ip,
            details=row.details,
        )
        for row in rows
    ]
