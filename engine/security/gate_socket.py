"""Open websockets: each frame, in and out, needs a session that is still alive; frames and sockets are rationed."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from engine.errors import EngineError
from engine.security.wire import Event, Receive, Send

Alive: TypeAlias = Callable[[], Awaitable[bool]]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

REVOKED = 4401  # websocket close codes 4000-4999 are private (RFC 6455, 7.4.2)
POLICY, TOO_BIG, LATER = 1008, 1009, 1013
MAX_SOCKETS = 40
MAX_FRAME_BYTES = 16 << 20
FRAMES_PER_SECOND, FRAME_BURST = 30.0, 120
MAX_LAG_SECONDS = 10.0


class FramePace:
    """A token bucket for each session (as GCRA: one number says when the next frame is due). Excess waits; it is not dropped.

    While a frame waits the socket is not read, so the sender's own buffers fill and nothing piles up here. A session that
    has had to wait for more than 10 s without a pause, or is so far behind with all of its sockets, is sent away.
    """

    def __init__(self, *, clock: Callable[[], float], sleep: Sleep = asyncio.sleep, max_sessions: int = 5000) -> None:
        self._clock = clock
        self._sleep = sleep
        self._max = max_sessions
        self._due: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def admit(self, session_id: str) -> bool:
        """Wait until the session may send one more frame; False when it is too far behind."""
        now = self._clock()
        due, since = self._due.get(session_id, (now, now))
        due = max(due, now)
        wait = due - now - (FRAME_BURST - 1) / FRAMES_PER_SECOND
        if wait <= 0:
            since = now
        if max(wait, now - since) > MAX_LAG_SECONDS:
            return False
        self._due[session_id] = (due + 1 / FRAMES_PER_SECOND, since)
        self._due.move_to_end(session_id)
        if len(self._due) > self._max:
            self._due.popitem(last=False)
        if wait > 0:
            await self._sleep(wait)
        return True


class OpenSockets:
    """How many websockets each user has open."""

    def __init__(self, limit: int = MAX_SOCKETS) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    def enter(self, user_id: str) -> bool:
        """Count one more; False, and not counted, at the limit."""
        if self._open[user_id] >= self._limit:
            return False
        self._open[user_id] += 1
        return True

    def leave(self, user_id: str) -> None:
        """Count one less."""
        self._open[user_id] -= 1
        if self._open[user_id] <= 0:
            del self._open[user_id]


class GuardedSocket:
    """`receive` and `send` of one accepted websocket, for as long as its session lives.

    `alive` asks about the session, `admit` paces frames, `sent` sees what goes out. `farewell` goes to a browser first, so
    that it can say why the socket closes. When nobody can tell whether the session lives, the socket closes without it.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        alive: Alive,
        admit: Callable[[], Awaitable[bool]],
        sent: Callable[[bytes], None],
        farewell: bytes,
    ) -> None:
        self._receive = receive
        self._send = send
        self._alive = alive
        self._admit = admit
        self._sent = sent
        self._farewell = farewell
        self._ended = 0  # the close code

    async def receive(self) -> Event:
        """Return the next event of the client; a disconnect once the session has ended."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        if not self._ended:
            await self._end(await self._problem(message))
        # A frame that was on its way when the socket was closed is nobody's any more.
        return {"type": "websocket.disconnect", "code": self._ended} if self._ended else message

    async def send(self, message: Event) -> None:
        """Pass on what the application sends, while the session lives."""
        if message["type"] == "websocket.send" and not self._ended:
            await self._end(await self._lost())
        if self._ended:
            return  # the application has not read the disconnect yet
        if message["type"] == "websocket.close":
            self._ended = message.get("code", 1000)
        elif message["type"] == "websocket.send":
            self._sent(message.get("bytes") or b"")
        await self._send(message)

    async def _problem(self, message: Event) -> int:
        """Return the close code that this frame of the client deserves, or 0. It may wait for its turn."""
        if len(message.get("bytes") or (message.get("text") or "").encode()) > MAX_FRAME_BYTES:
            return TOO_BIG
        return await self._lost() if await self._admit() else POLICY

    async def _lost(self) -> int:
        try:
            return 0 if await self._alive() else REVOKED
        except EngineError:
            return LATER

    async def _end(self, code: int) -> None:
        if not code or self._ended:
            return
        self._ended = code
        if code == REVOKED and self._farewell:
            await self._send({"type": "websocket.send", "bytes": self._farewell})
        await self._send({"type": "websocket.close", "code": code})
