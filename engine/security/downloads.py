"""The headers with which a file leaves: a browser stores it and never opens it as a page of ours."""

from __future__ import annotations

import re
from urllib.parse import quote


def attachment_headers(name: str) -> dict[str, str]:
    """Return the headers of a download called `name` (RFC 6266; in UTF-8 by RFC 8187, and in ASCII)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)[:200] or "document"
    return {
        "content-type": "application/octet-stream",
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "private, no-store",
    }
