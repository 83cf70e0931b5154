"""What went wrong in this process since it started: errors by component and class. No messages: they may quote users."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from engine.resilience.breaker import utc_now
from engine.resilience.outcome import name_of

MOST_CLASSES = 50


class Statistics:
    """Thread-safe. `wall` is the time that people read."""

    def __init__(self, components: Iterable[str], *, wall: Callable[[], datetime] = utc_now) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._fallbacks: Counter[str] = Counter()
        self._classes: dict[str, Counter[str]] = {component: Counter() for component in components}
        self._last: dict[str, dict[str, str]] = {}

    def called(self, component: str) -> None:
        """Count a call, whatever comes of it."""
        with self._lock:
            self._calls[component] += 1

    def failed(self, component: str, error: BaseException, *, fallback: bool) -> None:
        """Count a call that ended with `error`, after its retries; `fallback` tells whether another value was returned."""
        name = name_of(error)
        with self._lock:
            classes = self._classes[component]
            classes[name if name in classes or len(classes) < MOST_CLASSES else "other"] += 1
            self._fallbacks[component] += fallback
            self._last[component] = {"error": name, "at": self._wall().isoformat()}

    def errors(self) -> dict[str, Any]:
        """Return {"total_calls", "total_errors", "error_rate", "fallbacks", "by_component", "by_class"}; a new dictionary.

        `error_rate` is a share 0..1. Of each component: calls, errors, fallbacks, by_class, last_error
        ({"error", "at"} or None).
        """
        with self._lock:
            by_component = {
                component: {
                    "calls": self._calls[component],
                    "errors": classes.total(),
                    "fallbacks": self._fallbacks[component],
                    "by_class": dict(classes),
                    "last_error": dict(self._last[component]) if component in self._last else None,
                }
                for component, classes in self._classes.items()
            }
            by_class: Counter[str] = sum(self._classes.values(), Counter())
            calls = self._calls.total()
        return {
            "total_calls": calls,
            "total_errors": by_class.total(),
            "error_rate": by_class.total() / calls if calls else 0.0,
            "fallbacks": sum(one["fallbacks"] for one in by_component.values()),
            "by_component": by_component,
            "by_class": dict(by_class),
        }
