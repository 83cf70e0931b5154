"""What the parts of the gate share: the ASGI types, reading of headers and cookies, and short answers of its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

COOKIE = "wb_session"


def cookie_name(name: str, *, secure: bool) -> str:
    """Return the name in force: the `__Host-` prefix makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis)."""
    return f"__Host-{name}" if secure else name


def header_values(headers: Headers, name: bytes) -> list[str]:
    """Return every value of a header, in order."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def header(headers: Headers, name: bytes) -> str:
    """Return the first value of a header, or ""."""
    return next(iter(header_values(headers, name)), "")


def cookie_values(headers: Headers, name: str) -> set[str]:
    """Return the different values that a request carries for one cookie; malformed pairs are passed over."""
    pairs = (pair.partition("=") for line in header_values(headers, b"cookie") for pair in line.split(";"))
    return {value.strip() for found, _, value in pairs if found.strip() == name}


def same_origin(headers: Headers, *, secure: bool = False) -> bool:
    """Tell whether a request comes from our own pages; without an Origin header it does not come from a foreign page.

    With `secure` a page without TLS is foreign, for anybody on the way can write one; else a proxy may have ended the TLS.
    """
    origin = header(headers, b"origin")
    try:
        found = urlsplit(origin)
    except ValueError:
        return False
    ours = found.scheme in ({"https"} if secure else {"http", "https"})
    return not origin or (ours and found.netloc.lower() == header(headers, b"host").lower() != "")


async def refuse(send: Send, scope: Scope, status: int, text: str, *, hint: str = "", headers: Headers | None = None) -> None:
    """Answer a request that goes no further: JSON below /api, else one line of text."""
    if is_api(scope):
        request_id = scope.get("state", {}).get("request_id", "")
        body = json.dumps({"error": text, "hint": hint, "request_id": request_id}).encode()
        kind = b"application/json"
    else:
        body = f"{text} {hint}".strip().encode() + b"\n" if text else b""
        kind = b"text/plain; charset=utf-8"
    sent = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*sent, *(headers or [])]})
    await send({"type": "http.response.body", "body": body})


def behind_tls(scope: Scope) -> bool:
    """Tell whether a request is known to have come by TLS."""
    return scope.get("scheme") in {"https", "wss"}


def is_api(scope: Scope) -> bool:
    """Tell whether a request is for the programming interface, where no cookie is believed; metrics belong to it."""
    path: str = scope["path"]
    return path in {"/api", "/metrics"} or path.startswith("/api/")
