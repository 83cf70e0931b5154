"""Checking a password: counted before the slow part, at the same cost for everybody, and said in one way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import sign_ins, users
from engine.database.audit import record
from engine.database.database import Database
from engine.database.models import User
from engine.database.sign_ins import Attempt
from engine.errors import AccessDenied, TooMany
from engine.sections import AccountRules
from engine.security import pbkdf2
from engine.security.passwords import Passwords
from engine.types import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A user whose password was right; `renewed` is a better hash to store, if there is one."""

    user: User
    attempt: Attempt
    renewed: str


class Guesses:
    """Passwords against the database. They are checked in threads, for bcrypt is slow on purpose."""

    def __init__(self, *, database: Database, passwords: Passwords, rules: AccountRules) -> None:
        self._database = database
        self._passwords = passwords
        self._rules = rules

    async def check(self, name: str, password: str, *, ip: str, action: str, who: Principal | None = None) -> Checked:
        """Return the user if the password is right. Raises AccessDenied: one text while locked, one for every other cause.

        The caller calls `settle` in the transaction that makes use of it. `action` is what the audit calls a failure.
        """
        name = name.strip().lower()[:100]
        async with self._database.write() as session:
            attempt = await sign_ins.attempt(session, name=name, ip=ip, rules=self._rules)
            user = await users.by_name(session, name)
            old = [pbkdf2.parse(stored) for stored in await users.hashes(session, pbkdf2.PREFIXES)]
        if attempt.id is None:
            raise self.locked()
        iterations = max((one.iterations for one in old if one), default=0)
        stored = user.password_hash if user else None
        right = await asyncio.to_thread(self._passwords.verify, password, stored, iterations=iterations)
        if user is None or user.disabled_at is not None or not right:
            async with self._database.write() as session:
                await self.failed(session, attempt, name if user else "", ip=ip, action=action, who=who)
            raise self.wrong(who)
        renewed = await asyncio.to_thread(self._passwords.renewed, password, user.password_hash)
        return Checked(user=user, attempt=attempt, renewed=renewed)

    async def settle(self, session: AsyncSession, checked: Checked) -> User:
        """Take the try back, store the better hash, and return the user. Raises AccessDenied when it changed meanwhile."""
        before = checked.user
        user = await users.by_id(session, before.id)
        if user.disabled_at is not None or user.password_hash != before.password_hash:
            raise self.wrong()
        await sign_ins.take_back(session, checked.attempt.id)
        if checked.renewed:
            user.password_hash = checked.renewed
        return user

    async def failed(
        self, session: AsyncSession, attempt: Attempt, name: str, *, ip: str, action: str, who: Principal | None = None
    ) -> None:
        """Audit a failure, and the lock that begins with it. `name` is "" for nobody: a password may have been typed there."""
        await record(session, who, action, name, outcome="failure", ip=ip)
        if attempt.locks:
            minutes = self._rules.lock_minutes
            await record(session, None, "auth.lock", name, outcome="denied", ip=ip, of=attempt.locks, minutes=minutes)

    def locked(self) -> TooMany:
        """The error of a lock, with how long one lasts at most: what is left of it would tell when others tried."""
        minutes = self._rules.lock_minutes
        hint = f"Wait {minutes} minutes, then try again, or ask an admin to unlock the account."
        return TooMany("too many wrong passwords or codes", retry_after_seconds=60 * minutes, hint=hint)

    @staticmethod
    def wrong(who: Principal | None = None) -> AccessDenied:
        """The error of everything else; `who` is signed in already."""
        if who is not None:
            return AccessDenied("the password is wrong", hint="Type the one that you sign in with.")
        return AccessDenied("the name or the password is wrong", hint="Check both and try again.")
