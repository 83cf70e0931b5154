"""Short-lived signed tokens: HS256 and nothing else, at most 15 minutes (RFC 7519, RFC 8725).

A token names its session (`sid`) and itself (`jti`), so that either can be revoked before it expires.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.types import Options

from engine.errors import AccessDenied, InputError
from engine.settings import check_secret

ALGORITHM = "HS256"
MAX_SECONDS = 900
LEEWAY_SECONDS = 5
MAX_CHARS = 8192
REQUIRED = ("iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp")
RESERVED = frozenset({*REQUIRED, "scope"})
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3
_HINT = "Sign in again for a new token."


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a valid token says. Times are epoch seconds; `extra` holds the issuer's own claims."""

    sub: str
    sid: str
    jti: str
    scopes: frozenset[str]
    issued_at: float
    expires_at: float
    extra: Mapping[str, Any] = field(default_factory=dict)


class Tokens:
    """Issues and verifies the tokens of one issuer for one audience.

    Raises MissingSecret for a secret that is publicly known or shorter than 32 characters. `clock` gives epoch seconds.
    """

    def __init__(self, secret: str, *, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = check_secret(secret, name="jwt_secret")
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def issue(self, subject: str, *, sid: str, scopes: Iterable[str] = (), seconds: float = MAX_SECONDS, **claims: Any) -> str:
        """Return a token for `subject` in the session `sid`, valid for `seconds`.

        Raises InputError when it would live longer than 900 s, or when a claim or scope cannot be written.
        """
        if not 0 < seconds <= MAX_SECONDS:
            raise InputError(f"a token lives more than 0 and at most {MAX_SECONDS} s", hint="Renew it instead.")
        scopes = sorted(set(scopes))
        if not subject or not sid or any(not _SCOPE.fullmatch(scope) for scope in scopes) or RESERVED & claims.keys():
            raise InputError("a token needs a subject, a session and plain scopes", hint="Give other names to your own claims.")
        now = self._clock()
        payload = claims | {
            "iss": self._issuer, "aud": self._audience, "sub": subject, "sid": sid, "jti": secrets.token_urlsafe(16),
            "iat": now, "nbf": now, "exp": now + seconds, "scope": " ".join(scopes),
        }  # fmt: skip
        return jwt.encode(payload, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str) -> Claims:
        """Return the claims of `token`. Raises AccessDenied, never repeating the token, for whatever is wrong with it."""
        if len(token) > MAX_CHARS or not _SHAPE.fullmatch(token):
            raise AccessDenied("the token is malformed", hint=_HINT)
        try:
            # Only these two fields: no key or key name that comes with a token is ever looked at (RFC 8725, 3.10).
            header = jwt.get_unverified_header(token)
            plain = header.keys() <= {"alg", "typ"} and header["alg"] == ALGORITHM and header.get("typ", "JWT") == "JWT"
            payload = self._decode(token) if plain else None
        except (jwt.PyJWTError, RecursionError, ValueError):
            payload = None
        if payload is None:
            raise AccessDenied("the token is not valid here", hint=_HINT)
        self._check_times(payload)
        return _claims(payload)

    def _decode(self, token: str) -> dict[str, Any]:
        # The times are checked below, by the injected clock.
        ours: Options = {
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "strict_aud": True,
            "require": list(REQUIRED),
        }
        payload: dict[str, Any] = jwt.decode(
            token, self._secret, algorithms=[ALGORITHM], issuer=self._issuer, audience=self._audience, options=ours
        )
        return payload

    def _check_times(self, payload: Mapping[str, Any]) -> None:
        times = [payload[name] for name in ("iat", "nbf", "exp")]
        if any(isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at) for at in times):
            raise AccessDenied("the token has malformed times", hint=_HINT)
        issued, not_before, expires = times
        if not 0 < expires - issued <= MAX_SECONDS:
            raise AccessDenied(f"the token lives longer than {MAX_SECONDS} s", hint=_HINT)
        now = self._clock()
        if now >= expires + LEEWAY_SECONDS:
            raise AccessDenied("the token has expired", hint=_HINT)
        if max(issued, not_before) > now + LEEWAY_SECONDS:
            raise AccessDenied("the token is not valid yet", hint="Compare the clocks of both machines.")


def _claims(payload: Mapping[str, Any]) -> Claims:
    named = [payload[name] for name in ("sub", "sid", "jti")]
    scope = payload.get("scope", "")
    if not all(isinstance(value, str) and value for value in named) or not isinstance(scope, str):
        raise AccessDenied("the token has malformed claims", hint=_HINT)
    subject, sid, jti = named
    return Claims(
        sub=subject,
        sid=sid,
        jti=jti,
        scopes=frozenset(scope.split()),
        issued_at=float(payload["iat"]),
        expires_at=float(payload["exp"]),
        extra={name: value for name, value in payload.items() if name not in RESERVED},
    )
