"""How long requests take, by area and class of status. It sees first lines and statuses, never a body or a cookie."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from engine.monitoring.tracing import called_with
from engine.protocols import Meter

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_AREAS = {
    "api": "api",
    "login": "login",
    "logout": "login",
    "invite": "login",
    "setup": "login",
    "media": "media",
    "files": "media",
    "healthz": "health",
    "metrics": "health",
    "static": "other",
    "_stcore": "other",
    "component": "other",
}


def area_of(path: str) -> str:
    """Return which area a path belongs to: page, api, login, media, health or other."""
    return _AREAS.get(path.split("/", 2)[1] if path.startswith("/") else "static", "page")


class MeasuredRequests:
    """Times every HTTP request of the application inside; websockets, which last as long as a tab, are let through.

    `meter()` gives None while the engine does not run: nothing is measured then.
    """

    def __init__(self, app: ASGIApp, *, meter: Callable[[], Meter | None]) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        area = area_of(scope["path"])
        if area == "api":
            called_with(next((value.decode("latin-1") for key, value in scope["headers"] if key == b"traceparent"), ""))
        started, status = time.perf_counter(), 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            if meter := self._meter():
                meter.timed("http_seconds", (area, f"{status // 100}xx"), time.perf_counter() - started, ok=status < 500)
