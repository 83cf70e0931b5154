"""Where values are: in this process, or in Redis with this process as the stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Protocol

from engine.caching.memory import MemoryStore
from engine.caching.redis_store import RedisStore
from engine.vendors.redis import RedisAway, Run

MAX_PENDING = 10_000
MEND_BATCH = 20


class Store(Protocol):
    """Bytes under names. Never raises for a Redis that is away."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float) -> bool:
        """Keep `value` for `ttl` seconds; False when it is too large."""
        ...

    async def delete(self, key: str) -> bool:
        """Remove a value and say whether there was one."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Remove all whose key begins with `prefix`, and return how many."""
        ...


class LocalStore:
    """A `Store` in this process."""

    def __init__(self, memory: MemoryStore) -> None:
        self._memory = memory

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        return self._memory.get(key)

    async def set(self, key: str, value: bytes, *, ttl: float) -> bool:
        """See Store."""
        return self._memory.set(key, value, ttl=ttl)

    async def delete(self, key: str) -> bool:
        """See Store."""
        return self._memory.delete(key)

    async def delete_prefix(self, prefix: str) -> int:
        """See Store."""
        return self._memory.delete_prefix(prefix)


class SharedStore:
    """A `Store` in Redis. While Redis is away values are kept in this process.

    What was changed meanwhile is told to Redis before anybody reads there again (`mend`): an old value, or one that was
    removed, does not come back. The memory is used for nothing else.
    """

    def __init__(self, redis: RedisStore, memory: MemoryStore) -> None:
        self._redis = redis
        self._memory = memory
        self._changed: dict[str, None] = {}
        self._prefixes: set[str] = set()

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        try:
            return await self._redis.get(key)
        except RedisAway:
            return self._memory.get(key)

    async def set(self, key: str, value: bytes, *, ttl: float) -> bool:
        """See Store."""
        try:
            await self._redis.write({key: (value, ttl)})
        except RedisAway:
            self._note(key)
            return self._memory.set(key, value, ttl=ttl)
        return True

    async def delete(self, key: str) -> bool:
        """See Store."""
        try:
            return await self._redis.delete(key)
        except RedisAway:
            self._note(key)
            return self._memory.delete(key)

    async def delete_prefix(self, prefix: str) -> int:
        """See Store."""
        try:
            return await self._redis.delete_prefix(prefix)
        except RedisAway:
            self._prefixes.add(prefix)
            return self._memory.delete_prefix(prefix)

    @property
    def waiting(self) -> bool:
        """Whether Redis has to be told of changes."""
        return bool(self._changed or self._prefixes)

    async def mend(self, run: Run) -> None:
        """Tell Redis what was changed. Raises RedisAway; then everything that was not told waits."""
        redis = self._redis.through(run)
        while self._prefixes:
            prefix = next(iter(self._prefixes))
            await redis.delete_prefix(prefix)
            self._prefixes.discard(prefix)
        while self._changed:
            changes: Mapping[str, tuple[bytes, float] | None] = {
                key: self._memory.lasting(key) for key in islice(self._changed, MEND_BATCH)
            }
            await redis.write(changes)
            for key, told in changes.items():
                now = self._memory.lasting(key)
                if (now and now[0]) == (told and told[0]):  # else it was changed again meanwhile
                    del self._changed[key]
                    self._memory.delete(key)

    def _note(self, key: str) -> None:
        if len(self._changed) >= MAX_PENDING:
            # More than is worth remembering: everything goes, which costs time and is never wrong.
            self._prefixes.add("")
        self._changed[key] = None
        while len(self._changed) > MAX_PENDING:
            oldest = next(iter(self._changed))
            del self._changed[oldest]
            self._memory.delete(oldest)
