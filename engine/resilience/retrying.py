"""Trying again: after a random wait, within a budget, and only where it can help.

The wait is "full jitter": evenly between 0 and a bound that doubles with each try (M. Brooker, "Exponential Backoff And
Jitter", AWS Architecture Blog 2015), so that clients who failed together do not come back together. A dependency that asks to
wait (Retry-After) gets that wait with the jitter on top, or none at all when it is longer than the settings allow.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception

from engine.resilience import deadline
from engine.resilience.breaker import Breaker
from engine.resilience.budget import RetryBudget
from engine.resilience.measuring import Measures
from engine.resilience.outcome import asked_wait, retryable
from engine.sections import Resilience

T = TypeVar("T")
Sleep = Callable[[float], None]
AsyncSleep = Callable[[float], Awaitable[None]]


def backoff(attempt: int, rules: Resilience, chance: Callable[[], float]) -> float:
    """Return the wait in seconds after the failed try number `attempt` (from 1); `chance` is evenly in 0..1."""
    return chance() * min(rules.backoff_seconds * 2.0 ** (attempt - 1), rules.longest_wait_seconds)


class Retries:
    """How calls of one dependency are repeated. Thread-safe.

    A call is given up, with its own error, when the error says that waiting does not help, after `rules.attempts` tries, when
    the breaker would not let it pass, when the wait is longer than `rules.longest_wait_seconds` or than the time that is left
    (less the second that a call needs), and when the budget is used up.
    """

    def __init__(
        self,
        rules: Resilience,
        *,
        breaker: Breaker,
        budget: RetryBudget,
        measures: Measures,
        helps: Callable[[BaseException], bool] = retryable,
        sleep: Sleep = time.sleep,
        asleep: AsyncSleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`helps` tells whether to retry an error; `sleep` and `asleep` wait for some seconds; `chance` is evenly in 0..1."""
        self._rules, self._breaker, self._budget, self._measures = rules, breaker, budget, measures
        self._helps, self._sleep, self._asleep, self._chance = helps, sleep, asleep, chance

    def call(self, fn: Callable[[], T], *, repeatable: bool = True) -> T:
        """Return what `fn` returns, at the latest try; blocking. Raises the error of that try."""
        self._budget.called()
        try:
            return fn()
        except Exception as error:
            if not (repeatable and self._again(error)):
                raise
            failed: list[Exception] = [error]

        def attempt() -> T:
            if failed:
                raise failed.pop()
            return fn()

        return Retrying(sleep=self._sleep, **self._how(math.inf))(attempt)

    async def acall(self, fn: Callable[[], Awaitable[T]], *, repeatable: bool = True, patience: float = math.inf) -> T:
        """Return what the awaitables of `fn` return, as `call` does; `patience` is the longest wait that is asked for."""
        self._budget.called()
        try:
            return await fn()
        except Exception as error:
            if not (repeatable and self._again(error)):
                raise
            failed: list[Exception] = [error]

        async def attempt() -> T:
            if failed:
                raise failed.pop()
            return await fn()

        return await AsyncRetrying(sleep=self._asleep, **self._how(patience))(attempt)

    def _how(self, patience: float) -> dict[str, Any]:
        """Return what both loops of tenacity go by. They are given the first error: nearly all calls need no loop."""
        retry = retry_if_exception(self._again)
        stop = partial(self._stop, longest=min(patience, self._rules.longest_wait_seconds))
        return {"wait": self._wait, "stop": stop, "retry": retry, "before_sleep": self._note, "reraise": True}

    def _again(self, error: BaseException) -> bool:
        return self._rules.attempts > 1 and isinstance(error, Exception) and self._helps(error)

    def _wait(self, state: RetryCallState) -> float:
        error = _error(state)
        asked = asked_wait(error) if error is not None else None
        return (asked or 0.0) + backoff(state.attempt_number, self._rules, self._chance)

    def _stop(self, state: RetryCallState, *, longest: float) -> bool:
        error = _error(state)
        asked = asked_wait(error) if error is not None else None
        if (
            state.attempt_number >= self._rules.attempts
            or (asked or 0.0) > longest
            or state.upcoming_sleep + deadline.LEAST_SECONDS > deadline.remaining()
            or self._breaker.refusal() is not None
        ):
            return True
        if not self._budget.spend():
            self._measures.refused("budget")
            return True
        return False

    def _note(self, state: RetryCallState) -> None:
        error = _error(state)
        if error is not None:
            self._measures.retried(error)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
