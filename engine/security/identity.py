"""Who a request comes from, as the protected app sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A verified caller. `method` is "jwt" or "api_key".

    `claims` holds what was verified beside the subject: "sid", "jti", "expires_at" (epoch seconds) and the issuer's own
    claims for a token, "key_id" for a key. Never the credential itself.
    """

    subject: str
    method: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)
