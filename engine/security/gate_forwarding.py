"""What the gate changes on the way in and out: identity headers, request ids, and the security headers of every answer."""

from __future__ import annotations

from collections.abc import Sequence

from engine.security.wire import Event, Headers, Scope, Send, header, is_api
from engine.types import Principal

TRUSTED_PREFIX = b"x-wb-"


def labelled(scope: Scope, request_id: str) -> Scope:
    """Return the scope with a request id in its state and without any principal that something outside put there."""
    state = {key: value for key, value in scope.get("state", {}).items() if key != "principal"}
    return dict(scope, state=state | {"request_id": request_id})


def untrusted(scope: Scope) -> Headers:
    """Return the client's headers without identity, and with our request id."""
    kept = [pair for pair in scope["headers"] if not pair[0].lower().startswith(TRUSTED_PREFIX)]
    return [*kept, (b"x-wb-request", scope["state"]["request_id"].encode())]


def identified(scope: Scope, principal: Principal) -> Scope:
    """Return the scope as the application gets it: with who was verified. The API learns it from the state only."""
    state = scope["state"] | {"principal": principal}
    if is_api(scope):
        headers = [pair for pair in untrusted(scope) if pair[0].lower() != b"cookie"]
        return dict(scope, headers=headers, state=state)
    identity = [(b"x-wb-session", principal.session_id.encode()), (b"x-wb-user", principal.user_id.encode())]
    return dict(scope, headers=[*untrusted(scope), *identity], state=state)


def with_headers(send: Send, scope: Scope, headers: Sequence[tuple[bytes, bytes]]) -> Send:
    """Return a `send` that adds the security headers and the request id to the answer."""
    request_id = (b"x-request-id", scope["state"]["request_id"].encode())

    async def send_with_headers(message: Event) -> None:
        if message["type"] == "http.response.start":
            kept = message.get("headers", ())
            present = {key.lower() for key, _ in kept}
            added = [pair for pair in (*headers, request_id) if pair[0] not in present]
            if header(kept, b"content-type").startswith("text/html"):
                # A page out of a browser's store, after signing out, would be a dead one.
                kept = [pair for pair in kept if pair[0].lower() != b"cache-control"]
                added.append((b"cache-control", b"no-store"))
            elif is_api(scope) and b"cache-control" not in present:
                added.append((b"cache-control", b"no-store"))
            message = dict(message, headers=[*kept, *added])
        await send(message)

    return send_with_headers
