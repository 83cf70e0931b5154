"""What admins do with users. At least one admin who can sign in is always left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import ImportedUser, Invitation, UserInfo
from engine.database import holds, sessions, sign_ins, tickets, users
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.database.tickets import Kind
from engine.errors import EngineError, InputError
from engine.sections import AccountRules, SessionLimits
from engine.security.passwords import Passwords
from engine.security.tokens import digest, new_token
from engine.services.accounts import require_role
from engine.services.codes import Codes
from engine.services.user_lists import Line, parse
from engine.types import Principal, Role


class People:
    """All methods need the role admin: else AccessDenied. Unknown ids raise NotFound."""

    def __init__(
        self, *, database: Database, passwords: Passwords, codes: Codes, limits: SessionLimits, rules: AccountRules
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._codes = codes
        self._limits = limits
        self._rules = rules

    async def all(self, principal: Principal) -> list[UserInfo]:
        """Return all users by name."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await users.infos(session, self._rules, self._limits)

    async def create(
        self, principal: Principal, name: str, password: str, role: Role | str, *, must_change: bool = False
    ) -> UserInfo:
        """Add a user with a password, which with `must_change` is good for one sign-in. Raises InputError."""
        require_role(principal, Role.ADMIN)
        role = known_role(role)
        password_hash = await asyncio.to_thread(self._passwords.hash, password, name=name)
        async with self._database.write() as session:
            user = await users.create(session, name=name, password_hash=password_hash, role=role, must_change=must_change)
            await record(session, principal, "user.create", user.name, role=user.role)
            return await self._info(session, user)

    async def invite(self, principal: Principal, name: str, role: Role | str, *, groups: Sequence[str] = ()) -> Invitation:
        """Add a user without a password, in groups (ids); the link for choosing one is shown once. Raises InputError."""
        require_role(principal, Role.ADMIN)
        role = known_role(role)
        async with self._database.write() as session:
            user = await users.create(session, name=name, password_hash="", role=role, groups=groups)
            await record(session, principal, "user.invite", user.name, role=user.role, groups=len(groups))
            return await self._link(session, user, Kind.INVITE)

    async def reset_password(self, principal: Principal, user_id: str) -> Invitation:
        """Give a link for a new password. The old one stops working at once, and all sessions end."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await users.by_id(session, user_id)
            user.password_hash, user.must_change = "", False
            await tickets.withdraw(session, user.id)
            ended = await sessions.end_all(session, user.id, by=principal.user_id, reason="password reset")
            await record(session, principal, "user.reset", user.name, sessions_ended=ended)
            return await self._link(session, user, Kind.RESET)

    async def set_role(self, principal: Principal, user_id: str, role: Role | str) -> None:
        """Change what a user may do, and end their other sessions. Raises InputError for the last admin."""
        require_role(principal, Role.ADMIN)
        role = known_role(role)
        async with self._database.write() as session:
            user = await _spared(session, user_id, "demoted") if role is not Role.ADMIN else await users.by_id(session, user_id)
            if user.role == role.value:
                return
            before, user.role = user.role, role.value
            ended = await sessions.end_all(
                session, user.id, by=principal.user_id, reason="role changed", keep=principal.session_id
            )
            await record(session, principal, "user.role", user.name, before=before, after=role.value, sessions_ended=ended)

    async def disable(self, principal: Principal, user_id: str) -> None:
        """Keep a user out until `enable`: sessions and open links end. Raises InputError for the last admin."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await _spared(session, user_id, "disabled")
            user.disabled_at = user.disabled_at or now()
            await tickets.withdraw(session, user.id)
            ended = await sessions.end_all(session, user.id, by=principal.user_id, reason="user disabled")
            await record(session, principal, "user.disable", user.name, sessions_ended=ended)

    async def enable(self, principal: Principal, user_id: str) -> None:
        """Let a disabled user in again, with the same password."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await users.by_id(session, user_id)
            user.disabled_at = None
            await record(session, principal, "user.enable", user.name)

    async def delete(self, principal: Principal, user_id: str) -> None:
        """Remove a user with sessions, keys, grants and conversations, for good. Documents and audit rows stay.

        Raises InputError for the last admin.
        """
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await _spared(session, user_id, "deleted")
            await holds.refuse(session, repr(user.name), ("user", user.id))
            await users.remove(session, user)
            await sign_ins.unlock(session, user.name)
            await record(session, principal, "user.delete", user.name, user=user.id, role=user.role)

    async def reset_second_factor(self, principal: Principal, user_id: str) -> None:
        """Take a second factor away whose device was lost."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await users.by_id(session, user_id)
            self._codes.remove(user)
            await record(session, principal, "user.second_factor", user.name, change="reset")

    async def unlock(self, principal: Principal, user_id: str) -> None:
        """Forget the wrong tries at an account. The lock of an address stays."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            user = await users.by_id(session, user_id)
            await sign_ins.unlock(session, user.name)
            await record(session, principal, "auth.unlock", user.name)

    async def import_list(self, principal: Principal, text: str, *, apply: bool) -> list[ImportedUser]:
        """Say what becomes of each line of a CSV list (name, role, groups by ";"); with `apply` do it and give links.

        Each user is one transaction; a bad line stops nothing. Raises InputError for what is no list, or too long a one.
        """
        require_role(principal, Role.ADMIN)
        lines = parse(text)
        async with self._database.read() as session:
            groups = await users.groups_by_name(session)
            existing = await users.names(session)
        return [await self._imported(principal, line, existing, groups, apply=apply) for line in lines]

    async def _imported(
        self, principal: Principal, line: Line, existing: set[str], groups: dict[str, str], *, apply: bool
    ) -> ImportedUser:
        def became(outcome: str, reason: str = "", path: str = "") -> ImportedUser:
            return ImportedUser(line=line.number, name=line.name, role=line.role, outcome=outcome, reason=reason, path=path)

        unknown = [name for name in line.groups if name.casefold() not in groups]
        if line.problem or unknown:
            return became("refused", line.problem or f"there is no group {unknown[0]!r}")
        if line.name in existing:
            return became("exists", "nothing is changed")
        if not apply:
            return became("new")
        try:
            async with self._database.write() as session:
                ids = [groups[name.casefold()] for name in line.groups]
                user = await users.create(session, name=line.name, password_hash="", role=Role(line.role), groups=ids)
                await record(session, principal, "user.import", user.name, role=user.role, groups=len(ids))
                path = (await self._link(session, user, Kind.INVITE)).path
        except EngineError as error:  # one that came in between, or a database that failed: the others go on
            return became("refused", str(error))
        return became("new", path=path)

    async def _link(self, session: AsyncSession, user: User, kind: Kind) -> Invitation:
        token = new_token()
        lasts = timedelta(hours=self._rules.invite_hours)
        expires_at = await tickets.issue(session, user.id, kind, token_sha256=digest(token), lasts=lasts)
        return Invitation(user=await self._info(session, user), path=f"/invite?token={token}", expires_at=expires_at)

    async def _info(self, session: AsyncSession, user: User) -> UserInfo:
        await session.flush()
        return (await users.infos(session, self._rules, self._limits, user_id=user.id))[0]


def known_role(role: Role | str) -> Role:
    """Return the role. Raises InputError that names the known ones."""
    if role not in list(Role):
        raise InputError(f"unknown role {role!r}", hint=f"known roles: {', '.join(Role)}")
    return Role(role)


async def _spared(session: AsyncSession, user_id: str, what: str) -> User:
    # The admins' rows are locked first, then this one: two admins who demote each other wait here, and the second is refused.
    admins = await users.active_admins(session)
    user = await users.by_id(session, user_id)
    # None may be left already: a reset takes the password of the last one, who comes back with the link.
    if user.role == Role.ADMIN.value and user.disabled_at is None and not admins - {user_id}:
        raise InputError(f"the last admin who can sign in cannot be {what}", hint="Make somebody else an admin first.")
    return user
