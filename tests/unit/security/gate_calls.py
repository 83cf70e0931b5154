"""Pure ASGI calls to a gate: a clock and a sleep that only move when told, and a client without a server."""

from engine.security.gate import Gate
from engine.types import Principal, Role

COOKIE = "wb_session="
ADDRESS = "203.0.113.9"


class Clock:
    """Time that passes when somebody sleeps, or when `now` is changed."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Sessions:
    """Who holds which token; `error`, when set, is raised instead of an answer."""

    def __init__(self):
        self.rows = {token_of(name): principal(name) for name in ("anna", "bob")}
        self.asked = []
        self.error = None

    async def authenticate(self, token):
        self.asked.append(token)
        if self.error:
            raise self.error
        return self.rows.get(token)

    async def authenticate_bearer(self, text, address):
        self.asked.append((text, address))
        if self.error:
            raise self.error
        return self.rows.get(text)


def principal(name):
    return Principal(user_id=f"u-{name}", name=name, role=Role.ANALYST, session_id=f"s-{name}")


def token_of(name):
    return f"{name}-token-0123456789abcdef"


class Answer:
    """What came back of one request."""

    def __init__(self, sent):
        starts = [message for message in sent if message["type"] == "http.response.start"]
        assert len(starts) <= 1, "two answers to one request"
        self.status = starts[0]["status"] if starts else None
        self.headers = dict(starts[0]["headers"]) if starts else {}
        self.body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")


class App:
    """Answers 200, reads no body, and keeps the scopes that reached it."""

    def __init__(self):
        self.scopes = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})


def gate(app, sessions, clock, **options):
    return Gate(
        app,
        authenticate=sessions.authenticate,
        authenticate_bearer=sessions.authenticate_bearer,
        clock=clock,
        sleep=clock.sleep,
        **options,
    )


def scope_of(path, name="", *, kind="http", method="GET", headers=(), client=ADDRESS, scheme="http"):
    """Return the scope of a request with the cookie, or below /api the key, of `name`."""
    pairs = [(b"host", b"test"), *((key.encode(), value.encode("latin-1")) for key, value in headers)]
    if name and path.startswith("/api"):
        pairs.append((b"authorization", b"Bearer " + token_of(name).encode()))
    elif name:
        pairs.append((b"cookie", (COOKIE + token_of(name)).encode()))
    scope = {"type": kind, "path": path, "raw_path": path.encode(), "headers": pairs, "client": (client, 1), "scheme": scheme}
    return scope | ({"method": method, "query_string": b""} if kind == "http" else {})


def chunks(*parts):
    """Return a `receive` that gives a body in these parts, and the list of those that were taken."""
    taken, left = [], list(parts)

    async def receive():
        taken.append(left.pop(0) if left else b"")
        return {"type": "http.request", "body": taken[-1], "more_body": bool(left)}

    return receive, taken


async def ask(app, path, name="", *, body=(b"",), **options):
    """Make one request and return the answer."""
    sent = []

    async def send(message):
        sent.append(message)

    receive, _ = chunks(*body)
    await app(scope_of(path, name, **options), receive, send)
    return Answer(sent)


async def connect(app, name="", *, path="/_stcore/stream", frames=(), **options):
    """Offer a websocket that sends `frames` and then goes; return everything that the server sent."""
    sent = []
    events = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "bytes": frame} for frame in frames)]

    async def receive():
        return events.pop(0) if events else {"type": "websocket.disconnect", "code": 1001}

    async def send(message):
        sent.append(message)

    await app(scope_of(path, name, kind="websocket", scheme=options.pop("scheme", "ws"), **options), receive, send)
    return sent
