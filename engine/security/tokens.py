"""Session tokens: 256 random bits for the browser, only their SHA-256 for the database.

A copy of the sessions table is then worth nothing. A fast hash is right here, for the token itself cannot be guessed
(OWASP ASVS 5.0, 7.2.3 asks for at least 128 bits).
"""

from __future__ import annotations

import hashlib
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """Return a new URL-safe token of 43 characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: str) -> str:
    """Return the SHA-256 of `token` as 64 hexadecimal digits: what is stored and looked up."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
