"""Sharing collections: who was granted what, and what somebody may therefore read."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import GrantInfo, Reach
from engine.database import collections, groups
from engine.database.access_models import Group
from engine.database.audit import record
from engine.database.database import Database
from engine.database.models import User
from engine.errors import InputError, NotFound
from engine.services.accounts import require_role
from engine.types import Principal, Right, Role


class Sharing:
    """Grants to groups, and views of grants. Owners of a collection share it; admins own every collection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def grants(self, principal: Principal, collection_id: str) -> list[GrantInfo]:
        """Return what was granted on a collection. Raises NotFound, AccessDenied unless the principal owns it."""
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.OWNER)
            return await groups.grants(session, collection_id)

    async def grant_group(self, principal: Principal, collection_id: str, group_name: str, right: Right | None) -> None:
        """Give a group a right on a collection, or take it away (None).

        The last owner may go, too: admins own every collection, so none is ever out of reach. Raises NotFound, AccessDenied
        unless the principal owns the collection.
        """
        right = collections.known_right(right)
        async with self._database.write() as session:
            await collections.require(session, principal, collection_id, Right.OWNER)
            group = await groups.by_name(session, group_name)
            if group is None:
                raise NotFound(f"there is no group {group_name!r}", hint="Choose one from the list.")
            before = await groups.grant(session, collection_id, group.id, right)
            details = {"group": group.name, "before": before, "after": right.value if right else ""}
            await record(session, principal, "collection.grant", collection_id, **details)

    async def shareable(self, principal: Principal, collection_id: str) -> tuple[list[str], list[str]]:
        """Return the names of the users and of the groups that a collection may be shared with.

        Users who are disabled are left out. Raises NotFound, AccessDenied unless the principal owns the collection.
        """
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.OWNER)
            users = await session.scalars(select(User.name).where(User.disabled_at.is_(None)).order_by(User.name))
            return list(users), sorted(await session.scalars(select(Group.name)), key=str.casefold)

    async def reach(self, principal: Principal, user_id: str) -> list[Reach]:
        """Return what a user may read and why, by name of collection; for a disabled one, what is still granted.

        Raises AccessDenied, NotFound.
        """
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            seen_as = _as(await _user(session, user_id), principal)
            why = await groups.reasons(session, user_id)
            by_role = ["role admin"] if seen_as.role is Role.ADMIN else []
            return [
                Reach(
                    collection_id=one.id,
                    collection=one.name,
                    right=one.right,
                    via=(*by_role, *why.get(one.id, [])),
                    documents=one.documents,
                )
                for one in await collections.infos(session, seen_as)
            ]

    async def view_as(self, principal: Principal, user_id: str) -> Principal:
        """Return a principal that reads as this user and changes nothing. Raises AccessDenied, NotFound, InputError.

        It has the user's id, name and role, and the admin's session and address. Ask for it anew when the admin's session is
        checked anew.
        """
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await _user(session, user_id)
            if user.disabled_at is not None:
                raise InputError(f"{user.name!r} is disabled and sees nothing", hint="Look at what is granted instead.")
            await record(session, principal, "user.view_as", user.id, name=user.name)
            return _as(user, principal)


async def _user(session: AsyncSession, user_id: str) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound("there is no such user", hint="Choose one from the list.")
    return user


def _as(user: User, admin: Principal) -> Principal:
    return replace(admin, user_id=user.id, name=user.name, role=Role(user.role), preview=True)
