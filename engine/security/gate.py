"""The one door: a pure-ASGI wrapper that decides who reaches pages, uploads, media, the API and websockets.

It knows sessions and keys only through the functions it is given, and nothing of Streamlit but the bytes it may be given as
`farewell` and whom a tab belongs to (`owner_of`). (A wrapper built on Starlette's BaseHTTPMiddleware never sees a websocket.)
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from engine.correlation import working_for
from engine.errors import EngineError
from engine.rate_limit import SlidingWindow
from engine.security.addresses import address_key, client_address, parse_address, parse_networks, within
from engine.security.gate_forwarding import identified, labelled, untrusted, with_headers
from engine.security.gate_policy import (
    CONSTANT_PATHS,
    HIDDEN_PATHS,
    host_problem,
    is_odd,
    is_open,
    login_url,
    media_id,
    scheme_of,
    uploads_to,
)
from engine.security.gate_socket import LATER, POLICY, REVOKED, FramePace, GuardedSocket, OpenSockets, Sleep
from engine.security.media_owners import MediaOwners
from engine.security.upload_quota import UploadQuota
from engine.security.verdicts import Verdicts
from engine.security.wire import (
    COOKIE,
    ASGIApp,
    Receive,
    Scope,
    Send,
    behind_tls,
    cookie_name,
    cookie_values,
    header,
    header_values,
    is_api,
    refuse,
    same_origin,
)
from engine.types import Principal

__all__ = ["COOKIE", "REVOKED", "Gate", "cookie_name", "cookie_values", "header", "same_origin"]

Authenticate: TypeAlias = Callable[[str], Awaitable[Principal | None]]
AuthenticateBearer: TypeAlias = Callable[[str, str], Awaitable[Principal | None]]

MINUTE = 60.0
USER_REQUESTS, OPEN_REQUESTS, UNKNOWN_CREDENTIALS = 600, 120, 120  # in a minute: by user, by address, by address
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,128}")
_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/=-]{20,4096})")


class Gate:
    """Checks the credential of every request, websocket handshake and websocket frame.

    `authenticate(token)` and `authenticate_bearer(text, address)` return a principal, or None for what is unknown, expired or
    revoked; an answer about a session is reused for at most `cache_seconds`, one about a bearer never. Below /api, and for
    /metrics, only a bearer counts, everywhere else only the cookie. Identity headers (x-wb-*) of the client are dropped; the
    verified `x-wb-session` and `x-wb-user` are added for `server.trustedUserHeaders`, and the principal as
    `scope["state"]["principal"]`. `owner_of(tab)` returns the user id that a Streamlit session was opened for, or None.
    `farewell` is sent on an open websocket whose session ended. While either function raises EngineError nobody comes in: 503.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticate: Authenticate,
        authenticate_bearer: AuthenticateBearer | None = None,
        owner_of: Callable[[str], str | None] | None = None,
        secure_cookies: bool = False,
        headers: Sequence[tuple[bytes, bytes]] = (),
        farewell: bytes = b"",
        allowed_hosts: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        files_per_hour: int = 1000,
        mb_per_hour: int = 4000,
        cache_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep | None = None,
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._authenticate_bearer = authenticate_bearer
        self._owner_of = owner_of
        self._cookie = cookie_name(COOKIE, secure=secure_cookies)
        self._headers = tuple(headers)
        self._farewell = farewell
        self._hosts = frozenset(host.lower().rstrip(".") for host in allowed_hosts)
        self._proxies = parse_networks(trusted_proxies)
        self._verdicts = Verdicts(seconds=cache_seconds, clock=clock)
        self._requests = SlidingWindow(USER_REQUESTS, MINUTE, clock=clock)
        self._visits = SlidingWindow(OPEN_REQUESTS, MINUTE, clock=clock)
        self._guesses = SlidingWindow(UNKNOWN_CREDENTIALS, MINUTE, clock=clock)
        self._pace = FramePace(clock=clock, sleep=sleep) if sleep else FramePace(clock=clock)
        self._sockets = OpenSockets()
        self._media = MediaOwners()
        self._quota = UploadQuota(files=files_per_hour, megabytes=mb_per_hour, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request = secrets.token_hex(8)
        scope = labelled(self._as_seen(scope), request)
        with working_for(request):
            if scope["type"] == "http":
                await self._http(scope, receive, with_headers(send, scope, self._headers))
            else:
                await self._websocket(scope, receive, send)

    def _as_seen(self, scope: Scope) -> Scope:
        """Return the scope with the address and scheme of the real client, as far as trusted proxies tell them."""
        peer = scope.get("client") or ("", 0)
        if not within(parse_address(peer[0]), self._proxies):
            return scope
        address = client_address(peer[0], scope["headers"], self._proxies)
        return dict(scope, client=(address, peer[1]), scheme=scheme_of(scope))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if problem := host_problem(scope, self._hosts):
            await refuse(send, scope, problem, "This server does not answer to that name.", hint=_HOST_HINT)
        elif is_open(scope):
            await self._open(scope, receive, send)
        else:
            await self._closed(scope, receive, send)

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = 0.0 if scope["path"] in CONSTANT_PATHS else self._visits.hit(_address(scope)).retry_after_seconds
        if wait:
            await _slow_down(send, scope, wait)
        else:
            await self._app(dict(scope, headers=untrusted(scope)), receive, send)

    async def _closed(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            principal, wait = await self._who(scope)
        except EngineError:
            await refuse(
                send, scope, 503, "Who you are cannot be checked now.", hint=_LATER_HINT, headers=[(b"retry-after", b"5")]
            )
            return
        if wait:
            await _slow_down(send, scope, wait)
        elif principal:
            await self._serve(scope, receive, send, principal)
        else:
            await _ask_to_sign_in(send, scope)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        """Serve a request of a known user, within limits and only what is theirs."""
        # Pieces of the page itself are many, small, and the same for everybody.
        counted = not scope["path"].startswith("/static/")
        wait = self._requests.hit(principal.user_id).retry_after_seconds if counted else 0.0
        target = uploads_to(scope)
        if wait:
            await _slow_down(send, scope, wait)
        elif is_odd(scope):
            await refuse(send, scope, 400, "This address is not written in its plain form.")
        elif scope["path"] in HIDDEN_PATHS or not self._theirs(scope, principal, target):
            await refuse(send, scope, 404, "Not found.")
        elif target is not None and scope["method"] in {"PUT", "POST"}:
            await self._quota.serve(self._app, principal.user_id, identified(scope, principal), receive, send)
        else:
            await self._app(identified(scope, principal), receive, send)

    def _theirs(self, scope: Scope, principal: Principal, target: str | None) -> bool:
        if target and self._owner_of is not None:
            return self._owner_of(target) == principal.user_id
        file_id = media_id(scope)
        return not file_id or self._media.may_read(principal.user_id, file_id)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal, code = None, POLICY
        if self._welcome(scope):
            try:
                principal, _ = await self._who(scope)
            except EngineError:
                code = LATER
        # A handshake is a request like any other; what it opens is counted on its own.
        may = principal and self._requests.hit(principal.user_id).allowed and self._sockets.enter(principal.user_id)
        if principal is None or not may:
            await receive()
            await send({"type": "websocket.close", "code": code})  # before accept: the server answers 403
            return
        user_id, session_id = principal.user_id, principal.session_id

        async def alive() -> bool:
            return await self._principal(scope) is not None

        guarded = GuardedSocket(
            receive,
            send,
            alive=alive,
            admit=lambda: self._pace.admit(session_id),
            sent=lambda frame: self._media.note(user_id, frame),
            farewell=self._farewell,
        )
        try:
            await self._app(identified(scope, principal), guarded.receive, guarded.send)
        finally:
            self._sockets.leave(user_id)

    def _welcome(self, scope: Scope) -> bool:
        ours = same_origin(scope["headers"], secure=behind_tls(scope))
        return ours and not is_api(scope) and not is_odd(scope) and not host_problem(scope, self._hosts)

    def _credential(self, scope: Scope) -> str:
        """Return the one well-formed credential of a request, or "". Of two that differ one was planted: neither counts."""
        if is_api(scope):
            values = header_values(scope["headers"], b"authorization")
            found = _BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
            return found[1] if found else ""
        tokens = cookie_values(scope["headers"], self._cookie)
        token = tokens.pop() if len(tokens) == 1 else ""
        return token if _TOKEN.fullmatch(token) else ""

    async def _who(self, scope: Scope) -> tuple[Principal | None, float]:
        """Return who this is, and how long an address must wait that has shown too many unknown credentials.

        Raises EngineError when the credential cannot be looked up.
        """
        credential = self._credential(scope)
        new = bool(credential) and not self._verdicts.known(_kind(scope) + credential)
        if new and (wait := self._guesses.hit(_address(scope)).retry_after_seconds):
            return None, wait
        principal = await self._principal(scope)
        if new and principal:
            self._guesses.refund(_address(scope))  # counted beforehand, so that guesses side by side are; it was none
        return principal, 0.0

    async def _principal(self, scope: Scope) -> Principal | None:
        credential = self._credential(scope)
        if not credential:
            return None
        if not is_api(scope):
            return await self._verdicts.of(_kind(scope) + credential, lambda: self._authenticate(credential))
        bearer = self._authenticate_bearer
        if bearer is None:
            return None
        address = (scope.get("client") or ("", 0))[0]
        return await self._verdicts.of(_kind(scope) + credential, lambda: bearer(credential, address), fresh=True)


_HOST_HINT = "An operator can add it to the setting allowed_hosts."
_LATER_HINT = "Try again in a moment; you need not sign in anew."


def _kind(scope: Scope) -> str:
    # A session token is no API key and the other way round, also in memory.
    return "bearer:" if is_api(scope) else "cookie:"


def _address(scope: Scope) -> str:
    return address_key((scope.get("client") or ("", 0))[0])


async def _ask_to_sign_in(send: Send, scope: Scope) -> None:
    if is_api(scope):
        text, hint = "A valid API key or token is needed.", "Send it as Authorization: Bearer."
        challenge = [(b"www-authenticate", b'Bearer realm="RAG Workbench"')]
        await refuse(send, scope, 401, text, hint=hint, headers=challenge)
    elif scope["method"] == "GET" and "text/html" in header(scope["headers"], b"accept"):
        await refuse(send, scope, 303, "", headers=[(b"location", login_url(scope))])
    else:
        await refuse(send, scope, 401, "Sign in first.")


async def _slow_down(send: Send, scope: Scope, wait: float) -> None:
    seconds = math.ceil(wait)
    headers = [(b"retry-after", str(seconds).encode())]
    await refuse(send, scope, 429, "Too many requests.", hint=f"Try again in {seconds} seconds.", headers=headers)
