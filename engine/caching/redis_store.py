"""Values in Redis, sealed on request: who reads Redis reads no answers, and who writes there cannot exchange them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from engine.errors import EngineError
from engine.vendors.redis import Run

BATCH = 500
Codec = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisStore:
    """Bytes under names. `seal` and `unseal` are given together; what `unseal` refuses with an EngineError is a miss."""

    run: Run
    prefix: str
    seal: Codec | None = None
    unseal: Codec | None = None

    def through(self, run: Run) -> RedisStore:
        """Return the same store, reached in another way."""
        return replace(self, run=run)

    async def get(self, key: str) -> bytes | None:
        """Return the value. Raises RedisAway."""
        raw: bytes | None = await self.run(lambda client: client.get(self._name(key)))
        return None if raw is None else self._opened(key, raw)

    async def write(self, changes: Mapping[str, tuple[bytes, float] | None]) -> None:
        """Set each key to (value, seconds), or remove it for None. Raises RedisAway."""
        sealed = {key: (self._sealed(key, one[0]), one[1]) if one else None for key, one in changes.items()}

        async def work(client: object) -> None:
            pipeline = client.pipeline(transaction=False)  # type: ignore[attr-defined]
            for key, one in sealed.items():
                if one is None:
                    pipeline.unlink(self._name(key))
                else:
                    pipeline.set(self._name(key), one[0], px=max(1, int(one[1] * 1000)))
            await pipeline.execute()

        await self.run(work)

    async def delete(self, key: str) -> bool:
        """Remove a value and say whether there was one. Raises RedisAway."""
        return bool(await self.run(lambda client: client.unlink(self._name(key))))

    async def delete_prefix(self, prefix: str) -> int:
        """Remove all whose key begins with `prefix`, and return how many. Raises RedisAway."""
        pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", self._name(prefix)) + "*"
        removed, cursor = 0, 0
        while True:
            at = cursor
            cursor, names = await self.run(lambda client: client.scan(at, match=pattern, count=BATCH))  # noqa: B023
            if names:
                removed += await self.run(lambda client: client.unlink(*names))  # noqa: B023
            if not int(cursor):
                return removed

    def _name(self, key: str) -> str:
        return f"{self.prefix}:value:{key}"

    def _sealed(self, key: str, value: bytes) -> bytes:
        return value if self.seal is None else self.seal(_digest(key) + value)

    def _opened(self, key: str, raw: bytes) -> bytes | None:
        if self.unseal is None:
            return raw
        try:
            plain = self.unseal(raw)
        except EngineError:
            return None
        digest = _digest(key)
        return plain[len(digest) :] if plain.startswith(digest) else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()[:16]
