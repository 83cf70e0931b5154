"""API keys, tokens that were taken back, and keys that were guessed wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import KeyInfo, Scope
from engine.database.access_models import ApiKey, RevokedToken, SignInFailure
from engine.database.columns import now
from engine.database.database import changed
from engine.database.models import Session, User
from engine.database.sign_ins import FAILURES_OF_KEYS, network_of


def _alive(moment: datetime) -> ColumnElement[bool]:
    return ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > moment)


async def infos(session: AsyncSession, *, user_id: str = "", key_id: str = "") -> list[KeyInfo]:
    """Return the keys of one user, or all of them, or one key; newest first."""
    query = select(ApiKey, User.name).join(User, User.id == ApiKey.user_id).order_by(ApiKey.created_at.desc(), ApiKey.id)
    if user_id:
        query = query.where(ApiKey.user_id == user_id)
    if key_id:
        query = query.where(ApiKey.id == key_id)
    moment = now()
    return [
        KeyInfo(
            id=row.id,
            user_id=row.user_id,
            user=user,
            name=row.name,
            scopes=tuple(Scope(scope) for scope in row.scopes),
            state="revoked" if row.revoked_at else "expired" if row.expires_at and row.expires_at <= moment else "active",
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )
        for row, user in await session.execute(query)
    ]


async def active(session: AsyncSession, user_id: str) -> int:
    """Return how many keys of a user can be used now."""
    return await session.scalar(select(func.count()).where(ApiKey.user_id == user_id, _alive(now()))) or 0


async def find(session: AsyncSession, key_id: str) -> tuple[ApiKey, User, bool] | None:
    """Return a key with its user, and whether it can be used now; None when there is none."""
    row = (await session.execute(select(ApiKey, User).join(User, User.id == ApiKey.user_id).where(ApiKey.id == key_id))).first()
    if row is None:
        return None
    key, user = row
    over = key.expires_at is not None and key.expires_at <= now()
    return key, user, key.revoked_at is None and not over and user.disabled_at is None


async def first_use(session: AsyncSession, key_id: str) -> bool:
    """Note that a key is in use; tell whether it never was before."""
    mine = update(ApiKey).where(ApiKey.id == key_id)
    if await changed(session, mine.where(ApiKey.last_used_at.is_(None)).values(last_used_at=now())):
        return True
    await session.execute(mine.values(last_used_at=now()))
    return False


async def live_session(session: AsyncSession, session_id: str, *, idle: timedelta) -> tuple[Session, User] | None:
    """Return an open sign-in with its user; None when it is unknown, revoked, idle or over, or the user is disabled."""
    moment = now()
    row = (
        await session.execute(
            select(Session, User)
            .join(User, User.id == Session.user_id)
            .where(
                Session.id == session_id,
                Session.revoked_at.is_(None),
                Session.expires_at > moment,
                Session.last_seen_at > moment - idle,
                User.disabled_at.is_(None),
            )
        )
    ).first()
    return (row[0], row[1]) if row else None


async def is_revoked(session: AsyncSession, token_id: str) -> bool:
    """Whether a token was taken back."""
    return await session.get(RevokedToken, token_id) is not None


async def failures(session: AsyncSession, *, ip: str, since: datetime) -> int:
    """Return how many wrong keys came from an address since then."""
    wrong = (SignInFailure.name == FAILURES_OF_KEYS) & (SignInFailure.ip == network_of(ip)) & (SignInFailure.at > since)
    return await session.scalar(select(func.count()).select_from(SignInFailure).where(wrong)) or 0


async def add_failure(session: AsyncSession, *, ip: str) -> None:
    """Count a wrong key."""
    session.add(SignInFailure(name=FAILURES_OF_KEYS, ip=network_of(ip)))


async def purge(session: AsyncSession, *, failures_before: datetime) -> None:
    """Remove tokens that have expired by themselves, and old counts."""
    await session.execute(delete(RevokedToken).where(RevokedToken.expires_at < now()))
    old = (SignInFailure.name == FAILURES_OF_KEYS) & (SignInFailure.at < failures_before)
    await session.execute(delete(SignInFailure).where(old))
