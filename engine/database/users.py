"""Users, their sessions, and wrong passwords."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import UserInfo
from engine.database.access_models import SignInFailure
from engine.database.columns import now
from engine.database.models import Session, User
from engine.errors import InputError
from engine.types import Principal, Role


async def count(session: AsyncSession) -> int:
    """Return how many users there are."""
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def by_name(session: AsyncSession, name: str) -> User | None:
    """Return the user with this name, whatever its case."""
    return await session.scalar(select(User).where(User.name == name.strip().lower()))


async def create(session: AsyncSession, *, name: str, password_hash: str, role: Role) -> User:
    """Add a user. Raises InputError when the name is empty, too long, has odd characters or is taken."""
    name = name.strip().lower()
    if not 1 <= len(name) <= 100 or not name.isprintable() or any(character.isspace() for character in name):
        raise InputError("a user's name has 1 to 100 characters and no spaces", hint="Choose another name.")
    if await by_name(session, name):
        raise InputError(f"there is already a user {name!r}", hint="Choose another name.")
    user = User(name=name, password_hash=password_hash, role=role.value)
    session.add(user)
    await session.flush()
    return user


async def listed(session: AsyncSession) -> list[UserInfo]:
    """Return all users by name, with the last time each was seen."""
    seen = select(Session.user_id, func.max(Session.last_seen_at).label("at")).group_by(Session.user_id).subquery()
    rows = await session.execute(select(User, seen.c.at).outerjoin(seen, seen.c.user_id == User.id).order_by(User.name))
    return [info(user, at) for user, at in rows]


def info(user: User, last_seen_at: datetime | None = None) -> UserInfo:
    """Return what may be shown of a user."""
    return UserInfo(
        id=user.id,
        name=user.name,
        role=Role(user.role),
        created_at=user.created_at,
        last_seen_at=last_seen_at,
        disabled=user.disabled_at is not None,
    )


# --- sessions --------------------------------------------------------------------------------------------------------


async def open_session(
    session: AsyncSession, user: User, *, token_sha256: str, ip: str, user_agent: str, hours: int, keep: int
) -> Session:
    """Add a sign-in that ends after `hours`; of this user's open ones only the newest `keep` survive."""
    row = Session(
        user_id=user.id,
        token_sha256=token_sha256,
        ip=ip[:64],
        user_agent=user_agent[:300],
        expires_at=now() + timedelta(hours=hours),
    )
    session.add(row)
    await session.flush()
    open_ones = select(Session.id).where(Session.user_id == user.id, Session.revoked_at.is_(None))
    surplus = list(await session.scalars(open_ones.order_by(Session.created_at.desc(), Session.id).offset(keep)))
    await session.execute(update(Session).where(Session.id.in_(surplus)).values(revoked_at=now(), reason="too many sign-ins"))
    return row


async def principal_of(session: AsyncSession, token_sha256: str, *, idle: timedelta) -> tuple[Principal, Session] | None:
    """Return who holds this token, with the role that SQL has now; None when it is unknown, revoked, idle or over."""
    moment = now()
    row = (
        await session.execute(
            select(Session, User)
            .join(User, User.id == Session.user_id)
            .where(
                Session.token_sha256 == token_sha256,
                Session.revoked_at.is_(None),
                Session.expires_at > moment,
                Session.last_seen_at > moment - idle,
                User.disabled_at.is_(None),
            )
        )
    ).first()
    if row is None:
        return None
    found, user = row
    return Principal(user_id=user.id, name=user.name, role=Role(user.role), session_id=found.id, ip=found.ip), found


async def touch(session: AsyncSession, session_id: str) -> None:
    """Note that a session is in use."""
    await session.execute(update(Session).where(Session.id == session_id).values(last_seen_at=now()))


async def revoke(session: AsyncSession, *, token_sha256: str, reason: str) -> Session | None:
    """End one sign-in, and return it if it was open."""
    row = await session.scalar(select(Session).where(Session.token_sha256 == token_sha256, Session.revoked_at.is_(None)))
    if row is not None:
        row.revoked_at, row.reason = now(), reason
    return row


# --- wrong passwords -------------------------------------------------------------------------------------------------


async def failures(session: AsyncSession, *, name: str, ip: str, since: datetime) -> tuple[int, int]:
    """Return how many wrong passwords this account, and this address, had since then."""
    rows = await session.execute(
        select(SignInFailure.name, SignInFailure.ip).where(
            SignInFailure.at > since, or_(SignInFailure.name == name, SignInFailure.ip == ip)
        )
    )
    pairs = [tuple(row) for row in rows]
    return sum(pair[0] == name for pair in pairs), sum(pair[1] == ip for pair in pairs)


async def add_failure(session: AsyncSession, *, name: str, ip: str) -> None:
    """Count a wrong password."""
    session.add(SignInFailure(name=name[:100], ip=ip[:64]))


async def forget_failures(session: AsyncSession, *, name: str, before: datetime) -> None:
    """Start the account's count anew after a right password, and drop old rows."""
    await session.execute(delete(SignInFailure).where(or_(SignInFailure.name == name, SignInFailure.at < before)))
