"""Sign-ins: who holds which token, and until when. A row that ended stays, with who ended it and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import SessionInfo
from engine.database.columns import now
from engine.database.models import Session, User
from engine.sections import SessionLimits
from engine.types import Principal, Role


async def start(
    session: AsyncSession, user: User, *, token_sha256: str, ip: str, user_agent: str, limits: SessionLimits
) -> Session:
    """Add a sign-in; of this user's open ones only the newest `limits.per_user` survive."""
    row = Session(
        user_id=user.id,
        token_sha256=token_sha256,
        ip=ip[:64],
        user_agent=user_agent[:300],
        expires_at=now() + timedelta(hours=limits.absolute_hours),
    )
    session.add(row)
    await session.flush()
    newest_first = select(Session.id).where(*open_now(limits), Session.user_id == user.id).order_by(
        Session.created_at.desc(), Session.id
    )  # fmt: skip
    for surplus in list(await session.scalars(newest_first.offset(limits.per_user))):
        await end(session, surplus, by=user.id, reason="too many sign-ins")
    return row


def open_now(limits: SessionLimits) -> tuple[Any, ...]:
    """Return the SQL conditions of a session that is neither revoked nor idle for too long nor over."""
    moment = now()
    idle = moment - timedelta(minutes=limits.idle_minutes)
    return Session.revoked_at.is_(None), Session.expires_at > moment, Session.last_seen_at > idle


async def principal_of(session: AsyncSession, token_sha256: str, limits: SessionLimits) -> tuple[Principal, Session] | None:
    """Return who holds this token, with the role that SQL has now; None when it is unknown, revoked, idle or over."""
    query = select(Session, User).join(User, User.id == Session.user_id)
    row = (
        await session.execute(query.where(Session.token_sha256 == token_sha256, *open_now(limits), User.disabled_at.is_(None)))
    ).first()
    if row is None:
        return None
    found, user = row
    return Principal(user_id=user.id, name=user.name, role=Role(user.role), session_id=found.id, ip=found.ip), found


async def touch(session: AsyncSession, session_id: str) -> None:
    """Note that a session is in use."""
    await session.execute(update(Session).where(Session.id == session_id).values(last_seen_at=now()))


async def listed(session: AsyncSession, limits: SessionLimits, *, user_id: str, current: str) -> list[SessionInfo]:
    """Return the open sessions of one user, or of everybody ("*"), last used first; `current` is the id that asks."""
    query = select(Session, User.name).join(User, User.id == Session.user_id).where(*open_now(limits))
    if user_id != "*":
        query = query.where(Session.user_id == user_id)
    return [
        SessionInfo(
            id=row.id,
            user_id=row.user_id,
            user=name,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            expires_at=row.expires_at,
            ip=row.ip,
            user_agent=row.user_agent,
            current=row.id == current,
        )
        for row, name in await session.execute(query.order_by(Session.last_seen_at.desc(), Session.id))
    ]


async def end(session: AsyncSession, session_id: str, *, by: str, reason: str) -> None:
    """End one sign-in; an ended one stays as it is."""
    await _end(session, Session.id == session_id, by=by, reason=reason)


async def end_all(session: AsyncSession, user_id: str, *, by: str, reason: str, keep: str = "") -> int:
    """End every sign-in of a user but `keep`, and return how many were ended."""
    mine = (Session.user_id == user_id, Session.id != keep, Session.revoked_at.is_(None), Session.expires_at > now())
    ids = list(await session.scalars(select(Session.id).where(*mine)))
    await _end(session, Session.id.in_(ids), by=by, reason=reason)
    return len(ids)


async def _end(session: AsyncSession, which: Any, *, by: str, reason: str) -> None:
    ended = {"revoked_at": now(), "revoked_by": by[:32], "reason": reason}
    await session.execute(update(Session).where(which, Session.revoked_at.is_(None)).values(**ended))
