"""A bound on retries as a share of all calls: when everything fails, retries must not multiply the load.

A token bucket: each call pays in `share`, each retry takes 1. It starts with RESERVE tokens on credit, so that the very first
calls can be retried too; the calls that follow pay that back first. So retries never exceed max(RESERVE, share * calls), at
any pace. At most MOST tokens are kept, so that a quiet day does not pay for a storm. After the retry budgets of Finagle
(`com.twitter.finagle.service.RetryBudget`) and Envoy (cluster circuit breakers, `retry_budget`).
"""

from __future__ import annotations

import threading

RESERVE = MOST = 10.0


class RetryBudget:
    """Thread-safe."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._lock = threading.Lock()
        self._tokens = self._owed = RESERVE if share > 0 else 0.0

    def called(self) -> None:
        """Count a call (not a retry)."""
        with self._lock:
            paid = min(self._owed, self._share)
            self._owed -= paid
            self._tokens = min(MOST, self._tokens + self._share - paid)

    def spend(self) -> bool:
        """Return whether one retry may be made, and take it."""
        with self._lock:
            if self._tokens < 1 - 1e-9:
                return False
            self._tokens -= 1
            return True
