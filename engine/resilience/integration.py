"""Breakers, retries and fallbacks around any functions, from one dictionary.

    error_handler = ErrorHandlingIntegration({"circuit_breaker": {"llm_failure_threshold": 3}})

    @error_handler.create_protected_method("llm", "Service temporarily unavailable")
    async def generate_response(prompt: str): ...

See docs/resilience.md for the keys and what counts as a failure.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from engine.errors import AccessDenied, ConfigError, InputError
from engine.operations_views import BreakerState, Dependency, Transition
from engine.protocols import Meter
from engine.resilience.breaker import utc_now
from engine.resilience.guard import Guard
from engine.resilience.options import COMPONENTS, rules_from
from engine.resilience.outcome import any_failure
from engine.resilience.retrying import AsyncSleep, Sleep
from engine.resilience.statistics import Statistics

F = TypeVar("F", bound=Callable[..., Any])
OPERATIONS = {"llm": "chat", "embedding": "embedding", "vector_store": "store"}
RAISE: Any = object()
PASSED_ON = (InputError, AccessDenied, ConfigError)
BROKEN = frozenset({BreakerState.OPEN, BreakerState.TRIPPED, BreakerState.DRAINING})


class ErrorHandlingIntegration:
    """One breaker, retry rule and count of errors for each of the components "llm", "embedding" and "vector_store".

    `config` has the sections "circuit_breaker" and "retry" with the keys `<component>_<name>`:
    failure_threshold (5)   the breaker opens after so many failed tries in a row; neutral ones do not interrupt the row
    recovery_timeout (30.0) seconds until one probe passes; doubles while probes fail, up to 300 s or itself
    max_attempts (2)        tries of one call, the first included (1..5); what must not run twice has 1
    backoff_factor (0.5)    the wait before further try n is random in 0..backoff_factor * 2**(n - 1) seconds
    Any `Exception` is a failure and retried, except what `outcome_of` calls neutral. At most a fifth of all calls is retried,
    the first ten on credit. Raises ConfigError for unknown keys and impossible values.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        meter: Meter | None = None,
        on_transition: Callable[[Transition], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now,
        sleep: Sleep = time.sleep,
        asleep: AsyncSleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`clock` is monotonic; `sleep` and `asleep` wait between tries; `chance` is evenly in 0..1."""
        self._statistics = Statistics(COMPONENTS, wall=wall)
        self._guards = {
            component: Guard(
                Dependency(operation=OPERATIONS[component], provider=component),
                rules,
                meter=meter,
                on_transition=on_transition,
                helps=any_failure,
                clock=clock,
                wall=wall,
                sleep=sleep,
                asleep=asleep,
                chance=chance,
            )
            for component, rules in rules_from(config or {}).items()
        }

    def guard(self, component: str) -> Guard:
        """Return the guard of a component. Raises ConfigError for one that does not exist."""
        if component not in self._guards:
            raise ConfigError(f"unknown component {component!r}; known: {', '.join(COMPONENTS)}", hint="choose one of them")
        return self._guards[component]

    def create_protected_method(self, component: str, fallback: Any = RAISE) -> Callable[[F], F]:
        """Return a decorator for sync and async functions, and for async generators.

        When the call fails after its tries, or the breaker is open, the error is counted and `fallback` returned: a value, or
        what a callable returns for the same arguments (it may be async for an async function). Without `fallback` the error is
        raised. InputError, AccessDenied and ConfigError are raised in any case: no fallback cures what the caller has to
        change. An async generator yields the fallback once if it fails before its first item; later its error is raised.
        Raises ConfigError for generators that are not async: they would fail outside the protection.
        """
        guard = self.guard(component)

        def protect(function: F) -> F:
            kind = _kind(function)
            if inspect.isgeneratorfunction(kind):
                raise ConfigError(
                    f"{getattr(kind, '__name__', kind)} is a generator, which fails only while it is read",
                    hint="make it an async generator, or protect a function that returns a list",
                )
            if inspect.isasyncgenfunction(kind):
                return self._streaming(component, guard, function, fallback)  # type: ignore[return-value]
            if inspect.iscoroutinefunction(kind):
                return self._async(component, guard, function, fallback)  # type: ignore[return-value]
            return self._sync(component, guard, function, fallback)  # type: ignore[return-value]

        return protect

    def get_error_statistics(self) -> dict[str, Any]:
        """Return the calls that ended in an error, after their tries, by component and class; see `Statistics.errors`."""
        return self._statistics.errors()

    def get_health(self) -> dict[str, Any]:
        """Return {"status", "components"}: "healthy" (all breakers let calls pass), "degraded", or "unhealthy" (none does).

        Of each component: state, since, calls in the window, failure_rate (0..1, None with too few calls), permitted,
        not_permitted, last_error, retry_after_seconds.
        """
        found = {component: guard.info() for component, guard in self._guards.items()}
        broken = sum(info.state in BROKEN for info in found.values())
        closed = sum(info.state in (BreakerState.CLOSED, BreakerState.HELD) for info in found.values())
        status = "healthy" if closed == len(found) else "unhealthy" if broken == len(found) else "degraded"
        return {
            "status": status,
            "components": {
                component: {
                    "state": str(info.state),
                    "since": info.since.isoformat(),
                    "calls": info.calls,
                    "failure_rate": info.failure_rate,
                    "permitted": info.permitted,
                    "not_permitted": info.not_permitted,
                    "last_error": info.last_error,
                    "retry_after_seconds": info.retry_after_seconds,
                }
                for component, info in found.items()
            },
        }

    # --- the three kinds of functions ------------------------------------------------------------------------------

    def _sync(self, component: str, guard: Guard, function: Callable[..., Any], fallback: Any) -> Callable[..., Any]:
        @functools.wraps(function)
        def protected(*args: Any, **named: Any) -> Any:
            self._statistics.called(component)
            try:
                return guard.call(lambda: function(*args, **named))
            except Exception as error:  # noqa: BLE001 - counted, and raised unless there is a fallback
                self._count(component, error, fallback)
            return fallback(*args, **named) if callable(fallback) else fallback

        return protected

    def _async(self, component: str, guard: Guard, function: Callable[..., Any], fallback: Any) -> Callable[..., Any]:
        @functools.wraps(function)
        async def protected(*args: Any, **named: Any) -> Any:
            self._statistics.called(component)
            try:
                return await guard.acall(lambda: function(*args, **named))
            except Exception as error:  # noqa: BLE001 - counted, and raised unless there is a fallback
                self._count(component, error, fallback)
            value = fallback(*args, **named) if callable(fallback) else fallback
            return await value if inspect.isawaitable(value) else value

        return protected

    def _streaming(self, component: str, guard: Guard, function: Callable[..., Any], fallback: Any) -> Callable[..., Any]:
        @functools.wraps(function)
        async def protected(*args: Any, **named: Any) -> AsyncIterator[Any]:
            self._statistics.called(component)
            items = guard.stream(lambda: function(*args, **named))
            begun = False
            try:
                async for item in items:
                    begun = True
                    yield item
                return  # noqa: TRY300 - an `else` would come after the fallback
            except Exception as error:  # noqa: BLE001 - counted, and raised unless there is a fallback
                self._count(component, error, RAISE if begun else fallback)
            finally:
                await items.aclose()
            value = fallback(*args, **named) if callable(fallback) else fallback
            yield await value if inspect.isawaitable(value) else value

        return protected

    def _count(self, component: str, error: Exception, fallback: Any) -> None:
        """Count the error; raise it when there is nothing to return in its place."""
        raised = fallback is RAISE or isinstance(error, PASSED_ON)
        self._statistics.failed(component, error, fallback=not raised)
        if raised:
            raise error


def _kind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that tells how `function` is called: its own, or that of an object that can be called."""
    plain = isinstance(function, functools.partial | type) or inspect.isroutine(function)
    return function if plain else type(function).__call__
