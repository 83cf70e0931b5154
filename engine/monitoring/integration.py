"""Monitoring for functions of other programs: a decorator, numbers with thresholds, and a text for Prometheus.

    thresholds = {"error_rate": 0.05, "response_time_p95": 2000}
    monitor = MonitoringIntegration({"monitoring_enabled": True, "alert_thresholds": thresholds})

    @monitor.create_monitored_method("llm", "llm_provider")
    async def generate_response(prompt: str) -> str: ...

    metrics = await monitor.get_comprehensive_metrics()

It needs nothing else of the engine.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar, cast

from engine.errors import ConfigError
from engine.monitoring.catalogue import METRICS
from engine.monitoring.hub import Hub
from engine.monitoring.labels import SEPARATOR
from engine.monitoring.series import SLOT_SECONDS, SLOTS, Measured
from engine.monitoring.sketch import quantile
from engine.monitoring.timing import timing

Function = TypeVar("Function", bound=Callable[..., Any])

METRIC = "operation_seconds"
WINDOW_SECONDS = SLOT_SECONDS * SLOTS
OPERATIONS = 100  # what is beyond counts as "other"
FIRST_ITEM = "first item"
# What a threshold is compared with, for one operation.
THRESHOLDS = {"error_rate": "error_rate", "response_time_p95": "p95_ms"}
KEYS = ("alert_thresholds", "monitoring_enabled")


class MonitoringIntegration:
    """Counts and times functions of this process.

    `config`: "monitoring_enabled" (default True; False leaves functions as they are) and "alert_thresholds" with "error_rate"
    (a share, 0..1) and "response_time_p95" (milliseconds); one that is not given is not watched. `clock` gives seconds.
    Raises ConfigError for an unknown key or an impossible value.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        config = dict(config or {})
        _known("a key", config, KEYS)
        self._enabled = config.get("monitoring_enabled", True)
        if not isinstance(self._enabled, bool):
            raise ConfigError(f"monitoring_enabled is True or False, not {self._enabled!r}")
        self._thresholds = _thresholds(config.get("alert_thresholds", {}))
        self._clock = clock
        self._began = clock()
        self._hub = Hub(clock=clock, metrics={METRIC: replace(METRICS[METRIC], cap=OPERATIONS)})

    def create_monitored_method(self, component: str, operation: str) -> Callable[[Function], Function]:
        """Return a decorator for functions, coroutine functions and async generator functions.

        What they return and raise stays the same. An async generator is timed twice: to its first item, as the operation
        "<operation> first item", and to its end; one that is left half-way counts until then. A call that is
        cancelled does not count.
        """

        def decorate(function: Function) -> Function:
            if not self._enabled:
                return function
            return cast(Function, functools.wraps(function)(self._measured(function, component, operation)))

        return decorate

    def _measured(self, function: Callable[..., Any], component: str, operation: str) -> Callable[..., Any]:
        plain = isinstance(function, functools.partial | type) or inspect.isroutine(function)
        kind = function if plain else type(function).__call__  # an object that can be called
        if inspect.isasyncgenfunction(kind):

            async def items(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
                started, first = time.perf_counter(), True
                with self._until_left(component, operation):
                    async with aclosing(function(*arguments, **named)) as stream:
                        async for item in stream:
                            if first:
                                labels = (component, f"{operation} {FIRST_ITEM}")
                                self._hub.timed(METRIC, labels, time.perf_counter() - started)
                                first = False
                            yield item

            return items
        if inspect.iscoroutinefunction(kind):

            async def awaited(*arguments: Any, **named: Any) -> Any:
                with timing(self._hub, METRIC, component, operation):
                    return await function(*arguments, **named)

            return awaited

        def called(*arguments: Any, **named: Any) -> Any:
            with timing(self._hub, METRIC, component, operation):
                return function(*arguments, **named)

        return called

    @contextmanager
    def _until_left(self, *labels: str) -> Iterator[None]:
        # A reader who has enough closes a generator, and that is no failure.
        left = None
        with timing(self._hub, METRIC, *labels):
            try:
                yield
            except GeneratorExit as error:
                left = error
        if left:
            raise left

    async def get_comprehensive_metrics(self) -> dict[str, Any]:
        """Return the last 15 minutes as {"components": {component: {"status", "operations": {operation: numbers}}}, ...}.

        Numbers are count, errors, error_rate (0..1), mean_ms, p50_ms, p95_ms, p99_ms (within 5 %) and `exceeded`, the names of
        the thresholds that are. "alerts" lists those once more, "health" is "healthy" or "degraded".
        """
        from engine.monitoring.exposition import process_numbers  # noqa: PLC0415 - loads prometheus_client on first use

        components: dict[str, dict[str, Any]] = {}
        alerts = []
        for one in self._hub.snapshot(WINDOW_SECONDS):
            component, operation = one.label.split(SEPARATOR)
            numbers = self._numbers(one)
            found = components.setdefault(component, {"status": "healthy", "operations": {}})
            found["operations"][operation] = numbers
            for name in numbers["exceeded"]:
                found["status"] = "degraded"
                value, threshold = numbers[THRESHOLDS[name]], self._thresholds[name]
                alert = {"component": component, "operation": operation, "alert": name, "value": value, "threshold": threshold}
                alerts.append(alert)
        process = process_numbers()
        return {
            "monitoring_enabled": self._enabled,
            "window_seconds": WINDOW_SECONDS,
            "uptime_seconds": round(self._clock() - self._began, 3),
            "health": "degraded" if alerts else "healthy",
            "components": components,
            "alerts": alerts,
            "thresholds": dict(self._thresholds),
            "process": {
                "memory_bytes": int(process.get("process_resident_memory_bytes", 0)),
                "cpu_seconds": process.get("process_cpu_seconds_total", 0.0),
            },
        }

    def _numbers(self, one: Measured) -> dict[str, Any]:
        numbers: dict[str, Any] = {
            "count": one.count,
            "errors": one.errors,
            "error_rate": round(one.errors / one.count, 4),
            "mean_ms": round(one.total / one.count * 1000, 3),
            **{f"p{q}_ms": round(quantile(one.buckets, q / 100) * 1000, 3) for q in (50, 95, 99)},
        }
        exceeded = [name for name, limit in self._thresholds.items() if numbers[THRESHOLDS[name]] > limit]
        return {**numbers, "exceeded": exceeded}

    def export_prometheus(self) -> str:
        """Return everything since the start in the text format 0.0.4 of Prometheus."""
        return self._hub.exposition().decode()


def _thresholds(given: object) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"alert_thresholds is a dictionary, not {given!r}")
    _known("a threshold", given, THRESHOLDS)
    for name, value in given.items():
        most = 1 if name == "error_rate" else float("inf")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            unit = "a share from 0 to 1" if name == "error_rate" else "a number of milliseconds"
            raise ConfigError(f"{name} is {unit}, not {value!r}")
    return {str(name): float(value) for name, value in given.items()}


def _known(what: str, given: Mapping[str, Any], known: Mapping[str, str] | tuple[str, ...]) -> None:
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        raise ConfigError(f"{', '.join(unknown)} is not {what} of MonitoringIntegration", hint=f"known: {', '.join(known)}")
