"""Everything between a caller and one dependency, in this order: retry(deadline -> bulkhead -> breaker -> call -> meter)."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from engine.errors import CircuitOpen, Overloaded, ProviderTimeout
from engine.operations_views import BreakerInfo, Dependency, Transition
from engine.protocols import Meter
from engine.resilience import deadline
from engine.resilience.breaker import Breaker, utc_now
from engine.resilience.budget import RetryBudget
from engine.resilience.bulkhead import Bulkhead
from engine.resilience.measuring import Measures, Silent
from engine.resilience.outcome import outcome_of, retryable
from engine.resilience.permit import Permit
from engine.resilience.retrying import AsyncSleep, Retries, Sleep
from engine.sections import Resilience

T = TypeVar("T")


class CutShort(ProviderTimeout):
    """The user's time was over before the dependency had as much as it may take: not its failure."""

    retryable = False


@dataclass(slots=True)
class _Opened(Generic[T]):
    """A stream that has its first item (or none: `empty`), and how to end it."""

    source: AsyncIterator[T]
    permit: Permit
    started: float
    end: float
    first: T | None
    empty: bool
    first_seconds: float


class Guard:
    """Thread-safe; one for each dependency, see `Guards`.

    Every try of a call counts by itself: for the breaker, the bulkhead and the meter. What counts as what: `outcome_of`.
    """

    def __init__(
        self,
        dependency: Dependency,
        rules: Resilience,
        *,
        meter: Meter | None = None,
        on_transition: Callable[[Transition], None] | None = None,
        helps: Callable[[BaseException], bool] = retryable,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now,
        sleep: Sleep = time.sleep,
        asleep: AsyncSleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        started: float | None = None,
    ) -> None:
        """`helps` tells whether to retry an error; `started`, on `clock`, is when the bulkhead began to open."""
        self.dependency, self._rules, self._clock, self._listener = dependency, rules, clock, on_transition
        self._measures = Measures(dependency, meter or Silent())
        self.breaker = Breaker(dependency, rules, clock=clock, wall=wall, on_transition=self._changed)
        self.bulkhead = Bulkhead(
            str(dependency), rules.concurrent_calls, ramp_seconds=rules.ramp_seconds, clock=clock, started=started
        )
        self._retries = Retries(
            rules,
            breaker=self.breaker,
            budget=RetryBudget(rules.retry_budget),
            measures=self._measures,
            helps=helps,
            sleep=sleep,
            asleep=asleep,
            chance=chance,
        )
        self._measures.state(self.breaker.state)

    def call(self, fn: Callable[[], T], *, writes: bool = False, idempotent: bool = False, seconds: float = math.inf) -> T:
        """Return what `fn` returns; blocking.

        What `writes` is only repeated when it is `idempotent` (it has the same effect twice as once). A thread cannot be
        stopped: `seconds` reaches `fn` as `deadline.remaining()`, and no try begins with less than a second left.
        Raises CircuitOpen, Overloaded, NoTimeLeft before a call, and the error of the last try.
        """
        return self._retries.call(lambda: self._once(fn, seconds), repeatable=idempotent or not writes)

    async def acall(
        self, fn: Callable[[], Awaitable[T]], *, writes: bool = False, idempotent: bool = False, seconds: float = math.inf
    ) -> T:
        """Return what the awaitable of `fn` returns, as `call` does.

        A try is cancelled after `seconds`, or when no time is left; ProviderTimeout is raised then.
        """
        return await self._retries.acall(lambda: self._aonce(fn, seconds), repeatable=idempotent or not writes)

    async def stream(
        self,
        make: Callable[[], AsyncIterator[T]],
        *,
        first_seconds: float | None = None,
        next_seconds: float | None = None,
        patience: float = math.inf,
    ) -> AsyncGenerator[T, None]:
        """Yield what the iterator of `make` yields. Retried only before the first item; close it to end the work upstream.

        Limits, of `rules` unless given: until the first item, between two items (the time that the reader takes does not
        count), and the deadline as it was at the first request for an item. ProviderTimeout is raised when one is over,
        CircuitOpen at the next item after an operator tripped the breaker. A reader who leaves early counts as neutral.
        `patience` is the longest Retry-After that is waited for, if it is shorter than that of `rules`.
        """
        first = self._rules.first_token_seconds if first_seconds is None else first_seconds
        following = self._rules.next_token_seconds if next_seconds is None else next_seconds
        opened = await self._retries.acall(lambda: self._open(make, first), patience=patience)
        error: BaseException | None = None
        waited = opened.first_seconds
        try:
            if opened.empty:
                return
            yield opened.first  # type: ignore[misc]
            while True:
                self._go_on(opened.permit)
                asked = self._clock()
                try:
                    item = await self._limited(lambda: anext(opened.source), following, opened.end - asked, asked)
                except StopAsyncIteration:
                    return
                finally:
                    waited += self._clock() - asked
                self._go_on(opened.permit)
                opened.permit.alive()
                yield item
        except BaseException as caught:
            error = caught
            raise
        finally:
            try:
                await _close(opened.source)
            finally:
                self._end(opened.permit, error, waited, slow_by=opened.first_seconds)

    def info(self) -> BreakerInfo:
        """Return what operators see."""
        found = self.breaker.info(in_use=self.bulkhead.in_use, limit=self.bulkhead.limit)
        return replace(found, not_permitted=found.not_permitted + self.bulkhead.refused)

    # --- one try ---------------------------------------------------------------------------------------------------

    def _once(self, fn: Callable[[], T], seconds: float) -> T:
        permit = self._begin()
        error: BaseException | None = None
        started = self._clock()
        try:
            if seconds == math.inf:
                return fn()
            with deadline.time_limit(seconds, clock=self._clock):
                return fn()
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._end(permit, error, self._clock() - started)

    async def _aonce(self, fn: Callable[[], Awaitable[T]], seconds: float) -> T:
        permit = self._begin()
        error: BaseException | None = None
        started = self._clock()
        try:
            if seconds == math.inf:
                return await self._limited(fn, seconds, deadline.remaining(), started)
            left = deadline.remaining()
            with deadline.time_limit(seconds, clock=self._clock):
                return await self._limited(fn, seconds, left, started)
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._end(permit, error, self._clock() - started)

    async def _open(self, make: Callable[[], AsyncIterator[T]], first_seconds: float) -> _Opened[T]:
        permit = self._begin()
        started = self._clock()
        end = started + deadline.remaining()
        source: AsyncIterator[T] | None = None
        try:
            source = make()
            opened = _Opened(source, permit, started, end, None, False, 0.0)
            try:
                opened.first = await self._limited(source.__anext__, first_seconds, end - started, started)
            except StopAsyncIteration:
                opened.empty = True
            opened.first_seconds = self._clock() - started
            permit.alive()
        except BaseException as error:
            try:
                await _close(source)
            finally:
                self._end(permit, error, self._clock() - started)
            raise
        return opened

    def _begin(self) -> Permit:
        deadline.check()
        try:
            self.bulkhead.enter()
        except Overloaded:
            self._measures.refused("full")
            raise
        try:
            permit = self.breaker.acquire()
        except CircuitOpen:
            self._leave()
            self._measures.refused("open")
            raise
        self._measures.in_use(self.bulkhead.in_use)
        return permit

    def _end(self, permit: Permit, error: BaseException | None, seconds: float, *, slow_by: float | None = None) -> None:
        """Give everything back. `slow_by` is the time that decides whether the call was slow, if it is not `seconds`."""
        self._leave()
        took = seconds if slow_by is None else slow_by
        outcome = "neutral" if isinstance(error, CutShort) else outcome_of(error)
        if outcome == "success":
            permit.succeeded(took)
        elif outcome == "failure" and error is not None:
            permit.failed(error, took)
        else:
            permit.neutral()
        self._measures.ended(outcome, error, seconds, slow=took >= self._rules.slow_seconds)

    def _leave(self) -> None:
        self.bulkhead.leave()
        self._measures.in_use(self.bulkhead.in_use)  # read again: two that leave together may report in either order

    def _go_on(self, permit: Permit) -> None:
        if permit.given_up:
            raise CircuitOpen(
                f"{self.dependency} was taken out of use by an operator while it answered",
                hint="Nothing was lost. Ask again: another model answers, if there is one.",
            )

    async def _limited(self, fn: Callable[[], Awaitable[T]], own: float, left: float, started: float) -> T:
        """Await `fn()` for the shorter of its own limit and the time that is left of the user's."""
        limit = min(own, left)
        if limit == math.inf:
            return await fn()
        try:
            async with asyncio.timeout(max(0.0, limit)) as scope:
                return await fn()
        except TimeoutError as error:
            if not scope.expired():
                raise
            taken = self._clock() - started
            kind = ProviderTimeout if own <= left or taken >= self._rules.slow_seconds else CutShort
            raise kind(
                f"{self.dependency} gave no answer within {limit:.0f} s",
                hint="Nothing was lost. Try again, or choose another model.",
            ) from error

    def _changed(self, transition: Transition) -> None:
        self._measures.state(transition.after)
        if self._listener is not None:
            self._listener(transition)


async def _close(source: AsyncIterator[object] | None) -> None:
    """Close an async generator; other iterators have nothing to close."""
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
