"""API keys that end soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select

from engine.database.access_models import ApiKey
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.monitoring.health import DEGRADED, HealthCheck, Outcome

LIMIT_SECONDS = 5.0
SOON = timedelta(days=14)
NAMED = 5


def keys_check(database: Database, *, wall: Callable[[], datetime] = now) -> HealthCheck:
    """Return the check that names the owners of API keys which end within 14 days."""

    async def run(_asked: bool) -> Outcome:
        moment = wall()
        ends = (ApiKey.expires_at > moment) & (ApiKey.expires_at <= moment + SOON)
        query = (
            select(User.name, ApiKey.expires_at)
            .join(User, User.id == ApiKey.user_id)
            .where(ends, ApiKey.revoked_at.is_(None), User.disabled_at.is_(None))
            .order_by(ApiKey.expires_at)
        )
        async with asyncio.timeout(LIMIT_SECONDS), database.read() as session:
            rows = [(name, at) for name, at in await session.execute(query)]
        if not rows:
            return Outcome(detail="no key ends within 14 days")
        told = ", ".join(f"{name} (in {(at - moment).days} days)" for name, at in rows[:NAMED] if at is not None)
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        return Outcome(
            state=DEGRADED,
            detail=f"{len(rows)} end within 14 days: {told}{more}",
            effect="Programs that use them are refused from then on.",
            hint="Their owners make new keys on the account page, change the programs, and revoke the old ones.",
        )

    return HealthCheck(
        name="API keys", run=run, limit=LIMIT_SECONDS + 1, keep=300.0, effect="Which keys end soon is not known."
    )
