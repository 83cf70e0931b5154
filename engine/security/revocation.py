"""Tokens and sessions that were revoked in this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from engine.security.jwt import LEEWAY_SECONDS, MAX_SECONDS

MAX_KEPT = 100_000


class Revocations:
    """Remembers ids (`jti` or `sid`). Of more than 100 000 it forgets the oldest whose tokens have expired by themselves.

    Several processes need one place that they all ask: the option `is_revoked`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, max_kept: int = MAX_KEPT) -> None:
        self._clock = clock
        self._max_kept = max_kept
        self._revoked: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, identifier: str) -> None:
        """Revoke the token or the session `identifier` from now on."""
        with self._lock:
            now = self._clock()
            self._revoked[identifier] = now
            self._revoked.move_to_end(identifier)
            while len(self._revoked) > self._max_kept:
                oldest = next(iter(self._revoked))
                if self._revoked[oldest] > now - MAX_SECONDS - LEEWAY_SECONDS:
                    break
                del self._revoked[oldest]

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._revoked
