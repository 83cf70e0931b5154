"""From the headers of a request to an identity: bearer tokens and API keys.

Hooks of the application (`is_revoked`, a lookup of keys) may be plain functions or coroutine functions; `settle` waits for
what they return. A hook that fails refuses the request: nobody comes in because a check could not be made.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from engine.errors import AccessDenied
from engine.security.api_key import parse_api_key, same_digest
from engine.security.identity import Identity
from engine.security.jwt import LEEWAY_SECONDS, Tokens
from engine.security.options import Options
from engine.security.refusals import Refused, unauthenticated
from engine.security.request import Request
from engine.security.revocation import Revocations
from engine.security.tokens import digest

Settle: TypeAlias = Callable[[Any], Awaitable[Any]]
logger = logging.getLogger(__name__)
_NOBODY = digest("no key has this digest")


class Credentials:
    """Verifies what a request presents. `tokens` is None when no JWT is accepted. `clock` gives epoch seconds."""

    def __init__(
        self, options: Options, tokens: Tokens | None, revoked: Revocations, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._options = options
        self._tokens = tokens
        self._revoked = revoked
        self._clock = clock

    async def identify(self, request: Request, settle: Settle) -> Identity | None:
        """Return who sent `request`, or None when it presents nothing. Raises Refused: 401 for what is wrong, 503."""
        scheme, _, bearer = request.value(b"authorization").partition(" ")
        key = request.value(b"x-api-key") if "api_key" in self._options.auth_method else ""
        if key and scheme:
            raise unauthenticated("there are two credentials, and they may be two people's")
        if key:
            return await self._by_key(key, settle)
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise unauthenticated("this kind of authentication is not accepted")
        bearer = bearer.strip()
        return await (self._by_key(bearer, settle) if bearer.startswith("wb_") else self._by_token(bearer, settle))

    async def still_valid(self, identity: Identity, settle: Settle) -> bool:
        """Tell whether an identity that was verified before holds now. Raises Refused (503)."""
        expires = identity.claims.get("expires_at")
        if expires is not None and self._clock() >= expires + LEEWAY_SECONDS:
            return False
        if identity.method == "jwt":
            return not await self._is_revoked(identity.claims["jti"], identity.claims["sid"], settle)
        return await self._row(identity.claims["key_id"], settle) is not None

    async def _by_token(self, token: str, settle: Settle) -> Identity:
        if self._tokens is None:
            raise unauthenticated("tokens are not accepted here")
        try:
            claims = self._tokens.verify(token)
        except AccessDenied as error:
            raise unauthenticated(str(error)) from None
        if await self._is_revoked(claims.jti, claims.sid, settle):
            raise unauthenticated("the token was revoked")
        ours = {"sid": claims.sid, "jti": claims.jti, "expires_at": claims.expires_at}
        return Identity(subject=claims.sub, method="jwt", scopes=claims.scopes, claims={**claims.extra, **ours})

    async def _is_revoked(self, jti: str, sid: str, settle: Settle) -> bool:
        if jti in self._revoked or sid in self._revoked:
            return True
        if self._options.is_revoked is None:
            return False
        return bool(await _asked(self._options.is_revoked, (jti, sid), settle))

    async def _by_key(self, text: str, settle: Settle) -> Identity:
        parsed = parse_api_key(text) if "api_key" in self._options.auth_method else None
        if parsed is None:
            raise unauthenticated("the API key is not valid")
        identifier, given = parsed
        row = await self._row(identifier, settle)
        # Compared also when there is no such key: which ids exist cannot be told from the time.
        if not same_digest(given, row["sha256"] if row else _NOBODY) or row is None:
            raise unauthenticated("the API key is not valid")
        scopes = row.get("scopes") or ()
        claims = {"key_id": identifier} | ({"expires_at": _expiry(row)} if row.get("expires_at") is not None else {})
        return Identity(
            subject=row["user"],
            method="api_key",
            scopes=frozenset(scopes.split() if isinstance(scopes, str) else scopes),
            claims=claims,
        )

    async def _row(self, identifier: str, settle: Settle) -> Mapping[str, Any] | None:
        keys = self._options.api_keys
        row = await _asked(keys, (identifier,), settle) if callable(keys) else (keys or {}).get(identifier)
        if not isinstance(row, Mapping) or not all(isinstance(row.get(name), str) and row[name] for name in ("sha256", "user")):
            return None
        return row if self._clock() < _expiry(row) else None


async def _asked(hook: Callable[..., Any], arguments: tuple[str, ...], settle: Settle) -> Any:
    try:
        return await settle(hook(*arguments))
    except Exception as error:  # noqa: BLE001 - the application's own code; its message may repeat what it was given
        logger.error("a security hook failed with %s; the request is refused", type(error).__name__)  # noqa: TRY400
        raise Refused(
            503, "the credential cannot be checked now", hint="Try again later.", headers=(("retry-after", "5"),)
        ) from None


def _expiry(row: Mapping[str, Any]) -> float:
    """Return when a key expires in epoch seconds; what is no point in time has passed already."""
    at = row.get("expires_at")
    if at is None:
        return math.inf
    if isinstance(at, datetime) and at.tzinfo:
        return at.timestamp()
    return float(at) if isinstance(at, int | float) and not isinstance(at, bool) else -math.inf
