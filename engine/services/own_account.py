"""What users do with their own account: password, second factor, open sessions. Never a preview or a key in their place."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import SecondFactor, SessionInfo, UserInfo
from engine.database import sessions, tickets, users
from engine.database.audit import record
from engine.database.database import Database
from engine.database.models import Session
from engine.errors import AccessDenied, InputError, NotFound
from engine.sections import AccountRules, SessionLimits
from engine.security.passwords import Passwords, check_password
from engine.services.accounts import require_role
from engine.services.codes import Codes
from engine.services.guesses import Checked, Guesses
from engine.types import Principal, Role


class OwnAccount:
    """The account of the principal; admins also see and end the sessions of others."""

    def __init__(
        self,
        *,
        database: Database,
        guesses: Guesses,
        passwords: Passwords,
        codes: Codes,
        limits: SessionLimits,
        rules: AccountRules,
    ) -> None:
        self._database = database
        self._guesses = guesses
        self._passwords = passwords
        self._codes = codes
        self._limits = limits
        self._rules = rules

    async def info(self, principal: Principal) -> UserInfo:
        """Return the principal's own account. Raises AccessDenied for a preview or a key."""
        require_person(principal)
        async with self._database.read() as session:
            found = await users.infos(session, self._rules, self._limits, user_id=principal.user_id)
        if not found:
            raise NotFound("there is no such user", hint="Sign in again.")
        return found[0]

    async def change_password(self, principal: Principal, old: str, new: str) -> None:
        """Change the own password and end all other sessions.

        Raises AccessDenied for a wrong `old`, which counts for the lock; InputError for a bad `new`.
        """
        require_person(principal)
        check_password(new, name=principal.name)
        checked = await self._checked(principal, old, "user.password")
        if new == old:
            raise InputError("this is the password that you have now", hint="Choose another one.")
        password_hash = await asyncio.to_thread(self._passwords.hash, new, name=principal.name)
        async with self._database.write() as session:
            user = await self._guesses.settle(session, checked)
            user.password_hash, user.must_change = password_hash, False
            await tickets.withdraw(session, user.id)
            ended = await sessions.end_all(session, user.id, by=user.id, reason="new password", keep=principal.session_id)
            await record(session, principal, "user.password", user.name, sessions_ended=ended)

    async def start_second_factor(self, principal: Principal) -> SecondFactor:
        """Return a new secret, in force once a code was confirmed. Raises InputError when there is a second factor already."""
        require_person(principal)
        async with self._database.write() as session:
            user = await users.by_id(session, principal.user_id)
            if user.totp_confirmed:
                raise InputError("there is a second factor already", hint="Remove it first.")
            return self._codes.begin(user)

    async def confirm_second_factor(self, principal: Principal, code: str) -> None:
        """Put the new second factor in force. Raises InputError for a wrong code."""
        require_person(principal)
        async with self._database.write() as session:
            user = await users.by_id(session, principal.user_id)
            if user.totp_confirmed or user.sealed_totp is None:
                raise InputError("there is no second factor to confirm", hint="Start again.")
            if not await self._codes.accept(session, user, code):
                raise InputError(
                    "the code is wrong", hint="Check that the clock of your device is right, and take the next code."
                )
            user.totp_confirmed = True
            await record(session, principal, "user.second_factor", user.name, change="added")

    async def remove_second_factor(self, principal: Principal, password: str) -> None:
        """Take the own second factor away. Raises AccessDenied for a wrong password, which counts for the lock."""
        require_person(principal)
        checked = await self._checked(principal, password, "user.second_factor")
        async with self._database.write() as session:
            user = await self._guesses.settle(session, checked)
            self._codes.remove(user)
            await record(session, principal, "user.second_factor", user.name, change="removed")

    async def sessions(self, principal: Principal, user_id: str | None = None) -> list[SessionInfo]:
        """Return open sessions, last used first: one's own; for admins also those of another user, or of all ("*")."""
        wanted = user_id or principal.user_id
        _require_own(principal, wanted)
        async with self._database.read() as session:
            return await sessions.listed(session, self._limits, user_id=wanted, current=principal.session_id)

    async def revoke_session(self, principal: Principal, session_id: str) -> None:
        """End a session: one's own, or for admins anybody's. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await session.get(Session, session_id)
            if row is None or (row.user_id != principal.user_id and principal.role is not Role.ADMIN):
                raise NotFound("there is no such session, or it is not yours", hint="Choose one from the list.")
            _require_own(principal, row.user_id)
            reason = "ended by its user" if row.user_id == principal.user_id else "ended by an admin"
            await sessions.end(session, session_id, by=principal.user_id, reason=reason)
            await record(session, principal, "session.revoke", session_id, user=row.user_id)

    async def sign_out_everywhere(self, principal: Principal) -> int:
        """End all of the principal's sessions, this one included, and return how many there were."""
        require_person(principal)
        async with self._database.write() as session:
            ended = await sessions.end_all(session, principal.user_id, by=principal.user_id, reason="signed out everywhere")
            await record(session, principal, "auth.logout", principal.name, sessions_ended=ended)
        return ended

    async def _checked(self, principal: Principal, password: str, action: str) -> Checked:
        async with self._database.read() as session:
            ip = await _ip_of(session, principal)
        return await self._guesses.check(principal.name, password, ip=ip, action=action, who=principal)


def require_person(principal: Principal) -> None:
    """Raise AccessDenied unless the principal is somebody who signed in."""
    if principal.preview or principal.scopes is not None:
        raise AccessDenied("neither a preview nor a key may do this", hint="Sign in for this.")


def _require_own(principal: Principal, user_id: str) -> None:
    if user_id == principal.user_id:
        require_person(principal)
    else:
        require_role(principal, Role.ADMIN)


async def _ip_of(session: AsyncSession, principal: Principal) -> str:
    row = await session.get(Session, principal.session_id)
    return row.ip if row else ""
