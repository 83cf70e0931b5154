"""Values of this process: the least recently used go first when the bytes run out, and each has its time to live."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

ENTRY_BYTES = 300
"""What a key and its place in the table take, about, next to the value."""


@dataclass(slots=True)
class _Entry:
    value: bytes
    until: float
    size: int


class MemoryStore:
    """Bytes under names, at most `max_bytes` of them. Thread-safe."""

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def used_bytes(self) -> int:
        """How much is taken."""
        return self._used

    def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none or its time is over."""
        found = self.lasting(key)
        return found[0] if found else None

    def lasting(self, key: str) -> tuple[bytes, float] | None:
        """Return the value and the seconds that it lasts."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            left = entry.until - self._clock()
            if left <= 0:
                self._remove(key)
                return None
            self._entries.move_to_end(key)
            return entry.value, left

    def set(self, key: str, value: bytes, *, ttl: float) -> bool:
        """Keep `value` for `ttl` seconds; False, and the old value is gone, when it is larger than everything there is."""
        size = len(value) + len(key) + ENTRY_BYTES
        with self._lock:
            self._remove(key)
            if size > self._max_bytes:
                return False
            while self._used + size > self._max_bytes:
                self._remove(next(iter(self._entries)))
            self._entries[key] = _Entry(value, self._clock() + ttl, size)
            self._used += size
            return True

    def delete(self, key: str) -> bool:
        """Remove a value and say whether there was one."""
        with self._lock:
            return self._remove(key)

    def delete_prefix(self, prefix: str) -> int:
        """Remove all whose key begins with `prefix`, and return how many."""
        with self._lock:
            gone = [key for key in self._entries if key.startswith(prefix)]
            for key in gone:
                self._remove(key)
            return len(gone)

    def _remove(self, key: str) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._used -= entry.size
        return True
