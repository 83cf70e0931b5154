"""Time limits of streams: for the first piece, between two pieces, and what is left of the user's action."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from engine.errors import NoTimeLeft, ProviderTimeout
from engine.resilience.deadline import remaining, time_limit

T = TypeVar("T")


async def under(stream: AsyncIterator[T], *, seconds: float) -> AsyncIterator[T]:
    """Yield what `stream` yields; `deadline.remaining()` is at most what is left of `seconds` wherever it works on a piece.

    Nothing is interrupted here. The limit is in force only while a piece is waited for, because a context variable that stays
    set while a generator is suspended would be seen by whoever reads the stream. `stream` is closed in every case.
    """
    end = time.monotonic() + seconds
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        while True:
            with time_limit(max(0.0, end - time.monotonic())):
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
            yield piece


async def paced(
    stream: AsyncIterator[T], *, first_seconds: float, next_seconds: float, provider: str
) -> AsyncIterator[T]:
    """Yield what `stream` yields, while each piece comes in its time; else close it, which ends the work upstream.

    The time that the reader takes between two pieces does not count. Raises ProviderTimeout when the stream itself is too
    slow, and NoTimeLeft when the user's action has no more time: that is not the provider's fault.
    """
    limit, what = first_seconds, "did not begin to answer"
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        while True:
            left = remaining()
            try:
                # Not asyncio.timeout(): its scope must not stay open while a generator waits to be continued.
                piece = await asyncio.wait_for(anext(pieces), max(0.0, min(limit, left)))
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if left < limit:
                    raise NoTimeLeft(
                        f"{provider} gave no answer in the {left:.0f} s that were left", hint="Ask again."
                    ) from error
                raise ProviderTimeout(f"{provider} {what} within {limit:.0f} s", hint="Try again in a moment.") from error
            yield piece
            limit, what = next_seconds, "fell silent and did not go on"


