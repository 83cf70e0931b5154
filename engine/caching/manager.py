"""One cache for a process: values, limits, sessions and single flight; in Redis, or in this process."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engine.caching import canonical
from engine.caching.config import cache_config
from engine.caching.decorators import Made, cached_values
from engine.caching.limiter import Limiter, LocalLimiter, SharedLimiter
from engine.caching.memory import MemoryStore
from engine.caching.redis_store import RedisStore
from engine.caching.shared_states import RedisStates
from engine.caching.single_flight import Lease, SingleFlight
from engine.caching.stores import LocalStore, SharedStore, Store
from engine.errors import InputError, StoreError
from engine.protocols import Meter, SharedStates
from engine.vendors.redis import RedisLink

MAX_KEY_CHARS = 512
MAX_VALUE_BYTES = 1 << 20
"""Larger values are not kept: sending one would take Redis' time limit."""
LEASE_SECONDS = 30.0


class Sealing(Protocol):
    """How values are made unreadable to who reads Redis; `engine.security.sealing.Sealer` is one."""

    def seal_bytes(self, value: bytes) -> bytes:
        """Return `value` in a form that may be stored."""
        ...

    def open_bytes(self, sealed: bytes) -> bytes:
        """Return the value. Raises EngineError when it was not sealed here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatus:
    """`where` is what is in use now: "redis", or "memory". With `degraded` it is memory because Redis is away (`reason`)."""

    where: str
    degraded: bool
    address: str = ""
    reason: str = ""
    retry_in_seconds: float = 0.0
    outages: int = 0
    memory_bytes: int = 0
    memory_entries: int = 0


class ProductionCacheManager:
    """A cache that never stops anybody: when Redis is away, everything goes on in this process until it is back.

    Values are bytes. Belongs to one event loop. Raises ConfigError for a configuration that is wrong; `config_keys` are in
    `engine.caching.config`. `sealing` seals what goes into Redis; a value that cannot be opened is a miss.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        sealing: Sealing | None = None,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        known = cache_config(config)
        self._meter = meter
        self._prefix = known.prefix
        self._memory = MemoryStore(known.memory_bytes, clock=clock)
        self._flights = SingleFlight()
        self._link: RedisLink | None = None
        self._store: Store = LocalStore(self._memory)
        self._limiter: Limiter = LocalLimiter(replicas=known.replicas, clock=clock)
        if known.redis is None:
            return
        link = self._link = RedisLink(known.redis, name=known.prefix, meter=meter, clock=clock)
        seal, unseal = (sealing.seal_bytes, sealing.open_bytes) if sealing else (None, None)
        store = SharedStore(RedisStore(run=link.run, prefix=known.prefix, seal=seal, unseal=unseal), self._memory)
        local = LocalLimiter(replicas=known.replicas, source="fallback", clock=clock)
        limiter = SharedLimiter(link.run, local, prefix=known.prefix, clock=clock)
        link.before_return(store)
        link.before_return(limiter)
        self._store, self._limiter = store, limiter

    async def initialize(self) -> None:
        """Look whether Redis answers; `status()` tells. Not needed: the first use does the same."""
        if self._link is not None:
            await self._link.ping()

    async def ping(self) -> bool:
        """Return whether what is configured answers now; False at once while Redis is left alone."""
        return self._link is None or await self._link.ping()

    async def get(self, key: str, *, name: str = "values") -> bytes | None:
        """Return the value of `key`, None when there is none. `name` is the label of the look-up in the metrics.

        "" counts nothing: for who decides only then whether the value was of use, and counts that.
        """
        value = await self._store.get(_checked(key))
        self._count(name, value)
        return value

    async def set(self, key: str, value: bytes, *, ttl: float) -> bool:
        """Keep `value` for `ttl` seconds; False when it is larger than MAX_VALUE_BYTES: then an old one is gone."""
        _checked(key)
        if not 0 < ttl < math.inf:
            raise InputError("a value is kept for a positive number of seconds", hint="Correct ttl.")
        if len(value) > MAX_VALUE_BYTES:
            await self._store.delete(key)
            return False
        done = await self._store.set(key, value, ttl=ttl)
        self._weigh()
        return done

    async def delete(self, key: str) -> bool:
        """Remove a value and say whether there was one."""
        return await self._store.delete(_checked(key))

    async def delete_prefix(self, prefix: str) -> int:
        """Remove all whose key begins with `prefix` ("" = all values), and return how many were found."""
        removed = await self._store.delete_prefix(prefix)
        self._weigh()
        return removed

    async def once(
        self,
        key: str,
        make: Callable[[], Awaitable[bytes]],
        *,
        ttl: float,
        name: str = "values",
        lease_seconds: float = LEASE_SECONDS,
    ) -> tuple[bytes, bool]:
        """Return the value of `key`, and whether it was this call's `make` that made it.

        Many who ask at once wait for one: in this process always, with Redis across processes for up to `lease_seconds`.
        What `make` raises reaches all who wait in this process; other processes then try by themselves. Nothing of it is kept.
        """
        mine: list[bool] = []

        async def work() -> Made:
            mine.append(True)
            value = await make()
            return Made(value, value)

        found = await self.share(key, work, ttl=ttl, name=name, lease_seconds=lease_seconds)
        return (found if isinstance(found, bytes) else found.value), bool(mine)

    async def share(
        self,
        key: str,
        make: Callable[[], Awaitable[Made]],
        *,
        ttl: float,
        name: str = "values",
        lease_seconds: float = LEASE_SECONDS,
    ) -> Made | bytes:
        """Do what `once` does for results that are more than bytes: the kept bytes, or what was made now."""
        found = await self.get(key, name=name)
        if found is not None:
            return found

        async def make_and_keep() -> Made | bytes:
            made = await make()
            if made.raw is not None:
                await self.set(key, made.raw, ttl=ttl)
            return made

        async def work() -> Made | bytes:
            if self._link is None:
                return await make_and_keep()
            lease = Lease(self._link.run, prefix=self._prefix, seconds=lease_seconds)
            return (await lease.made(key, lambda: self._store.get(key), make_and_keep))[0]

        result, first = await self._flights.run(key, work)
        # Who only waited gets his own copy where there are bytes: nobody changes a list under somebody else's hands.
        return result if first or isinstance(result, bytes) or result.raw is None else result.raw

    async def check_rate_limit(
        self, key: str, limit: int, window: float, cost: float = 1, *, what: str = "requests"
    ) -> dict[str, Any]:
        """Charge `cost` to `key` if at most `limit` lie in any `window` seconds. Refused calls cost nothing.

        Returns allowed, remaining (rounded down), limit (in force), retry_after (seconds, 0 when allowed) and source: "redis",
        "memory", or "fallback": Redis is away, and this process allows limit / replicas. `what` is the label of a refusal in
        the metrics. Raises ConfigError for an impossible limit.
        """
        answer = await self._limiter.check(key, limit=limit, window=window, cost=cost)
        if not answer.verdict.allowed and self._meter is not None:
            self._meter.counted("limited_total", (what,))
        return {
            "allowed": answer.verdict.allowed,
            "remaining": answer.verdict.remaining,
            "limit": answer.limit,
            "retry_after": answer.verdict.retry_after_seconds,
            "source": answer.source,
        }

    async def cache_session(self, session_id: str, data: Any, ttl: float) -> None:
        """Keep plain `data` for a session; its id is in no key. Raises InputError for what is not plain."""
        await self.set(_session(session_id), canonical.encode(data), ttl=ttl)

    async def get_session(self, session_id: str) -> Any:
        """Return the data of a session, None when there is none."""
        raw = await self.get(_session(session_id), name="sessions")
        return None if raw is None else canonical.decode(raw)

    async def delete_session(self, session_id: str) -> bool:
        """Forget a session and say whether there was one."""
        return await self.delete(_session(session_id))

    def cached_response(self, ttl: float, key_prefix: str = "response") -> Any:
        """Return a decorator for async functions; see `engine.caching.decorators.kept`. Results are plain values."""
        return cached_values(self, ttl, key_prefix)

    def shared_states(self) -> SharedStates | None:
        """Return how processes tell each other of breakers; None without Redis."""
        return None if self._link is None else RedisStates(self._link.run, prefix=self._prefix)

    async def time(self) -> float:
        """Return the clock of Redis in Unix seconds. Raises RedisAway, StoreError without Redis."""
        if self._link is None:
            raise StoreError("there is no Redis")
        seconds, micros = await self._link.run(lambda client: client.time())
        return float(seconds) + float(micros) / 1e6

    def status(self) -> CacheStatus:
        """Return where values are now, without asking anybody."""
        used, entries = self._memory.used_bytes, len(self._memory)
        if self._link is None:
            return CacheStatus(where="memory", degraded=False, memory_bytes=used, memory_entries=entries)
        state = self._link.state()
        return CacheStatus(
            where="redis" if state.up else "memory",
            degraded=not state.up,
            address=state.address,
            reason=state.reason,
            retry_in_seconds=state.retry_in_seconds,
            outages=state.outages,
            memory_bytes=used,
            memory_entries=entries,
        )

    async def close(self) -> None:
        """Close connections. Idempotent."""
        if self._link is not None:
            await self._link.close()

    def _count(self, name: str, value: bytes | None) -> None:
        if self._meter is not None and name:
            self._meter.counted("cache_requests_total", (name, "miss" if value is None else "hit"))

    def _weigh(self) -> None:
        if self._meter is not None:
            self._meter.gauged("cache_bytes", (), float(self._memory.used_bytes))


def _checked(key: str) -> str:
    if not 0 < len(key) <= MAX_KEY_CHARS:
        raise InputError(f"a key has 1 to {MAX_KEY_CHARS} characters", hint="Hash what is longer.")
    return key


def _session(session_id: str) -> str:
    return f"session:{hashlib.sha256(session_id.encode(errors='surrogatepass')).hexdigest()}"
