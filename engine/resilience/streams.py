"""One time limit for a whole stream."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from engine.resilience.deadline import time_limit

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
