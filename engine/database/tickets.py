"""One-time tickets: links that invite or reset, and the steps between a right password and a session. Only SHA-256 is stored.

A user has at most one of each kind: a newer one replaces the older.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import CursorResult, Update, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.access_models import Ticket
from engine.database.columns import now
from engine.database.models import User


class Kind(StrEnum):
    """What a ticket is good for."""

    INVITE = "invite"
    RESET = "reset"
    SECOND_FACTOR = "second_factor"
    PASSWORD = "password"  # noqa: S105 - the name of a kind


LINKS = (Kind.INVITE, Kind.RESET)
CHOOSING = (*LINKS, Kind.PASSWORD)


async def issue(session: AsyncSession, user_id: str, kind: Kind, *, token_sha256: str, lasts: timedelta) -> datetime:
    """Store a ticket in place of the user's former one of this kind, and return when it expires."""
    await session.execute(delete(Ticket).where(Ticket.user_id == user_id, Ticket.kind == kind.value))
    expires_at = now() + lasts
    session.add(Ticket(token_sha256=token_sha256, kind=kind.value, user_id=user_id, expires_at=expires_at))
    await session.flush()
    return expires_at


async def holder(session: AsyncSession, token_sha256: str, kinds: Sequence[Kind]) -> tuple[User, Kind] | None:
    """Return whose open ticket this is, and its kind; None when it is unknown, used or expired, or the user is disabled."""
    query = select(User, Ticket.kind).join(Ticket, Ticket.user_id == User.id)
    row = (await session.execute(query.where(*_open(token_sha256, kinds), User.disabled_at.is_(None)))).first()
    return (row[0], Kind(row[1])) if row else None


async def use(session: AsyncSession, token_sha256: str, kinds: Sequence[Kind]) -> bool:
    """Use a ticket up; False when it was not open any more. Of two at once exactly one gets True."""
    return await _changed(session, update(Ticket).where(*_open(token_sha256, kinds)).values(used_at=now()))


async def try_once(session: AsyncSession, token_sha256: str, kind: Kind, *, limit: int) -> bool:
    """Count a try with a ticket; False when it is not open any more or all tries are spent."""
    statement = update(Ticket).where(*_open(token_sha256, [kind]), Ticket.tries < limit).values(tries=Ticket.tries + 1)
    return await _changed(session, statement)


async def withdraw(session: AsyncSession, user_id: str) -> None:
    """Make all tickets of a user useless."""
    await session.execute(delete(Ticket).where(Ticket.user_id == user_id))


async def purge(session: AsyncSession) -> None:
    """Remove what has expired."""
    await session.execute(delete(Ticket).where(Ticket.expires_at < now()))


def _open(token_sha256: str, kinds: Sequence[Kind]) -> tuple[Any, ...]:
    names = [kind.value for kind in kinds]
    return Ticket.token_sha256 == token_sha256, Ticket.kind.in_(names), Ticket.used_at.is_(None), Ticket.expires_at > now()


async def _changed(session: AsyncSession, statement: Update) -> bool:
    result = cast("CursorResult[Any]", await session.execute(statement, execution_options={"synchronize_session": False}))
    return result.rowcount == 1
