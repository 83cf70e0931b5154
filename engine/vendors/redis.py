"""Redis for async callers: one small pool, short time limits, and nobody waits for a Redis that is away.

The SDK is imported only when a link is made. Measured on redis-py 8.1 with its defaults: 4.7 s until a closed port is reported.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

from engine.errors import ConfigError, StoreError
from engine.protocols import Meter

logger = logging.getLogger(__name__)

SOCKET_SECONDS = 0.1
"""For connecting, and for an answer."""
CALL_SECONDS = 0.125
"""For a whole call: a free connection, connecting, signing in and the answer."""
CONNECTIONS = 16
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
IDLE_CHECK_SECONDS = 30

T = TypeVar("T")
Client: TypeAlias = Any  # redis.asyncio.Redis


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
class RedisAddress:
    """Where Redis is. `str()` never shows the password."""

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.db}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """`reason` says why Redis is away, "" while it answers; `outages` counts them since the start of this process."""

    up: bool
    address: str
    reason: str
    retry_in_seconds: float
    outages: int


def address_of(url: str) -> RedisAddress:
    """Return the parts of redis://[[user]:password@]host[:port][/db] (rediss:// for TLS).

    Options behind a "?" are refused: they could take back time limits and the check of certificates. Raises ConfigError, which
    never repeats the address.
    """
    hint = "Write it as redis://:password@host:6379/0 (rediss:// for TLS), with special characters of the password as %XX."
    try:
        parts = urlsplit(url)
        port, db = parts.port or 6379, int(parts.path.strip("/") or 0)
    except ValueError:  # its text may repeat the password
        raise ConfigError("the address of Redis cannot be read", hint=hint) from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.query or parts.fragment or db < 0:
        raise ConfigError("the address of Redis cannot be read", hint=hint)
    return RedisAddress(
        host=parts.hostname,
        port=port,
        db=db,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
    )


class RedisLink:
    """One Redis. A call takes at most CALL_SECONDS; after a failure Redis is left alone, at first 1 s, doubling up to 30 s.

    While it is left alone `run` raises at once. When the wait is over the next call starts one probe in the background, so
    that no caller waits for it. Belongs to one event loop. Making it connects to nothing.
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
        self._client = _client(address, name)
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._mending: list[Mending] = []
        self._reason = ""
        self._wait = FIRST_WAIT
        self._again_at = 0.0
        self._outages = 0
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
            self._leave_alone(error.reason, counts=error.counts)
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

        started, waiting = time.monotonic(), True
        try:
            async with asyncio.timeout(CALL_SECONDS), self._slots:
                waiting = False
                if not probing:
                    self._refuse_while_away()  # others may have found out while this one waited for a connection
                return await work(self._client)
        except (TimeoutError, RedisTimeout):
            # Far too late means that this process was busy, not Redis: nobody looked at the socket in time.
            late = time.monotonic() - started > 2 * CALL_SECONDS
            raise _Failed("no answer in time", counts=not (waiting or late)) from None
        except (RedisError, OSError) as error:
            raise _Failed(_said(error, self._address)) from None

    def _refuse_while_away(self) -> None:
        if self.up:
            return
        if self._clock() >= self._again_at and self._probe is None:
            self._probe = asyncio.create_task(self._ask_again(), name="redis-probe")
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
            if self._wait > FIRST_WAIT:
                logger.warning("Redis at %s is back", self._address)
            self._reason, self._wait = "", FIRST_WAIT
            self._tell(up=True)
        finally:
            self._probe = None

    def _leave_alone(self, reason: str, *, counts: bool = True) -> None:
        if not counts:
            # Whoever raises RedisAway may keep changes for `Mending`, so that Redis is asked again first; at once.
            if self.up:
                self._reason, self._again_at = reason, self._clock()
            return
        if self.up:
            self._outages += 1
            logger.warning("Redis at %s is away (%s): this process does without it until it is back", self._address, reason)
        elif self._clock() < self._again_at:
            return  # calls that were on their way together are one failure
        self._reason = reason
        self._again_at = self._clock() + self._wait
        self._wait = min(self._wait * 2, LONGEST_WAIT)
        self._tell(up=False)

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
    """One attempt failed; `counts` when it tells something about Redis."""

    def __init__(self, reason: str, *, counts: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.counts = counts


def _client(address: RedisAddress, name: str) -> Client:
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.connection import Connection, SSLConnection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = ConnectionPool(
        connection_class=SSLConnection if address.tls else Connection,
        max_connections=2 * CONNECTIONS,
        host=address.host,
        port=address.port,
        db=address.db,
        username=address.username or None,
        password=address.password or None,
        client_name=name,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=IDLE_CHECK_SECONDS,
        protocol=2,  # no HELLO and no notices of maintenance: fewer round trips before the first answer
        driver_info=None,
    )
    return Redis.from_pool(pool)


def _said(error: Exception, address: RedisAddress) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return text.replace(address.password, "***") if address.password else text
