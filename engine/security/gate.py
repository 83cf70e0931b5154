"""The one door: a pure-ASGI wrapper that decides who reaches pages, uploads, media and websockets.

It knows sessions only through `authenticate`, and nothing of Streamlit but the bytes it may be given as `farewell`.
(A wrapper built on Starlette's BaseHTTPMiddleware would never see a websocket.)
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from engine.types import Principal

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Authenticate: TypeAlias = Callable[[str], Awaitable[Principal | None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

COOKIE = "wb_session"
OPEN_PATHS = frozenset({"/login", "/login/style.css", "/setup", "/healthz/live"})
TRUSTED_PREFIX = b"x-wb-"
REVOKED = 4401  # websocket close codes 4000-4999 are private (RFC 6455, 7.4.2)
MAX_CACHED = 1000
MAX_QUERY = 500  # characters that are carried through a sign-in
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,128}")


def cookie_name(name: str, *, secure: bool) -> str:
    """Return the name in force: the `__Host-` prefix makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis)."""
    return f"__Host-{name}" if secure else name


def header(headers: Headers, name: bytes) -> str:
    """Return the first value of a header, or ""."""
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")


def cookie_values(headers: Headers, name: str) -> set[str]:
    """Return the different values that a request carries for one cookie; malformed pairs are passed over."""
    pairs = (
        pair.partition("=") for key, value in headers if key.lower() == b"cookie" for pair in value.decode("latin-1").split(";")
    )
    return {value.strip() for found, _, value in pairs if found.strip() == name}


def same_origin(headers: Headers) -> bool:
    """Tell whether a request comes from our own pages; without an Origin header it does not come from a foreign page."""
    origin = header(headers, b"origin")
    try:
        return not origin or urlsplit(origin).netloc.lower() == header(headers, b"host").lower() != ""
    except ValueError:
        return False


class Gate:
    """Checks the session cookie of every request, websocket handshake and websocket frame.

    `authenticate` turns a token into a principal, or None when the session is unknown, expired or revoked; an answer is
    reused for at most `cache_seconds`. Identity headers (x-wb-*) of the client are dropped; the verified `x-wb-session` and
    `x-wb-user` are added, for `server.trustedUserHeaders`. `farewell` is sent on an open websocket whose session ended.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticate: Authenticate,
        secure_cookies: bool = False,
        headers: Sequence[tuple[bytes, bytes]] = (),
        farewell: bytes = b"",
        cache_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._cookie = cookie_name(COOKIE, secure=secure_cookies)
        self._headers = tuple(headers)
        self._farewell = farewell
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._known: dict[str, tuple[float, Principal | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await self._app(dict(scope, headers=_untrusted(scope)), receive, send)
            return
        principal = await self._principal(self._token(scope))
        if principal:
            await self._app(_identified(scope, principal), receive, send)
        elif scope["method"] == "GET" and "text/html" in header(scope["headers"], b"accept"):
            await _respond(send, 303, location=_login_url(scope))
        else:
            await _respond(send, 401)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = self._token(scope)
        principal = await self._principal(token) if same_origin(scope["headers"]) else None
        if principal is None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before accept: the server answers 403
            return

        async def receive_while_valid() -> Event:
            message = await receive()
            if message["type"] != "websocket.receive" or await self._principal(token):
                return message
            if self._farewell:
                await send({"type": "websocket.send", "bytes": self._farewell})
            await send({"type": "websocket.close", "code": REVOKED})
            return {"type": "websocket.disconnect", "code": REVOKED}

        await self._app(_identified(scope, principal), receive_while_valid, send)

    def _token(self, scope: Scope) -> str:
        # Two different values mean that somebody planted one: neither is believed.
        values = cookie_values(scope["headers"], self._cookie)
        value = values.pop() if len(values) == 1 else ""
        return value if _TOKEN.fullmatch(value) else ""

    async def _principal(self, token: str) -> Principal | None:
        if not token:
            return None
        now = self._clock()
        checked, principal = self._known.get(token, (float("-inf"), None))
        if now - checked < self._cache_seconds:
            return principal
        principal = await self._authenticate(token)
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[token] = (now, principal)
        return principal

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Event) -> None:
            if message["type"] == "http.response.start":
                present = {key.lower() for key, _ in message.get("headers", ())}
                added = [pair for pair in self._headers if pair[0] not in present]
                kept = message.get("headers", ())
                if header(kept, b"content-type").startswith("text/html"):
                    # A page out of a browser's store, after signing out, would be a dead one.
                    kept = [pair for pair in kept if pair[0].lower() != b"cache-control"]
                    added.append((b"cache-control", b"no-store"))
                message = dict(message, headers=[*kept, *added])
            await send(message)

        return send_with_headers


def _untrusted(scope: Scope) -> Headers:
    return [pair for pair in scope["headers"] if not pair[0].lower().startswith(TRUSTED_PREFIX)]


def _identified(scope: Scope, principal: Principal) -> Scope:
    identity = [(b"x-wb-session", principal.session_id.encode()), (b"x-wb-user", principal.user_id.encode())]
    return dict(scope, headers=[*_untrusted(scope), *identity])


def _login_url(scope: Scope) -> bytes:
    query = scope.get("query_string", b"").decode("latin-1")
    if scope["path"] == "/" and not query:
        return b"/login"
    target = quote(scope["path"], safe="/") + (f"?{query}" if 0 < len(query) <= MAX_QUERY else "")
    return b"/login?next=" + quote(target, safe="/").encode()


async def _respond(send: Send, status: int, *, location: bytes = b"") -> None:
    body = b"" if location else b"Sign in first.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    headers += [(b"content-length", str(len(body)).encode())] + ([(b"location", location)] if location else [])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
