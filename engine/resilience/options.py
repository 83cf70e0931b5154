"""The dictionary that `ErrorHandlingIntegration` is made from: its keys, their defaults, and the rules that come of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from engine.errors import ConfigError
from engine.sections import Resilience

COMPONENTS = ("llm", "embedding", "vector_store")
NEVER = 1e9  # seconds; no call is slow: the dictionary has no limit for that
DEFAULTS: dict[str, dict[str, float]] = {
    "circuit_breaker": {"failure_threshold": 5, "recovery_timeout": 30.0},
    "retry": {"max_attempts": 2, "backoff_factor": 0.5},
}
WHOLE = frozenset({"failure_threshold", "max_attempts"})
MOST = {"failure_threshold": 10_000, "recovery_timeout": 86_400, "max_attempts": 5, "backoff_factor": 60}


def rules_from(config: Mapping[str, Any]) -> dict[str, Resilience]:
    """Return the rules of each component. Raises ConfigError that names the key, what is wrong, and what is possible."""
    _known(config, DEFAULTS, "section")
    chosen: dict[str, float] = {}
    for section, defaults in DEFAULTS.items():
        known = [f"{component}_{name}" for component in COMPONENTS for name in defaults]
        given = config.get(section, {})
        if not isinstance(given, Mapping):
            raise ConfigError(f"{section!r} must be a dictionary", hint=f"its keys: {', '.join(known)}")
        _known(given, known, f"key of {section!r}")
        for component in COMPONENTS:
            for name, default in defaults.items():
                key = f"{component}_{name}"
                chosen[key] = _number(key, given.get(key, default), name)
    return {component: _rules(component, chosen) for component in COMPONENTS}


def _rules(component: str, chosen: Mapping[str, float]) -> Resilience:
    threshold = int(chosen[f"{component}_failure_threshold"])
    recovery = chosen[f"{component}_recovery_timeout"]
    return Resilience(
        # A window of exactly `threshold` calls that must all have failed: so many failures in a row.
        window="count",
        window_calls=threshold,
        minimum_calls=threshold,
        failure_rate=1.0,
        slow_rate=1.0,
        slow_seconds=NEVER,
        open_seconds=recovery,
        longest_open_seconds=max(recovery, 300.0),
        probes=1,
        attempts=int(chosen[f"{component}_max_attempts"]),
        backoff_seconds=chosen[f"{component}_backoff_factor"],
        concurrent_calls=1_000_000,
        ramp_seconds=0.0,
    )


def _known(given: Iterable[Any], known: Iterable[str], what: str) -> None:
    names = sorted(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            raise ConfigError(
                f"unknown {what}: {name!r}; known: {', '.join(names)}",
                hint=f"did you mean {near[0]!r}?" if near else "correct or remove it",
            )


def _number(key: str, value: Any, name: str) -> float:
    most = MOST[name]
    kind = "a whole number from 1" if name in WHOLE else "a number of seconds above 0"
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 < value <= most
    if not fits or (name in WHOLE and value != int(value)):
        raise ConfigError(f"{key!r} cannot be {value!r}", hint=f"{kind} up to {most}")
    return float(value)
