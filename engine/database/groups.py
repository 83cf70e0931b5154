"""Groups of users, and what was granted to users and groups."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import GrantInfo, GroupInfo
from engine.database.access_models import Group, GroupGrant, Member
from engine.database.models import Collection, Grant, User
from engine.errors import InputError, NotFound
from engine.types import Right

NAME_CHARS = 100


async def get(session: AsyncSession, group_id: str) -> Group:
    """Return the group. Raises NotFound."""
    row = await session.get(Group, group_id)
    if row is None:
        raise NotFound("there is no such group", hint="Choose one from the list.")
    return row


async def by_name(session: AsyncSession, name: str) -> Group | None:
    """Return the group with this name, whatever its case."""
    # Compared here: SQLite folds the case of ASCII letters only, and groups are few.
    wanted = _shown(name).casefold()
    return next((row for row in await session.scalars(select(Group)) if row.name.casefold() == wanted), None)


async def free_name(session: AsyncSession, name: str, *, besides: str = "") -> str:
    """Return `name` as it is kept. Raises InputError when it is empty, too long, not printable, or another group's."""
    shown = _shown(name)
    if not 1 <= len(shown) <= NAME_CHARS or not shown.isprintable():
        raise InputError(f"a group's name has 1 to {NAME_CHARS} printable characters", hint="Choose another name.")
    twin = await by_name(session, shown)
    if twin is not None and twin.id != besides:
        raise InputError(f"there is already a group {twin.name!r}", hint="Choose another name.")
    return shown


async def set_members(session: AsyncSession, group: Group, user_ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Make exactly these users the members; return the ids that came and the ids that went. Raises NotFound."""
    wanted = set(user_ids)
    known = set(await session.scalars(select(User.id).where(User.id.in_(wanted))))
    if wanted - known:
        raise NotFound("one of the chosen users does not exist any more", hint="Load the page again and choose anew.")
    had = set(await session.scalars(select(Member.user_id).where(Member.group_id == group.id)))
    came, went = sorted(wanted - had), sorted(had - wanted)
    await session.execute(delete(Member).where(Member.group_id == group.id, Member.user_id.in_(went)))
    session.add_all(Member(group_id=group.id, user_id=user_id) for user_id in came)
    return came, went


async def infos(session: AsyncSession, *, group_id: str = "") -> list[GroupInfo]:
    """Return all groups (or the one) by name, with members and grants."""
    members = select(Member.group_id, User.id, User.name).join(User, User.id == Member.user_id).order_by(User.name)
    granted = (
        select(GroupGrant.group_id, Collection.name, GroupGrant.right)
        .join(Collection, Collection.id == GroupGrant.collection_id)
        .order_by(Collection.name)
    )
    people = [tuple(row) for row in await session.execute(members)]
    shared = [tuple(row) for row in await session.execute(granted)]
    rows = await session.scalars(select(Group).where(Group.id == group_id) if group_id else select(Group))
    return [
        GroupInfo(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            members=tuple((user_id, name) for owner, user_id, name in people if owner == row.id),
            collections=tuple((name, Right(right)) for owner, name, right in shared if owner == row.id),
        )
        for row in sorted(rows, key=lambda one: one.name.casefold())
    ]


async def of_user(session: AsyncSession, user_id: str) -> list[Group]:
    """Return the groups that a user is in, by name."""
    query = select(Group).join(Member, Member.group_id == Group.id).where(Member.user_id == user_id)
    return sorted(await session.scalars(query), key=lambda row: row.name.casefold())


# --- grants ----------------------------------------------------------------------------------------------------------


async def grants(session: AsyncSession, collection_id: str) -> list[GrantInfo]:
    """Return what was granted on a collection: users by name, then groups by name."""
    users = select(User.id, User.name, Grant.right).join(Grant, Grant.user_id == User.id)
    rows = await session.execute(users.where(Grant.collection_id == collection_id).order_by(User.name))
    found = [GrantInfo(kind="user", id=key, name=name, right=Right(right)) for key, name, right in rows]
    groups = select(Group.id, Group.name, GroupGrant.right).join(GroupGrant, GroupGrant.group_id == Group.id)
    rows = await session.execute(groups.where(GroupGrant.collection_id == collection_id).order_by(Group.name))
    return found + [GrantInfo(kind="group", id=key, name=name, right=Right(right)) for key, name, right in rows]


async def grant(session: AsyncSession, collection_id: str, group_id: str, right: Right | None) -> str:
    """Give a group a right on a collection, or take it away (None); return the right that it had, "" for none."""
    held = await session.get(GroupGrant, (collection_id, group_id))
    before = held.right if held else ""
    if held is not None and right is None:
        await session.delete(held)
    elif right is not None:
        await session.merge(GroupGrant(collection_id=collection_id, group_id=group_id, right=right))
    return before


async def reasons(session: AsyncSession, user_id: str) -> dict[str, list[str]]:
    """Return collection id -> why a user may read it: "granted", "group NAME"."""
    found: dict[str, list[str]] = {}
    for collection_id in await session.scalars(select(Grant.collection_id).where(Grant.user_id == user_id)):
        found.setdefault(collection_id, []).append("granted")
    through = (
        select(GroupGrant.collection_id, Group.name)
        .join(Group, Group.id == GroupGrant.group_id)
        .join(Member, Member.group_id == Group.id)
        .where(Member.user_id == user_id)
        .order_by(Group.name)
    )
    for collection_id, name in await session.execute(through):
        found.setdefault(collection_id, []).append(f"group {name}")
    return found


def _shown(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())
