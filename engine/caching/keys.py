"""Names under which things are kept: they tell nothing about what is kept, and cannot be tried out without the secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any


def keyed(secret: bytes, *parts: Any) -> str:
    """Return the HMAC-SHA256 (RFC 2104) of values that JSON knows, as 64 hexadecimal digits.

    JSON tells where a part ends, so that no two lists of parts are one text; half surrogate pairs are escaped by it.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode("ascii"), hashlib.sha256).hexdigest()
