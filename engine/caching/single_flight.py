"""Many who want the same at once wait for one who makes it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from engine.vendors.redis import RedisAway, Run
from engine.vendors.redis_client import Client

T = TypeVar("T")

FIRST_LOOK = 0.02
LONGEST_LOOK = 0.25
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class SingleFlight:
    """One piece of work per key at a time, in one event loop.

    The work is a task of its own: a caller who is cancelled takes it with him only when nobody else waits for it. What it
    raises reaches everybody who waits at that moment, since they would meet the same failure; nothing of it is kept.
    """

    def __init__(self) -> None:
        self._flights: dict[str, tuple[asyncio.Task[Any], list[int]]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Return what the work gives, and whether it was this call that began it."""
        flight, first = self._flights.get(key), False
        if flight is None:
            first = True
            task = asyncio.ensure_future(_task(work))
            flight = self._flights[key] = (task, [0])
            task.add_done_callback(lambda done: self._landed(key, done))
        task, waiting = flight
        waiting[0] += 1
        try:
            return await asyncio.shield(task), first
        finally:
            waiting[0] -= 1
            if not waiting[0] and not task.done():
                self._landed(key, task)  # who comes now begins anew
                task.cancel()

    def _landed(self, key: str, task: asyncio.Task[Any]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight[0] is task:
            del self._flights[key]
        if task.done() and not task.cancelled():
            task.exception()  # heard, even when everybody has gone


async def _task(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


class Lease:
    """A short lock in Redis, so that of several processes one makes a value and the others wait for it.

    It ends by itself after `seconds`: a process that dies, or that takes longer, lets the next one try. Without Redis
    everybody makes it himself.
    """

    def __init__(self, run: Run, *, prefix: str, seconds: float) -> None:
        self._run = run
        self._prefix = prefix
        self._seconds = seconds

    async def made(self, key: str, look: Callable[[], Awaitable[T | None]], make: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Return what another process made meanwhile (`look`), or what `make` gives, and whether it was made here."""
        name, token = f"{self._prefix}:lock:{key}", secrets.token_hex(8)
        try:
            held = await self._take(name, token, look)
        except RedisAway:
            return await make(), True
        if held is not None:
            return held, False
        try:
            return await make(), True
        finally:
            with suppress(RedisAway):
                await self._run(lambda client: client.eval(_RELEASE, 1, name, token))

    async def _take(self, name: str, token: str, look: Callable[[], Awaitable[T | None]]) -> T | None:
        async def take(client: Client) -> bool:
            return bool(await client.set(name, token, nx=True, px=int(self._seconds * 1000)))

        end, pause = time.monotonic() + self._seconds, FIRST_LOOK
        while not await self._run(take):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_LOOK)
            if (found := await look()) is not None:
                return found
            if time.monotonic() > end:
                return None  # others keep failing or dying: no longer wait for them
        return await look()  # it may have been made between the first look and the lock
