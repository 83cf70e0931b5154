"""Users: who there is, and what is shown of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import UserInfo
from engine.database import sign_ins
from engine.database.access_models import ApiKey, Group, Member
from engine.database.audit_models import AuditView
from engine.database.chat_models import Conversation
from engine.database.columns import now
from engine.database.models import Session, User
from engine.database.operations_models import Preference
from engine.database.sessions import open_now
from engine.errors import InputError, NotFound
from engine.sections import AccountRules, SessionLimits
from engine.types import Role

NAME_CHARS = 100
# Characters that are "printable" and yet show nothing (Default_Ignorable_Code_Point of Unicode, beyond the category Cf).
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_ALIKE = {"LATIN", "CYRILLIC", "GREEK"}


async def count(session: AsyncSession) -> int:
    """Return how many users there are."""
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def names(session: AsyncSession) -> set[str]:
    """Return the names of all users."""
    return set(await session.scalars(select(User.name)))


async def by_name(session: AsyncSession, name: str) -> User | None:
    """Return the user with this name, whatever its case."""
    return await session.scalar(select(User).where(User.name == name.strip().lower()))


async def by_id(session: AsyncSession, user_id: str) -> User:
    """Return the user as the database has it now, the row locked until the end of the transaction. Raises NotFound."""
    user = await session.get(User, user_id, populate_existing=True, with_for_update=True)
    if user is None:
        raise NotFound("there is no such user", hint="Choose one from the list.")
    return user


def clean_name(name: str) -> str:
    """Return `name` as it is stored. Raises InputError for a name that is too long, or may be taken for another one."""
    name = name.strip().lower()
    if not 1 <= len(name) <= NAME_CHARS or any(character.isspace() for character in name):
        raise InputError(f"a user's name has 1 to {NAME_CHARS} characters and no spaces", hint="Choose another name.")
    if not name.isprintable() or _INVISIBLE.search(name):
        raise InputError("a user's name has no invisible characters", hint="Type it anew instead of copying it.")
    # The name of a character begins with its script: CYRILLIC SMALL LETTER A looks like LATIN SMALL LETTER A.
    scripts = {unicodedata.name(character, "").split(" ")[0] for character in name if character.isalpha()}
    if unicodedata.normalize("NFKC", name) != name or len(scripts & _ALIKE) > 1:
        raise InputError(
            "this name looks like another one that is written differently", hint="Use plain letters of one script."
        )
    return name


async def create(
    session: AsyncSession, *, name: str, password_hash: str, role: Role, must_change: bool = False, groups: Sequence[str] = ()
) -> User:
    """Add a user to groups (ids) too. Raises InputError when the name is bad or taken, NotFound for an unknown group."""
    name = clean_name(name)
    taken = InputError(f"there is already a user {name!r}", hint="Choose another name.")
    if await by_name(session, name):
        raise taken
    user = User(name=name, password_hash=password_hash, role=role.value, must_change=must_change)
    session.add(user)
    try:
        await session.flush()
    except IntegrityError:  # somebody else was faster; only SQLite lets nobody in between
        raise taken from None
    wanted = list(dict.fromkeys(groups))
    found = list(await session.scalars(select(Group.id).where(Group.id.in_(wanted))))
    if len(found) != len(wanted):
        raise NotFound("one of the groups does not exist", hint="Choose from the list again.")
    session.add_all(Member(group_id=group_id, user_id=user.id) for group_id in found)
    await session.flush()
    return user


async def accept_step(session: AsyncSession, user_id: str, step: int) -> bool:
    """Note that the code of a time step was used; False when it, or a later one, was used before. Of two at once one wins."""
    statement = update(User).where(User.id == user_id, User.totp_step < step).values(totp_step=step)
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount == 1


async def active_admins(session: AsyncSession) -> set[str]:
    """Return the ids of admins who can sign in. Their rows are locked until the end of the transaction."""
    query = select(User.id).where(User.role == Role.ADMIN.value, User.disabled_at.is_(None), User.password_hash != "")
    return set(await session.scalars(query.order_by(User.id).with_for_update()))


async def hashes(session: AsyncSession, prefixes: Sequence[str]) -> list[str]:
    """Return the stored hashes that begin with one of these."""
    begins = or_(*(User.password_hash.startswith(prefix, autoescape=True) for prefix in prefixes))
    return list(await session.scalars(select(User.password_hash).where(begins)))


async def remove(session: AsyncSession, user: User) -> None:
    """Remove a user with sessions, keys, grants, memberships and conversations; documents and audit rows stay."""
    await session.execute(delete(Conversation).where(Conversation.user_id == user.id))
    await session.execute(delete(AuditView).where(AuditView.user_id == user.id))
    await session.execute(delete(Preference).where(Preference.user_id == user.id))
    await session.delete(user)  # the rest follows by foreign keys
    await session.flush()


async def infos(
    session: AsyncSession, rules: AccountRules, limits: SessionLimits, *, user_id: str | None = None
) -> list[UserInfo]:
    """Return all users by name, or the one with this id."""
    seen = select(Session.user_id, func.max(Session.last_seen_at).label("at")).group_by(Session.user_id).subquery()
    query = select(User, seen.c.at).outerjoin(seen, seen.c.user_id == User.id).order_by(User.name)
    if user_id is not None:
        query = query.where(User.id == user_id)
    rows = [(user, at) for user, at in await session.execute(query)]
    locks = await sign_ins.locked(session, rules, [user.name for user, _ in rows] if user_id else ())
    sessions = await _counts(session, Session.user_id, *open_now(limits))
    alive = ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now())
    keys = await _counts(session, ApiKey.user_id, ApiKey.revoked_at.is_(None), alive)
    groups = await _groups(session)
    return [
        UserInfo(
            id=user.id,
            name=user.name,
            role=Role(user.role),
            created_at=user.created_at,
            last_seen_at=at,
            disabled=user.disabled_at is not None,
            invited=not user.password_hash,
            must_change=user.must_change,
            second_factor=user.totp_confirmed,
            locked_until=locks.get(user.name),
            sessions=sessions.get(user.id, 0),
            keys=keys.get(user.id, 0),
            groups=tuple(groups.get(user.id, ())),
        )
        for user, at in rows
    ]


async def groups_by_name(session: AsyncSession) -> dict[str, str]:
    """Return case-folded name -> id of all groups."""
    return {name.casefold(): group_id for group_id, name in await session.execute(select(Group.id, Group.name))}


async def _counts(session: AsyncSession, column: Any, *conditions: Any) -> dict[str, int]:
    rows = await session.execute(select(column, func.count()).where(*conditions).group_by(column))
    return {user_id: number for user_id, number in rows}


async def _groups(session: AsyncSession) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = select(Member.user_id, Group.name).join(Group, Group.id == Member.group_id).order_by(Group.name)
    for user_id, name in await session.execute(query):
        found.setdefault(user_id, []).append(name)
    return found
