"""The response headers that keep a page from loading, framing or leaking what it should not.

The content security policy is the one under which Streamlit's pages were seen to work without 'unsafe-eval' or inline
scripts, but for the inline script of Streamlit's own index page, which is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re

Headers = list[tuple[bytes, bytes]]

API_POLICY = "default-src 'none'; frame-ancestors 'none'"

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def script_hashes(html: str) -> list[str]:
    """Return the CSP source of each inline script of `html`, such as "'sha256-...'"."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(html))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def content_security_policy(index_html: str) -> str:
    """Return the policy for pages whose index page is `index_html` (CSP Level 3)."""
    scripts = " ".join(["'self'", "'wasm-unsafe-eval'", *script_hashes(index_html)])
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "media-src 'self' blob:",
            "frame-src 'self'",
            "frame-ancestors 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        ]
    )


def api_headers(policy: str, *, hsts_seconds: int = 0) -> Headers:
    """Return the headers for an application that is no Streamlit page; HSTS only when `hsts_seconds` is not 0.

    Source: OWASP Secure Headers Project. `policy` is the content security policy; "" leaves that header out.
    """
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    headers += [(b"content-security-policy", policy.encode("latin-1"))] if policy else []
    return [*headers, (b"strict-transport-security", f"max-age={hsts_seconds}".encode())] if hsts_seconds else headers


def with_missing(headers: Headers, added: Headers) -> Headers:
    """Return `headers` and those of `added` whose names are not among them yet."""
    present = {name.lower() for name, _ in headers}
    return [*headers, *(pair for pair in added if pair[0] not in present)]


def security_headers(index_html: str, *, secure: bool) -> Headers:
    """Return the headers for every response; HSTS only when `secure`, that is with TLS really in front."""
    headers = [
        (b"content-security-policy", content_security_policy(index_html).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"SAMEORIGIN"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    return [*headers, (b"strict-transport-security", b"max-age=31536000")] if secure else headers
