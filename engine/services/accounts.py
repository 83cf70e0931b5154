"""Who is who: the first admin, signing in step by step, and out."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import SignIn, Step
from engine.database import sessions, sign_ins, tickets, users
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.database.tickets import CHOOSING, LINKS, Kind
from engine.errors import AccessDenied, InputError
from engine.protocols import Meter
from engine.sections import AccountRules, SessionLimits
from engine.security.passwords import Passwords
from engine.security.tokens import digest, new_token
from engine.services.codes import Codes
from engine.services.guesses import Guesses
from engine.services.outcomes import signing_in
from engine.types import Principal, Role

TOUCH_EVERY = timedelta(seconds=30)
CODE_LASTS = timedelta(minutes=5)
CODE_TRIES = 5
CHANGE_LASTS = timedelta(minutes=10)
FAILURES_KEPT = timedelta(days=1)


class Accounts:
    """Users and sessions over SQL."""

    def __init__(
        self,
        *,
        database: Database,
        guesses: Guesses,
        passwords: Passwords,
        codes: Codes,
        limits: SessionLimits,
        rules: AccountRules,
        meter: Meter,
    ) -> None:
        self._database = database
        self._guesses = guesses
        self._passwords = passwords
        self._codes = codes
        self._limits = limits
        self._rules = rules
        self._meter = meter
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
        if not self.setup_token or not secrets.compare_digest(digest(setup_token.strip()), digest(self.setup_token)):
            raise AccessDenied(
                "this is not the set-up token", hint="It is printed where the server was started; copy all of it."
            )
        password_hash = await asyncio.to_thread(self._passwords.hash, password, name=name)
        async with self._database.write() as session:
            if await users.count(session):
                raise AccessDenied("this installation is already set up", hint="Sign in instead.")
            user = await users.create(session, name=name, password_hash=password_hash, role=Role.ADMIN)
            await record(session, _principal(user), "user.create", user.name, ip=ip, role=user.role, first=True)
            done = await self._go_on(session, user, ip=ip, user_agent=user_agent)
        self.setup_token = ""
        return done.token

    async def sign_in(self, name: str, password: str, *, ip: str, user_agent: str) -> SignIn:
        """Return a session token, or a ticket for what is still needed.

        Raises AccessDenied, with one text for every cause but the lock: unknown, wrong, disabled, invited.
        """
        with signing_in(self._meter) as watched:
            checked = await self._guesses.check(name, password, ip=ip, action="auth.login")
            async with self._database.write() as session:
                user = await self._guesses.settle(session, checked)
                found = await self._go_on(session, user, ip=ip, user_agent=user_agent)
            return watched.done(found)

    async def second_factor(self, ticket: str, code: str, *, ip: str, user_agent: str) -> SignIn:
        """Go on with a one-time code. Raises AccessDenied; a ticket allows 5 tries within 5 minutes."""
        with signing_in(self._meter) as watched:
            async with self._database.write() as session:
                # An error would roll the counts back, so it is returned first and raised outside.
                outcome = await self._try_code(session, digest(ticket), code, ip=ip, user_agent=user_agent)
            if isinstance(outcome, AccessDenied):
                raise outcome
            return watched.done(outcome)

    async def _try_code(self, session: AsyncSession, key: str, code: str, *, ip: str, user_agent: str) -> SignIn | AccessDenied:
        expired = AccessDenied("this sign-in took too long or had too many tries", hint="Start again with your password.")
        found = await tickets.holder(session, key, [Kind.SECOND_FACTOR])
        if found is None:
            return expired
        user = await users.by_id(session, found[0].id)
        if user.disabled_at is not None or not await tickets.try_once(session, key, Kind.SECOND_FACTOR, limit=CODE_TRIES):
            return expired
        attempt = await sign_ins.attempt(session, name=user.name, ip=ip, rules=self._rules)
        if attempt.id is None:
            return self._guesses.locked()
        if not await self._codes.accept(session, user, code):
            await self._guesses.failed(session, attempt, user.name, ip=ip, action="auth.second_factor")
            return AccessDenied("the code is wrong", hint="Wait for the next one: no code works twice.")
        await sign_ins.take_back(session, attempt.id)
        await tickets.use(session, key, [Kind.SECOND_FACTOR])
        return await self._go_on(session, user, ip=ip, user_agent=user_agent, code_shown=True)

    async def invited(self, ticket: str) -> str:
        """Return the name of the user an open invitation or reset link belongs to. Raises AccessDenied."""
        async with self._database.read() as session:
            found = await tickets.holder(session, digest(ticket), LINKS)
        if found is None:
            raise _dead()
        return found[0].name

    async def choose_password(self, ticket: str, password: str, *, ip: str, user_agent: str) -> SignIn:
        """Accept an invitation, a reset link or a forced change. InputError keeps the ticket, AccessDenied is a dead one."""
        key = digest(ticket)
        async with self._database.read() as session:
            found = await tickets.holder(session, key, CHOOSING)
        if found is None:
            raise _dead()
        user, kind = found
        if kind is Kind.PASSWORD and await asyncio.to_thread(self._passwords.verify, password, user.password_hash):
            raise InputError("this is the password that you have now", hint="Choose another one.")
        password_hash = await asyncio.to_thread(self._passwords.hash, password, name=user.name)
        async with self._database.write() as session:
            user = await users.by_id(session, user.id)
            if user.disabled_at is not None or not await tickets.use(session, key, [kind]):
                raise _dead()
            user.password_hash, user.must_change = password_hash, False
            await tickets.withdraw(session, user.id)
            await sessions.end_all(session, user.id, by=user.id, reason="new password")
            action = "user.accept" if kind is Kind.INVITE else "user.password"
            await record(session, _principal(user), action, user.name, ip=ip)
            # A link stands for the password alone: a second factor is asked for after it.
            shown = kind is Kind.PASSWORD
            return await self._go_on(session, user, ip=ip, user_agent=user_agent, code_shown=shown)

    async def _go_on(self, session: AsyncSession, user: User, *, ip: str, user_agent: str, code_shown: bool = False) -> SignIn:
        """Take the next step of a sign-in whose password was right: a code, a new password, or the session."""
        if user.totp_confirmed and not code_shown:
            return await _step(session, user, Step.SECOND_FACTOR, Kind.SECOND_FACTOR, CODE_LASTS)
        if user.must_change:
            return await _step(session, user, Step.PASSWORD, Kind.PASSWORD, CHANGE_LASTS)
        token = new_token()
        await sign_ins.forget(session, name=user.name, ip=ip)
        row = await sessions.start(session, user, token_sha256=digest(token), ip=ip, user_agent=user_agent, limits=self._limits)
        await record(session, _principal(user, row.id), "auth.login", user.name, ip=ip, second_factor=user.totp_confirmed)
        return SignIn(token=token, name=user.name)

    async def authenticate(self, token: str) -> Principal | None:
        """Return who holds this session token now, or None."""
        async with self._database.read() as session:
            found = await sessions.principal_of(session, digest(token), self._limits)
        if found is None:
            return None
        principal, row = found
        if row.last_seen_at < now() - TOUCH_EVERY:
            async with self._database.write() as session:
                await sessions.touch(session, row.id)
        return principal

    async def sign_out(self, token: str) -> None:
        """End the session of this token; quiet when there is none."""
        async with self._database.write() as session:
            found = await sessions.principal_of(session, digest(token), self._limits)
            if found is not None:
                who, row = found
                await sessions.end(session, row.id, by=who.user_id, reason="signed out")
                await record(session, who, "auth.logout", who.name, ip=row.ip)

    async def purge(self) -> None:
        """Remove wrong tries and tickets that nothing counts any more."""
        async with self._database.write() as session:
            window = timedelta(minutes=self._rules.lock_minutes)
            await sign_ins.purge(session, before=now() - max(window, FAILURES_KEPT))
            await tickets.purge(session)


def require_role(principal: Principal, *roles: Role) -> None:
    """Raise AccessDenied unless the principal has one of these roles."""
    if principal.preview or (principal.scopes is not None and "admin" not in principal.scopes):
        raise AccessDenied("neither a preview nor a key without the scope “admin” may do this", hint="Sign in for this.")
    if principal.role not in roles:
        raise AccessDenied(f"this needs the role {' or '.join(roles)}; yours is {principal.role}")


def require_operator(principal: Principal) -> None:
    """Raise AccessDenied unless the principal is an operator or admin, or a key of one with the scope "operate" or "admin"."""
    if principal.preview or (principal.scopes is not None and not principal.scopes & {"operate", "admin"}):
        raise AccessDenied("neither a preview nor a key without the scope “operate” may do this", hint="Sign in for this.")
    if principal.role not in (Role.OPERATOR, Role.ADMIN):
        raise AccessDenied(f"this needs the role operator or admin; yours is {principal.role}")


async def _step(session: AsyncSession, user: User, step: Step, kind: Kind, lasts: timedelta) -> SignIn:
    ticket = new_token()
    await tickets.issue(session, user.id, kind, token_sha256=digest(ticket), lasts=lasts)
    return SignIn(step=step, ticket=ticket, name=user.name)


def _principal(user: User, session_id: str = "") -> Principal:
    return Principal(user_id=user.id, name=user.name, role=Role(user.role), session_id=session_id)


def _dead() -> AccessDenied:
    return AccessDenied("this link was used already, has expired, or is not complete", hint="Ask an admin for a new one.")
