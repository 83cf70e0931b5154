"""API keys `wb_<id>_<secret>`: the id finds the row, only the SHA-256 of the secret is stored, the key is shown once.

The prefix lets secret scanners find a key that was published by mistake.
"""

from __future__ import annotations

import hmac
import re
import secrets

from engine.security.tokens import digest, new_token

ID_CHARS = 12
_KEY = re.compile(rf"wb_([0-9a-f]{{{ID_CHARS}}})_([A-Za-z0-9_-]{{43}})")


def new_api_key() -> tuple[str, str, str]:
    """Return (id, full key, SHA-256 of its secret as 64 hexadecimal digits). Store the first and the last."""
    identifier, secret = secrets.token_hex(ID_CHARS // 2), new_token()
    return identifier, f"wb_{identifier}_{secret}", digest(secret)


def parse_api_key(text: str) -> tuple[str, str] | None:
    """Return (id, SHA-256 of the secret), or None when `text` has not the form of a key."""
    found = _KEY.fullmatch(text) if len(text) < 100 else None
    return (found[1], digest(found[2])) if found else None


def same_digest(given: str, stored: str) -> bool:
    """Compare two digests in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), stored.encode())
