"""How much one user may upload in an hour: counted before the body is read, and while it streams. Nothing is buffered."""

from __future__ import annotations

import math
from collections.abc import Callable

from engine.rate_limit import SlidingWindow
from engine.security.wire import ASGIApp, Event, Headers, Receive, Scope, Send, header, refuse

HOUR = 3600.0
_MANY = "You have uploaded as much as one hour allows."


class OverQuota(Exception):
    """Raised out of `receive` into the application that reads a body, so that it stops reading."""


class UploadQuota:
    """Files and bytes of each user within a sliding hour."""

    def __init__(self, *, files: int, megabytes: int, clock: Callable[[], float]) -> None:
        self._files = SlidingWindow(files, HOUR, clock=clock)
        self._bytes = SlidingWindow(megabytes * 1_000_000, HOUR, clock=clock)
        self._megabytes = megabytes

    def charge_file(self, user_id: str, announced: int) -> float:
        """Count one more file of `announced` bytes; return 0, or after how many seconds there is room for it."""
        wait = self._files.hit(user_id).retry_after_seconds
        if not wait and (wait := self.charge_bytes(user_id, announced)):
            self._files.refund(user_id)
        return wait

    def charge_bytes(self, user_id: str, size: int) -> float:
        """Count `size` bytes; return 0, or after how many seconds there is room for them."""
        return self._bytes.hit(user_id, size).retry_after_seconds

    async def serve(self, app: ASGIApp, user_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Let `app` receive one upload as far as the user's quota goes; answer 413 or 429 instead of it beyond that."""
        announced = _announced(scope["headers"])
        if announced > self._bytes.limit:
            await self._refuse(scope, send, 413, f"One upload may have at most {self._megabytes} MB.")
            return
        wait = self.charge_file(user_id, announced)
        if wait:
            await self._refuse(scope, send, 429, _MANY, wait)
            return
        body = _CountedBody(receive, send, announced, lambda size: self.charge_bytes(user_id, size))
        try:
            await app(scope, body.receive, body.send)
        except OverQuota:
            if body.wait <= 0:
                raise
        if body.wait > 0:
            self._files.refund(user_id)  # its bytes did come in, but it is no file
        if body.wait > 0 and not body.answered:
            await self._refuse(scope, send, 429, _MANY, body.wait)

    async def _refuse(self, scope: Scope, send: Send, status: int, text: str, wait: float = 0) -> None:
        # The rest of the body is not read: keeping the connection would mean reading it.
        headers = [(b"connection", b"close")]
        headers += [(b"retry-after", str(math.ceil(wait)).encode())] if wait else []
        hint = f"Try again in {math.ceil(wait / 60)} minutes." if wait else "Split it."
        await refuse(send, scope, status, text, hint=hint, headers=headers)


class _CountedBody:
    """Counts what comes beyond the announced length, and holds back the application's own answer once it was too much."""

    def __init__(self, receive: Receive, send: Send, announced: int, charge: Callable[[int], float]) -> None:
        self._receive = receive
        self._send = send
        self._paid = announced
        self._charge = charge
        self.wait = 0.0
        self.answered = False

    async def receive(self) -> Event:
        message = await self._receive()
        size = len(message.get("body", b""))
        due = max(0, size - self._paid)
        self._paid = max(0, self._paid - size)
        self.wait = self.wait or (self._charge(due) if due else 0.0)
        if self.wait:
            raise OverQuota
        return message

    async def send(self, message: Event) -> None:
        if self.wait and not self.answered:
            return
        self.answered = True
        await self._send(message)


def _announced(headers: Headers) -> int:
    text = header(headers, b"content-length")
    # The first digits do: Python refuses to read thousands of them, and less than the truth is counted while it streams.
    return int(text[:19]) if text.isascii() and text.isdigit() else 0
