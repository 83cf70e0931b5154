"""Which breakers other processes opened, over Redis."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress

from engine.vendors.redis import RedisAway, Run
from engine.vendors.redis_client import Client

LONGEST_SECONDS = 86_400.0
REASON_CHARS = 200


class RedisStates:
    """SharedStates in one hash: breaker id -> when it ends by Redis' clock, and why. Nobody is told while Redis is away."""

    def __init__(self, run: Run, *, prefix: str, wall: Callable[[], float] = time.time) -> None:
        self._run = run
        self._name = f"{prefix}:breakers"
        self._wall = wall

    async def publish(self, breaker_id: str, seconds: float, reason: str) -> None:
        """See SharedStates."""

        async def work(client: Client) -> None:
            if seconds <= 0:
                await client.hdel(self._name, breaker_id)
                return
            until = _unix(await client.time()) + min(seconds, LONGEST_SECONDS)
            pipeline = client.pipeline(transaction=False)
            pipeline.hset(self._name, breaker_id, json.dumps([until, reason[:REASON_CHARS]]))
            pipeline.pexpire(self._name, int(LONGEST_SECONDS * 1000))
            await pipeline.execute()

        with suppress(RedisAway):
            await self._run(work)

    async def opened(self) -> dict[str, tuple[float, str]]:
        """See SharedStates; the times are those of this machine's clock."""

        async def work(client: Client) -> dict[str, tuple[float, str]]:
            pipeline = client.pipeline(transaction=False)
            pipeline.time()
            pipeline.hgetall(self._name)
            moment, kept = await pipeline.execute()
            now, states = _unix(moment), {}
            for name, raw in kept.items():
                until, reason = _state(raw)
                if until > now:
                    left = min(until - now, LONGEST_SECONDS)
                    states[name.decode(errors="replace")] = (self._wall() + left, reason)
            return states

        try:
            return await self._run(work)
        except RedisAway:
            return {}


def _unix(moment: tuple[int, int]) -> float:
    return moment[0] + moment[1] / 1e6


def _state(raw: bytes) -> tuple[float, str]:
    # Whoever can write into Redis can have written it: it is shown, logged and stored, and a wait for ever is no number.
    try:
        until, reason = json.loads(raw)
        shown = "".join(char if char.isprintable() else " " for char in str(reason)[:REASON_CHARS])
        return (0.0 if math.isnan(until) else float(until)), shown
    except (ValueError, TypeError, OverflowError, RecursionError):
        return 0.0, ""
