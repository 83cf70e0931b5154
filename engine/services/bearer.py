"""Who comes with a key or a token. Whatever it says, SQL decides at each call: the user's role, the key, the session.

A token (RFC 7519) names its session or key and never does more than that does now; when either ends, so does the token.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import IssuedToken, Scope, scopes_for
from engine.database import keys
from engine.database.access_models import RevokedToken
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.errors import AccessDenied, InputError
from engine.sections import SessionLimits
from engine.security.api_key import parse_api_key, same_digest
from engine.security.jwt import LEEWAY_SECONDS, MAX_SECONDS, Claims, Tokens
from engine.security.tokens import digest
from engine.types import Principal, Role

ISSUER, AUDIENCE = "rag-workbench", "rag-workbench-api"
KEY_PREFIX, KEY_SESSION = "wb_", "key:"
TOUCH_EVERY = timedelta(minutes=1)
FAILURE_WINDOW = timedelta(minutes=15)
FAILURES_PER_ADDRESS = 50
_NOBODY = digest("no key has this digest")
_TOKEN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True, slots=True)
class _Holder:
    """What a token or its issuer stands on now: the user, what it may be used for, and when it ends."""

    user: User
    scopes: frozenset[str]
    ends: datetime | None


class Bearer:
    """Authenticates `Authorization: Bearer ...`, and issues and takes back tokens. `clock` gives epoch seconds."""

    def __init__(
        self, database: Database, limits: SessionLimits, secret_key: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._idle = timedelta(minutes=limits.idle_minutes)
        derived = hashlib.sha256(b"workbench tokens v1\0" + secret_key.encode()).hexdigest()
        self._tokens = Tokens(derived, issuer=ISSUER, audience=AUDIENCE, clock=clock)
        self._clock = clock

    async def authenticate_bearer(self, text: str, *, ip: str) -> Principal | None:
        """Return who holds this key or token now; None for whatever is unknown, expired, revoked or of a disabled user.

        An address that sent 50 wrong keys within a quarter of an hour is not heard until they are older.
        """
        if text.startswith(KEY_PREFIX):
            return await self._by_key(text, ip)
        try:
            claims = self._tokens.verify(text)
        except AccessDenied:
            return None  # not counted: a signature of 256 bits is not guessed, and expired ones come from honest clients
        return await self._by_token(claims)

    async def _by_key(self, text: str, ip: str) -> Principal | None:
        parsed = parse_api_key(text)
        if parsed is None:
            return None
        key_id, given = parsed
        async with self._database.read() as session:
            if await keys.failures(session, ip=ip, since=now() - FAILURE_WINDOW) >= FAILURES_PER_ADDRESS:
                return None
            found = await keys.find(session, key_id)
        # Compared also when there is no such key: which ids exist cannot be told from the time.
        if not same_digest(given, found[0].secret_sha256 if found else _NOBODY) or found is None:
            async with self._database.write() as session:
                await keys.add_failure(session, ip=ip)
            return None
        key, user, usable = found
        if not usable:
            return None
        principal = _principal(user, _narrowed(frozenset(key.scopes), user), KEY_SESSION + key.id)
        if key.last_used_at is None or key.last_used_at < now() - TOUCH_EVERY:
            async with self._database.write() as session:
                if await keys.first_use(session, key.id):
                    await record(session, principal, "api_key.first_use", key.id, ip=ip, name=key.name)
        return principal

    async def _by_token(self, claims: Claims) -> Principal | None:
        async with self._database.read() as session:
            holder = await self._holder(session, claims.sid)
            if holder is None or holder.user.id != claims.sub or await keys.is_revoked(session, claims.jti):
                return None
        scopes = claims.scopes & holder.scopes
        return _principal(holder.user, scopes, claims.sid, token_id=claims.jti)

    async def issue_token(self, principal: Principal, *, seconds: int = MAX_SECONDS) -> IssuedToken:
        """Return a token of at most 900 s, and never longer than the key or session that it is issued from.

        Raises AccessDenied for a preview, for a token, and when the key or session has ended; InputError for `seconds`.
        """
        if principal.preview or principal.token_id:
            raise AccessDenied("neither a preview nor a token gets a token", hint="Use the key, or sign in.")
        if isinstance(seconds, bool) or not 1 <= seconds <= MAX_SECONDS:
            raise InputError(f"a token lives 1 to {MAX_SECONDS} seconds", hint="Ask for a new one when it is over.")
        async with self._database.write() as session:
            holder = await self._holder(session, principal.session_id)
            left = (holder.ends.timestamp() - self._clock() if holder.ends else seconds) if holder else 0
            if holder is None or holder.user.id != principal.user_id or left < 1:
                raise AccessDenied("a token needs an open sign-in or a key that can be used", hint="Sign in again.")
            scopes = holder.scopes if principal.scopes is None else holder.scopes & principal.scopes
            lives = min(float(seconds), left)
            token = self._tokens.issue(holder.user.id, sid=principal.session_id, scopes=scopes, seconds=lives)
            claims = self._tokens.verify(token)
            await record(session, principal, "token.issue", claims.jti, seconds=int(lives), scopes=sorted(scopes))
        return IssuedToken(token=token, expires_at=datetime.fromtimestamp(claims.expires_at, UTC))

    async def revoke_token(self, principal: Principal, jti: str) -> None:
        """Take a token back before its end. Whoever knows its random name may: its holder, or a reader of the audit.

        Raises InputError for what is no name of a token.
        """
        if not _TOKEN_ID.fullmatch(jti):
            raise InputError("this is not the name of a token", hint="It is the field “jti” of the token.")
        async with self._database.write() as session:
            if not await keys.is_revoked(session, jti):
                # Which token it is is not known here, but none lives longer than this.
                ends = now() + timedelta(seconds=MAX_SECONDS + LEEWAY_SECONDS)
                session.add(RevokedToken(jti=jti, expires_at=ends))
                await record(session, principal, "token.revoke", jti)

    async def purge(self) -> None:
        """Remove what has expired by itself. For the engine."""
        async with self._database.write() as session:
            await keys.purge(session, failures_before=now() - FAILURE_WINDOW)

    async def _holder(self, session: AsyncSession, session_id: str) -> _Holder | None:
        if session_id.startswith(KEY_SESSION):
            found = await keys.find(session, session_id.removeprefix(KEY_SESSION))
            if found is None or not found[2]:
                return None
            key, user, _ = found
            return _Holder(user, _narrowed(frozenset(key.scopes), user), key.expires_at)
        signed_in = await keys.live_session(session, session_id, idle=self._idle)
        if signed_in is None:
            return None
        row, user = signed_in
        return _Holder(user, _narrowed(frozenset(Scope), user), row.expires_at)


def _narrowed(scopes: frozenset[str], user: User) -> frozenset[str]:
    """Return the scopes that the user's role allows now."""
    return scopes & frozenset(scope.value for scope in scopes_for(Role(user.role)))


def _principal(user: User, scopes: frozenset[str], session_id: str, *, token_id: str = "") -> Principal:
    return Principal(
        user_id=user.id, name=user.name, role=Role(user.role), session_id=session_id, scopes=scopes, token_id=token_id
    )
