"""One deadline for a whole stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from engine.vendors.status import too_slow

T = TypeVar("T")


async def bounded(stream: AsyncIterator[T], *, seconds: float, provider: str) -> AsyncIterator[T]:
    """Yield what `stream` yields until `seconds` after the first request for it; then close it and raise ProviderTimeout.

    Time that the reader takes between pieces counts too. `stream` is closed in every case, which ends the work upstream.
    """
    end = time.monotonic() + seconds
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        while True:
            # A scope for each piece: none may stay open while this generator waits to be continued.
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise too_slow(provider=provider, seconds=seconds) from error
            yield piece
