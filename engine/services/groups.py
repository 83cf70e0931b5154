"""Groups of users. Membership is read in SQL by every check of rights, so a change bites on the very next call."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from engine.access_views import GroupInfo
from engine.database import groups
from engine.database.access_models import Group, GroupGrant, Member
from engine.database.audit import record
from engine.database.database import Database
from engine.services.accounts import require_role
from engine.services.permits import acts_as_admin
from engine.types import Principal, Role


class Groups:
    """The groups of this installation. Admins change them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, principal: Principal) -> list[GroupInfo]:
        """Return all groups to admins; to everybody else the names of those that they are in, and nothing more of them."""
        async with self._database.read() as session:
            if acts_as_admin(principal):
                return await groups.infos(session)
            mine = await groups.of_user(session, principal.user_id)
        return [GroupInfo(id=row.id, name=row.name, created_at=row.created_at, members=(), collections=()) for row in mine]

    async def create(self, principal: Principal, name: str) -> GroupInfo:
        """Add an empty group. Raises AccessDenied, InputError."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            row = Group(name=await groups.free_name(session, name))
            session.add(row)
            await session.flush()
            await record(session, principal, "group.create", row.id, name=row.name)
            return (await groups.infos(session, group_id=row.id))[0]

    async def rename(self, principal: Principal, group_id: str, name: str) -> None:
        """Give a group another name. Raises AccessDenied, NotFound, InputError."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            row = await groups.get(session, group_id)
            before, row.name = row.name, await groups.free_name(session, name, besides=group_id)
            await record(session, principal, "group.rename", group_id, before=before, after=row.name)

    async def delete(self, principal: Principal, group_id: str) -> None:
        """Remove a group; what was shared with it is shared with its members no longer. Raises AccessDenied, NotFound."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            row = await groups.get(session, group_id)
            members = await session.scalar(select(func.count()).select_from(Member).where(Member.group_id == group_id))
            shared = await session.scalar(select(func.count()).select_from(GroupGrant).where(GroupGrant.group_id == group_id))
            await session.delete(row)
            await record(session, principal, "group.delete", group_id, name=row.name, members=members, collections=shared)

    async def set_members(self, principal: Principal, group_id: str, user_ids: Sequence[str]) -> None:
        """Make exactly these users the members. Raises AccessDenied; NotFound for an unknown group or user."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            row = await groups.get(session, group_id)
            came, went = await groups.set_members(session, row, user_ids)
            if came or went:
                await record(session, principal, "group.members", group_id, name=row.name, added=came, removed=went)
