"""Who is who: the first admin, signing in and out, users."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

from engine.access_views import UserInfo
from engine.database import users
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.errors import AccessDenied, InputError
from engine.security.passwords import hash_password, verify_password
from engine.security.tokens import digest, new_token
from engine.settings import SessionLimits
from engine.types import Principal, Role

FAILURE_WINDOW = timedelta(minutes=15)
FAILURES_PER_ACCOUNT = 10
FAILURES_PER_ADDRESS = 50
TOUCH_EVERY = timedelta(seconds=30)


class Accounts:
    """Users and sessions over SQL. Passwords are checked in threads, for bcrypt is slow on purpose."""

    def __init__(self, database: Database, limits: SessionLimits) -> None:
        self._database = database
        self._limits = limits
        self.setup_token = ""

    async def offer_setup(self) -> None:
        """Make a one-time set-up token when there is no user yet; it lives in this process only."""
        self.setup_token = new_token() if await self.setup_needed() else ""

    async def setup_needed(self) -> bool:
        """Whether there is no user at all."""
        async with self._database.read() as session:
            return await users.count(session) == 0

    async def set_up(self, setup_token: str, name: str, password: str, *, ip: str, user_agent: str) -> str:
        """Make the first admin and return a session token. Raises AccessDenied, InputError."""
        if not self.setup_token or not secrets.compare_digest(setup_token.strip().encode(), self.setup_token.encode()):
            raise AccessDenied(
                "this is not the set-up token", hint="It is printed where the server was started; copy all of it."
            )
        password_hash = await asyncio.to_thread(hash_password, password)
        async with self._database.write() as session:
            if await users.count(session):
                raise AccessDenied("this installation is already set up", hint="Sign in instead.")
            user = await users.create(session, name=name, password_hash=password_hash, role=Role.ADMIN)
            first = Principal(user_id=user.id, name=user.name, role=Role.ADMIN)
            await record(session, first, "user.create", user.name, ip=ip, role=user.role, first=True)
        self.setup_token = ""
        return await self._open_session(user, ip=ip, user_agent=user_agent)

    async def sign_in(self, name: str, password: str, *, ip: str, user_agent: str) -> str:
        """Return a new session token. Raises AccessDenied, with one text for every cause but the lock."""
        name = name.strip().lower()[:100]
        # Counted before the slow check of the password, and in one transaction with reading the count: guesses made
        # side by side cannot slip under the limit. A right password clears the count.
        async with self._database.write() as session:
            by_account, by_address = await users.failures(session, name=name, ip=ip, since=now() - FAILURE_WINDOW)
            locked = by_account >= FAILURES_PER_ACCOUNT or by_address >= FAILURES_PER_ADDRESS
            if locked:
                await record(session, None, "auth.login", name, ip=ip, outcome="denied", reason="locked")
            else:
                await users.add_failure(session, name=name, ip=ip)
            user = await users.by_name(session, name)
        if locked:
            raise AccessDenied("too many wrong passwords", hint="Wait a quarter of an hour, then try again.")
        # Verified also for nobody: a missing user costs the same time as a wrong password.
        right = await asyncio.to_thread(verify_password, password, user.password_hash if user else None)
        if user is None or not right or user.disabled_at is not None:
            async with self._database.write() as session:
                await record(session, None, "auth.login", name, outcome="failure", ip=ip)
            raise AccessDenied("the name or the password is wrong", hint="Check both and try again.")
        return await self._open_session(user, ip=ip, user_agent=user_agent)

    async def _open_session(self, user: User, *, ip: str, user_agent: str) -> str:
        token = new_token()
        async with self._database.write() as session:
            await users.forget_failures(session, name=user.name, before=now() - timedelta(days=1))
            row = await users.open_session(
                session,
                user,
                token_sha256=digest(token),
                ip=ip,
                user_agent=user_agent,
                hours=self._limits.absolute_hours,
                keep=self._limits.per_user,
            )
            who = Principal(user_id=user.id, name=user.name, role=Role(user.role), session_id=row.id)
            await record(session, who, "auth.login", user.name, ip=ip)
        return token

    async def authenticate(self, token: str) -> Principal | None:
        """Return who holds this session token now, or None."""
        idle = timedelta(minutes=self._limits.idle_minutes)
        async with self._database.read() as session:
            found = await users.principal_of(session, digest(token), idle=idle)
        if found is None:
            return None
        principal, row = found
        if row.last_seen_at < now() - TOUCH_EVERY:
            async with self._database.write() as session:
                await users.touch(session, row.id)
        return principal

    async def sign_out(self, token: str) -> None:
        """End the session of this token; quiet when there is none."""
        async with self._database.write() as session:
            row = await users.revoke(session, token_sha256=digest(token), reason="signed out")
            if row is not None:
                await record(session, None, "auth.logout", row.user_id)

    async def users(self, principal: Principal) -> list[UserInfo]:
        """Return all users. Raises AccessDenied unless the principal is an admin."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await users.listed(session)

    async def create_user(self, principal: Principal, name: str, password: str, role: Role | str) -> UserInfo:
        """Add a user. Raises AccessDenied, InputError."""
        require_role(principal, Role.ADMIN)
        if role not in list(Role):
            raise InputError(f"unknown role {role!r}", hint=f"known roles: {', '.join(Role)}")
        password_hash = await asyncio.to_thread(hash_password, password)
        async with self._database.write() as session:
            user = await users.create(session, name=name, password_hash=password_hash, role=Role(role))
            await record(session, principal, "user.create", user.name, role=user.role)
        return users.info(user)


def require_role(principal: Principal, *roles: Role) -> None:
    """Raise AccessDenied unless the principal has one of these roles."""
    if principal.preview or (principal.scopes is not None and "admin" not in principal.scopes):
        raise AccessDenied("neither a preview nor a key without the scope “admin” may do this", hint="Sign in for this.")
    if principal.role not in roles:
        raise AccessDenied(f"this needs the role {' or '.join(roles)}; yours is {principal.role}")
