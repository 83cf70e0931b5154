"""The rules in front of an ASGI application: HTTP and websockets (ASGI 3.0)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from engine.security.refusals import Refused
from engine.security.request import Exchange, Request, claims_identity
from engine.security.rules import Rules
from engine.security.validation import body_limit, check_type, is_parsed, too_large
from engine.security.wire import ASGIApp, Event, Receive, Scope, Send

if TYPE_CHECKING:
    from engine.security.integration import SecurityIntegration

USER = "security_user"
REQUEST_ID = "request_id"


async def settle(value: Any) -> Any:
    """Wait for what a hook returned, if it has to be waited for."""
    return await value if inspect.isawaitable(value) else value


class SecurityASGI:
    """Wraps `app`. The verified caller is `scope["state"]["security_user"]` (an Identity, or None on public paths)."""

    security: SecurityIntegration

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; what is neither HTTP nor a websocket (lifespan) passes untouched."""
        if scope["type"] == "http":
            await _Http(self._app, self._rules, scope, receive, send).serve()
        elif scope["type"] == "websocket":
            await _Websocket(self._app, self._rules, scope, receive, send).serve()
        else:
            await self._app(scope, receive, send)


class _Connection:
    """What both kinds of connection share: the way in, and the record of how it ended."""

    def __init__(self, app: ASGIApp, rules: Rules, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._rules = app, rules
        self._incoming, self._send = receive, send
        self._exchange = rules.open(_request(scope))
        self._scope = scope
        self._status = 0  # of the answer that was begun
        self._gone = False  # the client
        self._ticket: int | None = None

    async def serve(self) -> None:
        """Answer the request. Every path through here writes one audit entry."""
        try:
            await self._rules.admit(self._exchange, settle)
            receive = await self._checked_body()
            self._ticket = await self._rules.enter(self._exchange, settle)
            self._scope = _identified(self._scope, self._exchange)
            await self._app(self._scope, receive, self._send_on)
        except Refused as refusal:
            await self._refuse(refusal)
        except Exception:
            if self._gone:
                self._status = 0  # what the application says to that is no failure of its own
                raise
            # Servers close the connection after an exception, so that a client must not send its next request on it.
            last = (("connection", "close"),) if self._scope.get("http_version", "").startswith("1") else ()
            await self._refuse(
                Refused(500, "the application failed", hint="Try again, or tell its operator the request id.", headers=last)
            )
            if self._status < 500:
                self._begin(500)
            raise
        finally:
            if not self._status:
                self._begin(0)
            self._exchange.route = str(getattr(self._scope.get("route"), "path", ""))
            await self._rules.close(self._exchange, self._status, settle)

    def _begin(self, status: int) -> None:
        """Note the status before it is sent: whoever reads it may ask again before this request is over."""
        self._status = status
        self._rules.leave(self._ticket, status)

    async def _receive(self) -> Event:
        event = await self._incoming()
        self._gone = self._gone or event["type"] in {"http.disconnect", "websocket.disconnect"}
        return event

    async def _checked_body(self) -> Receive:
        raise NotImplementedError

    async def _send_on(self, message: Event) -> None:
        raise NotImplementedError

    async def _refuse(self, refusal: Refused) -> None:
        raise NotImplementedError


class _Http(_Connection):
    """A request and its response."""

    _overflow: Refused | None = None
    _replaced = False

    async def _checked_body(self) -> Receive:
        options, request = self._rules.options, self._exchange.request
        if not options.enable_validation:
            return self._receive
        limit = body_limit(request, options)
        if not is_parsed(request):
            return self._counting(limit)
        body, more = bytearray(), True
        while more:
            event = await self._receive()
            if self._gone:
                raise Refused(400, "the body ended early", hint="Send all of it.")
            body += event.get("body", b"")
            self._check_arrived(len(body), limit)
            more = event.get("more_body", False)
        self._rules.check_body(self._exchange, bytes(body))
        events = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replayed() -> Event:
            return events.pop() if events else await self._receive()

        return replayed

    def _counting(self, limit: int) -> Receive:
        received = 0

        async def receive() -> Event:
            nonlocal received
            event = await self._receive()
            received += len(event.get("body", b""))
            try:
                self._check_arrived(received, limit)
            except Refused as refusal:
                # The application may turn the exception into an answer of its own: that one is replaced.
                self._overflow = refusal
                raise
            return event

        return receive

    def _check_arrived(self, received: int, limit: int) -> None:
        if received > limit:
            raise too_large(limit)
        if received:  # over HTTP/2 a body needs no announcement
            check_type(self._exchange.request, self._rules.options)

    async def _send_on(self, message: Event) -> None:
        if message["type"] == "http.response.start":
            if self._overflow:
                await self._refuse(self._overflow)
                self._replaced = True
                return
            self._begin(message["status"])
            headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            message = {**message, "headers": self._rules.headers(self._exchange, headers)}
        if not self._replaced:
            await self._send(message)

    async def _refuse(self, refusal: Refused) -> None:
        if self._status:
            return  # an answer is under way already: nothing can be added to it
        status, headers, body = self._rules.answer(self._exchange, refusal)
        self._begin(status)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


class _Websocket(_Connection):
    """A handshake, and the messages of an open websocket."""

    _connected = False
    _closed = False

    async def _checked_body(self) -> Receive:
        async def receive() -> Event:
            event = await self._receive()
            self._connected = True
            if event["type"] != "websocket.receive":
                return event
            size = len(event.get("bytes") or b"") or len((event.get("text") or "").encode())
            code = await self._rules.may_go_on(self._exchange, size, settle)
            if code == 0:
                return event
            self._exchange.outcome = f"closed with {code}"
            await self._send_on({"type": "websocket.close", "code": code})
            self._gone = True
            return {"type": "websocket.disconnect", "code": code}

        return receive

    async def _send_on(self, message: Event) -> None:
        if self._closed:
            return  # the application says goodbye to a connection that was closed above its head
        kind = message["type"]
        if kind == "websocket.accept":
            self._status = 101
        elif kind == "websocket.close":
            self._closed = True
            self._status = self._status or 403
        elif kind == "websocket.http.response.start":
            self._status = message["status"]
        await self._send(message)

    async def _refuse(self, refusal: Refused) -> None:
        if self._closed:
            return
        if self._status:
            await self._send_on({"type": "websocket.close", "code": 1011})
            return
        self._status, headers, body = self._rules.answer(self._exchange, refusal)
        if not self._connected:
            await self._receive()
        if "websocket.http.response" in self._scope.get("extensions", {}):
            await self._send({"type": "websocket.http.response.start", "status": self._status, "headers": headers})
            await self._send({"type": "websocket.http.response.body", "body": body})
        else:
            await self._send({"type": "websocket.close", "code": 1008})  # before accept: the server answers 403


def _request(scope: Scope) -> Request:
    path = scope["path"]
    return Request(
        kind=scope["type"],
        method=scope.get("method", "GET"),
        path=path,
        target=scope.get("raw_path") or path.encode("utf-8", "surrogatepass"),
        query=scope.get("query_string", b""),
        headers=[(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]],
        peer=(scope.get("client") or ("", 0))[0],
        secure=scope.get("scheme") in {"https", "wss"},
    )


def _identified(scope: Scope, exchange: Exchange) -> Scope:
    state = {**scope.get("state", {}), USER: exchange.identity, REQUEST_ID: exchange.request_id}
    headers = [pair for pair in scope["headers"] if not claims_identity(pair[0].decode("latin-1"))]
    return {**scope, "state": state, "headers": headers}
