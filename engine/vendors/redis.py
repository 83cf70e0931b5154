"""Redis for async callers: one small pool, short time limits, and nobody waits for a Redis that is away.

The SDK is imported only when a link is made. Measured on redis-py 8.1 with its defaults: 4.7 s until a closed port is reported.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.errors import StoreError
from engine.protocols import Meter
from engine.vendors.redis_client import CONNECTIONS, Client, RedisAddress, client_of

logger = logging.getLogger(__name__)

CALL_SECONDS = 0.125
"""For a whole call: a free connection, connecting, signing in and the answer."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0

T = TypeVar("T")


class Run(Protocol):
    """How a piece of work reaches Redis. Raises RedisAway."""

    async def __call__(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Return what `work(client)` gives."""
        ...


class Mending(Protocol):
    """Who has something to tell Redis before anybody uses it again."""

    @property
    def waiting(self) -> bool:
        """Whether there is something to tell."""
        ...

    async def mend(self, run: Run) -> None:
        """Tell it. Raises RedisAway."""
        ...


class RedisAway(StoreError):
    """Redis does not answer, refuses, or is being left alone: go on without it."""

    default_hint = "Check that Redis runs, and the setting caching.redis_url; everything goes on without it meanwhile."
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """`reason` says why Redis is away, "" while it answers; `outages` counts them since the start of this process."""

    up: bool
    address: str
    reason: str
    retry_in_seconds: float
    outages: int


class RedisLink:
    """One Redis. A call takes at most CALL_SECONDS. After one that failed, a probe asks again in the background.

    When it fails as well, that is an outage: Redis is left alone, at first 1 s, doubling up to 30 s, then the next call starts
    one more probe. From the first failure until a probe succeeds `run` raises at once, so that nobody waits for a probe.
    Belongs to one event loop. Making it connects to nothing.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        name: str = "workbench",
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._meter = meter
        self._clock = clock
        self._client = client_of(address, name)
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._mending: list[Mending] = []
        self._reason = ""
        self._wait = FIRST_WAIT
        self._again_at = 0.0
        self._outages = 0
        self._outage = False
        self._probe: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether the last call was answered; True before the first one."""
        return not self._reason

    def before_return(self, mending: Mending) -> None:
        """Let `mending` speak to Redis first when it is back."""
        self._mending.append(mending)

    def state(self) -> LinkState:
        """Return how things are, without asking anybody."""
        wait = 0.0 if self.up else max(0.0, self._again_at - self._clock())
        return LinkState(
            up=self.up, address=str(self._address), reason=self._reason, retry_in_seconds=wait, outages=self._outages
        )

    async def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Return what `work(client)` gives; it must be safe to have been done when this raises. Raises RedisAway."""
        self._refuse_while_away()
        try:
            answer = await self._attempt(work)
        except _Failed as error:
            self._doubt(error.reason)
            raise RedisAway(f"Redis at {self._address} is away: {error.reason}") from None
        self._tell(up=self.up)
        return answer

    async def ping(self) -> bool:
        """Return whether Redis answers now; False at once while it is left alone."""
        try:
            await self.run(lambda client: client.ping())
        except RedisAway:
            return False
        return True

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        await self._drop_connections(in_use=True)

    async def _attempt(self, work: Callable[[Client], Awaitable[T]], *, probing: bool = False) -> T:
        from redis.exceptions import RedisError
        from redis.exceptions import TimeoutError as RedisTimeout

        try:
            async with asyncio.timeout(CALL_SECONDS), self._slots:
                if not probing:
                    self._refuse_while_away()  # others may have found out while this one waited for a connection
                return await work(self._client)
        except (TimeoutError, RedisTimeout):
            raise _Failed("no answer in time") from None
        except (RedisError, OSError) as error:
            raise _Failed(_said(error, self._address)) from None

    def _refuse_while_away(self) -> None:
        if self.up:
            return
        if self._clock() >= self._again_at:
            self._start_probe()
        raise RedisAway(f"Redis at {self._address} is away: {self._reason}")

    async def _ask_again(self) -> None:
        async def run(work: Callable[[Client], Awaitable[T]]) -> T:
            return await self._attempt(work, probing=True)

        try:
            await self._drop_connections(in_use=False)  # they may be as dead as the one that failed
            await run(lambda client: client.ping())
            while waiting := [one for one in self._mending if one.waiting]:
                for one in waiting:
                    await one.mend(run)
        except _Failed as error:
            self._leave_alone(error.reason)
        except Exception:
            logger.exception("what happened while Redis was away could not be told to it")
            self._leave_alone("it could not be brought up to date")
        else:
            if self._outage:
                logger.warning("Redis at %s is back", self._address)
            self._reason, self._wait, self._outage = "", FIRST_WAIT, False
            self._tell(up=True)
        finally:
            self._probe = None

    def _doubt(self, reason: str) -> None:
        # A late answer may be our own fault, when this process is busy, and a lost connection that of a restart: a probe
        # tells, and nobody waits for it.
        if self.up:
            self._reason, self._again_at = reason, self._clock()
            self._start_probe()

    def _leave_alone(self, reason: str) -> None:
        if not self._outage:
            self._outage = True
            self._outages += 1
            logger.warning("Redis at %s is away (%s): this process does without it until it is back", self._address, reason)
        self._reason = reason
        self._again_at = self._clock() + self._wait
        self._wait = min(self._wait * 2, LONGEST_WAIT)
        self._tell(up=False)

    def _start_probe(self) -> None:
        if self._probe is None:
            self._probe = asyncio.create_task(self._ask_again(), name="redis-probe")

    def _tell(self, *, up: bool) -> None:
        if self._meter is not None:
            self._meter.gauged("redis_up", (), float(up))

    async def _drop_connections(self, *, in_use: bool) -> None:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(2 * CALL_SECONDS):
                await self._client.connection_pool.disconnect(inuse_connections=in_use)
        except (RedisError, OSError):  # TimeoutError is one: what does not even close is forgotten
            pass


class _Failed(RedisAway):
    """One attempt failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _said(error: Exception, address: RedisAddress) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return text.replace(address.password, "***") if address.password else text
