"""Limits that all processes share through Redis; without it each process allows its share, and never more."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.errors import ConfigError
from engine.rate_limit import EXACT_ENTRIES, SlidingWindow, Verdict
from engine.vendors.redis import RedisAway, Run
from engine.vendors.redis_client import Client, Script

SCRIPT = Script(Path(__file__).with_name("sliding_window.lua").read_text(encoding="utf-8"))
MAX_KINDS = 100
MAX_PENDING = 10_000
MEND_BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """A verdict with the limit that was applied and who applied it: "redis", "memory", or "fallback" while Redis is away."""

    verdict: Verdict
    limit: int
    source: str


class Limiter(Protocol):
    """Sliding windows by key; semantics of `engine.rate_limit.SlidingWindow`."""

    async def check(self, key: str, *, limit: int, window: float, cost: float = 1) -> Limited:
        """Charge `cost` to `key` if at most `limit` lie within any `window` seconds. Raises ConfigError."""
        ...


class LocalLimiter:
    """A `Limiter` of this process, which allows 1/`replicas` of each limit (at least 1)."""

    def __init__(self, *, replicas: int = 1, source: str = "memory", clock: Callable[[], float] = time.monotonic) -> None:
        self._replicas = replicas
        self._source = source
        self._clock = clock
        self._windows: OrderedDict[tuple[int, float], SlidingWindow] = OrderedDict()

    async def check(self, key: str, *, limit: int, window: float, cost: float = 1) -> Limited:
        """See Limiter."""
        return self.hit(key, limit=limit, window=window, cost=cost)

    def hit(self, key: str, *, limit: int, window: float, cost: float = 1) -> Limited:
        """Do the same without waiting for anything."""
        share = max(1, limit // self._replicas) if limit >= 1 else limit
        kind = (share, window)
        found = self._windows.get(kind)
        if found is None:
            found = SlidingWindow(share, window, clock=self._clock)
            while len(self._windows) >= MAX_KINDS:
                self._windows.popitem(last=False)
            self._windows[kind] = found
        self._windows.move_to_end(kind)
        return Limited(verdict=found.hit(key, cost), limit=share, source=self._source)


@dataclass(frozen=True, slots=True)
class _Hit:
    key: str
    limit: int
    window: float
    cost: float
    at: float


class SharedLimiter:
    """A `Limiter` over Redis, with Redis' clock. While Redis is away each process allows its share.

    What was allowed through Redis counts in that share, and what was allowed meanwhile is charged in Redis when it is back:
    neither edge of an outage gives a second budget.
    """

    def __init__(
        self,
        run: Run,
        local: LocalLimiter,
        *,
        prefix: str,
        clock: Callable[[], float] = time.monotonic,
        offset: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`offset` is for tests: seconds added to Redis' clock."""
        self._run = run
        self._local = local
        self._prefix = prefix
        self._clock = clock
        self._offset = offset
        self._missed: deque[_Hit] = deque(maxlen=MAX_PENDING)

    async def check(self, key: str, *, limit: int, window: float, cost: float = 1) -> Limited:
        """See Limiter."""
        _check(limit, window)
        try:
            verdict = await self._run(self._script(key, limit, window, cost))
        except RedisAway:
            answer = self._local.hit(key, limit=limit, window=window, cost=cost)
            if answer.verdict.allowed and cost > 0:
                self._missed.append(_Hit(key, limit, window, cost, self._clock()))
            return answer
        if verdict.allowed:
            self._local.hit(key, limit=limit, window=window, cost=cost)
        return Limited(verdict=verdict, limit=limit, source="redis")

    @property
    def waiting(self) -> bool:
        """Whether Redis has to be told of hits."""
        return bool(self._missed)

    async def mend(self, run: Run) -> None:
        """Charge in Redis what was allowed without it. Raises RedisAway."""
        while self._missed:
            now = self._clock()
            batch = [self._missed.popleft() for _ in range(min(MEND_BATCH, len(self._missed)))]
            sums: dict[tuple[str, int, float], float] = {}
            for hit in batch:
                if now - hit.at < hit.window:
                    kind = (hit.key, hit.limit, hit.window)
                    sums[kind] = sums.get(kind, 0.0) + hit.cost
            try:
                for (key, limit, window), cost in sums.items():
                    await run(self._script(key, limit, window, cost, always=True))
            except RedisAway:
                self._missed.extendleft(reversed(batch))  # charged twice at the worst, never too little
                raise

    def _script(
        self, key: str, limit: int, window: float, cost: float, *, always: bool = False
    ) -> Callable[[Client], Awaitable[Verdict]]:
        name = f"{self._prefix}:limit:{_digest(key, limit, window)}"
        arguments = (limit, window, cost, EXACT_ENTRIES, int(always), self._offset())

        async def work(client: Client) -> Verdict:
            said = await SCRIPT.run(client, name, *arguments)
            return Verdict(allowed=bool(said[0]), remaining=int(said[1]), retry_after_seconds=float(said[2]))

        return work


def _check(limit: int, window: float) -> None:
    if limit < 1 or not 0 < window < math.inf:
        raise ConfigError("a rate limit needs a positive limit and window", hint="correct the limit")


def _digest(key: str, limit: int, window: float) -> str:
    """Return a name that tells nobody who reads Redis whose limit it is, unless he can guess the key."""
    return hashlib.sha256(f"{key}\0{limit}\0{float(window)}".encode()).hexdigest()[:32]
