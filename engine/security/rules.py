"""The rules that every request passes, in their order, written once for both server interfaces.

    network -> form -> address's budget -> credential -> user's budget -> body -> breaker -> audit of the intent -> application

A body is read only for somebody who may send it. Nothing here waits but for hooks of the application, through `settle`.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
import uuid
from collections.abc import Callable

from engine.rate_limit import SlidingWindow, Verdict
from engine.security.addresses import Networks, address_key, client_address, parse_address, parse_networks, within
from engine.security.bodies import texts_of_body, texts_of_form
from engine.security.credentials import Credentials, Settle
from engine.security.headers import Headers, api_headers, with_missing
from engine.security.identity import Identity
from engine.security.options import Options
from engine.security.refusals import Refused, overloaded, unauthenticated
from engine.security.request import Exchange, Request
from engine.security.request_audit import entry_of, log_entry
from engine.security.request_breaker import RequestBreaker
from engine.security.sanitizing import suspicious
from engine.security.validation import check_request

logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
MINUTE = 60.0


class Rules:
    """What may happen to a request. `clock` is monotonic, `epoch` gives epoch seconds."""

    def __init__(
        self,
        options: Options,
        credentials: Credentials | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.credentials = credentials
        self._clock = clock
        self._epoch = epoch
        self._networks = Networks(allow=options.allow_networks, deny=options.deny_networks)
        self._proxies = parse_networks(options.trusted_proxies)
        by_user = options.rate_limit_per_minute
        self._users = SlidingWindow(by_user, MINUTE, clock=clock)
        self._addresses = SlidingWindow(options.rate_limit_per_minute_unauthenticated or by_user, MINUTE, clock=clock)
        self._messages = SlidingWindow(options.websocket_messages_per_minute, MINUTE, clock=clock)
        self.breaker = RequestBreaker(
            failure_threshold=options.failure_threshold, recovery_seconds=options.recovery_seconds, clock=clock
        )

    def open(self, request: Request) -> Exchange:
        """Return the record of a request that just came in."""
        trusted = within(parse_address(request.peer), self._proxies)
        given = request.value(b"x-request-id") if trusted else ""
        forwarded = request.value(b"x-forwarded-proto").split(",")[-1].strip().lower() if trusted else ""
        return Exchange(
            request=request,
            request_id=given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex,
            address=client_address(request.peer, request.headers, self._proxies) or "unknown",
            secure=forwarded in {"https", "wss"} if forwarded else request.secure,
            started=self._clock(),
            public=".." not in request.path and any(_matches(request.path, one) for one in self.options.public_paths),
        )

    async def admit(self, exchange: Exchange, settle: Settle) -> None:
        """Let the request come as far as its body. Raises Refused."""
        request = exchange.request
        if not self._networks.allows(exchange.address):
            raise Refused(403, "this address may not come in", hint="Ask the operator for access.")
        if self.options.enable_validation:
            check_request(request, self.options)
            self._screen(exchange, texts_of_form(request.query, self.options))
        key = address_key(exchange.address)
        if self.options.enable_rate_limiting:
            self._spend(self._addresses, key, exchange)
        exchange.identity = await self._identity(exchange, settle)
        if exchange.identity and self.options.enable_rate_limiting:
            # Not an unknown of that address after all: many users may share one.
            self._addresses.refund(key)
            self._spend(self._users, exchange.identity.subject, exchange)

    def check_body(self, exchange: Exchange, body: bytes) -> None:
        """Raise Refused (400) for a JSON or form body that is malformed, over a limit, or shows signs that are blocked."""
        self._screen(exchange, texts_of_body(exchange.request, body, self.options))

    async def enter(self, exchange: Exchange, settle: Settle) -> int | None:
        """Return a ticket of the breaker (None: not counted) when the application may be called now. Raises Refused (503)."""
        if self.options.audit_required and exchange.request.changes_something:
            exchange.outcome = "started"
            if not await self._write(exchange, 0, settle):
                raise overloaded("the audit log cannot be written", retry_after_seconds=5)
        if not self.options.enable_circuit_breaker or exchange.public:
            return None  # health checks say 503 for a living, and must be reachable
        ticket = None
        if exchange.request.kind == "websocket":
            if self.breaker.retry_after_seconds() == 0:
                return None
        else:
            ticket = self.breaker.admit()
        if ticket is None:
            seconds = math.ceil(self.breaker.retry_after_seconds())
            raise overloaded("the application keeps failing and is left alone for a while", retry_after_seconds=seconds)
        return ticket

    async def may_go_on(self, exchange: Exchange, size: int, settle: Settle) -> int:
        """Return 0, or the code to close an open websocket with, for a message of `size` bytes that just came in."""
        if self.options.enable_validation and size > self.options.max_body_bytes:
            return 1009
        who = exchange.identity.subject if exchange.identity else address_key(exchange.address)
        if self.options.enable_rate_limiting and not self._messages.hit(f"{bool(exchange.identity)} {who}").allowed:
            return 1013
        if exchange.identity and self.credentials:
            try:
                return 0 if await self.credentials.still_valid(exchange.identity, settle) else 4401
            except Refused:
                return 1013
        return 0

    def leave(self, ticket: int | None, status: int) -> None:
        """Tell the breaker how the application answered; 0 when it did not, for the client went away."""
        if ticket is not None:
            self.breaker.report(ticket, status)

    async def close(self, exchange: Exchange, status: int, settle: Settle) -> None:
        """Write the audit entry of a request that is over."""
        exchange.outcome = exchange.outcome if exchange.outcome not in {"", "started"} else _outcome(status)
        await self._write(exchange, status, settle)

    def headers(self, exchange: Exchange, existing: Headers) -> Headers:
        """Return the headers of a response: `existing`, and what is missing of ours."""
        options, added = self.options, Headers()
        if options.enable_security_headers:
            hsts = options.hsts == "on" or (options.hsts == "auto" and exchange.secure)
            added += api_headers(options.content_security_policy, hsts_seconds=options.hsts_seconds if hsts else 0)
        added.append((b"x-request-id", exchange.request_id.encode()))
        if exchange.quota:
            limit, remaining = exchange.quota
            added += [(b"x-ratelimit-limit", str(limit).encode()), (b"x-ratelimit-remaining", str(remaining).encode())]
        return with_missing(existing, added)

    def answer(self, exchange: Exchange, refusal: Refused) -> tuple[int, Headers, bytes]:
        """Return status, headers and JSON body of a refusal, and remember why."""
        exchange.outcome = "failed" if refusal.status == 500 else f"refused: {refusal}"
        body = json.dumps({"error": str(refusal), "hint": refusal.hint, "request_id": exchange.request_id}).encode()
        own = [(name.encode(), value.encode()) for name, value in refusal.headers]
        plain = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        return refusal.status, self.headers(exchange, [*plain, *own]), b"" if exchange.request.method == "HEAD" else body

    def _screen(self, exchange: Exchange, texts: list[str]) -> None:
        if self.options.suspicious_input == "off":
            return
        exchange.flags |= suspicious(texts)
        if exchange.flags and self.options.suspicious_input == "block":
            raise Refused(400, "the input looks like an attack", hint="Write it in other words, without markup or SQL.")

    def _spend(self, window: SlidingWindow, key: str, exchange: Exchange) -> None:
        verdict: Verdict = window.hit(key)
        exchange.quota = window.limit, verdict.remaining
        if not verdict.allowed:
            seconds = str(max(1, math.ceil(verdict.retry_after_seconds)))
            raise Refused(429, "too many requests", hint=f"Wait {seconds} s.", headers=(("retry-after", seconds),))

    async def _identity(self, exchange: Exchange, settle: Settle) -> Identity | None:
        if self.credentials is None:
            return None
        try:
            identity = await self.credentials.identify(exchange.request, settle)
        except Refused:
            if exchange.public:
                return None  # whoever signs in again may still send the old token
            raise
        if identity is None and not exchange.public:
            raise unauthenticated()
        return identity

    async def _write(self, exchange: Exchange, status: int, settle: Settle) -> bool:
        if not self.options.enable_audit:
            return True
        entry = entry_of(exchange, status=status, now=self._clock(), epoch=self._epoch())
        try:
            await settle((self.options.audit or log_entry)(entry))
        except Exception as error:  # noqa: BLE001 - the application's own code; its message may repeat the entry
            logger.error("the audit sink failed with %s", type(error).__name__)  # noqa: TRY400
            return False
        return True


def _matches(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("/*") else path == pattern


def _outcome(status: int) -> str:
    if status == 0:
        return "aborted"
    if status < 400:
        return "ok"
    return "failed" if status >= 500 else f"answered {status} by the application"
