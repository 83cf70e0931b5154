"""Rights that one process at a time has, such as looking at the alert rules: rows beside the heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import now
from engine.database.database import changed
from engine.database.operations_models import Heartbeat


async def take(session: AsyncSession, name: str, owner: str, *, seconds: float, moment: datetime | None = None) -> bool:
    """Take or prolong the right `name` ("lease:..."): one owner has it, another takes over after `seconds` of silence.

    `owner` has at most 20 characters; `moment` is now, unless a clock of its own says otherwise.
    """
    moment, lease = moment or now(), timedelta(seconds=seconds)
    # From the future: the clock was set back since; waiting for it to catch up would leave the work undone for as long.
    free = or_(Heartbeat.kind == owner, Heartbeat.at < moment - lease, Heartbeat.at > moment + lease)
    if await changed(session, update(Heartbeat).where(Heartbeat.id == name, free).values(kind=owner, at=moment)):
        return True
    if await session.get(Heartbeat, name) is not None:
        return False
    try:
        async with session.begin_nested():
            session.add(Heartbeat(id=name, kind=owner, started_at=moment, at=moment, facts={}))
    except IntegrityError:
        return False
    return True


async def held(session: AsyncSession, names: Sequence[str], *, seconds: float, moment: datetime) -> set[str]:
    """Return those of these rights that somebody has, who told so within `seconds` before `moment`."""
    query = select(Heartbeat.id).where(Heartbeat.id.in_(names), Heartbeat.at >= moment - timedelta(seconds=seconds))
    return set(await session.scalars(query))
