"""One time limit for everything that a user's action calls, however deep: it travels in a context variable.

`asyncio.to_thread` and tasks copy the context, so it reaches threads too. A thread cannot be stopped: what runs in one is only
kept from starting too late, and callees that can stop themselves ask `remaining()`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from engine.errors import NoTimeLeft

LEAST_SECONDS = 1.0  # with less than this, no call is begun: it would only cost

_END: ContextVar[tuple[float, Callable[[], float]] | None] = ContextVar("deadline", default=None)


@contextmanager
def time_limit(seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Bound what is called inside by `seconds` from now. An outer limit that ends sooner stays in force."""
    token = _END.set((clock() + min(seconds, remaining()), clock))
    try:
        yield
    finally:
        _END.reset(token)


def remaining() -> float:
    """Return the seconds that are left, negative when they are over, inf when there is no limit."""
    end = _END.get()
    return math.inf if end is None else end[0] - end[1]()


def check(seconds: float | None = None) -> None:
    """Raise NoTimeLeft when less than a second is left (of `seconds`, when they are given)."""
    if (remaining() if seconds is None else seconds) < LEAST_SECONDS:
        raise NoTimeLeft(
            "the time for this is used up, so nothing more was asked", hint="Nothing was lost. Try again, or ask for less."
        )
