"""How much one user may ask in a minute: nobody's script takes the models from everybody else."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.errors import TooMany
from engine.rate_limit import SlidingWindow
from engine.types import Principal

SECONDS = 60.0


class Pace:
    """Counts questions by user, whichever page, key or token they come from; in this process."""

    def __init__(self, questions_per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._questions = SlidingWindow(questions_per_minute, SECONDS, clock=clock)

    def question(self, principal: Principal) -> None:
        """Count one question. Raises TooMany."""
        verdict = self._questions.hit(principal.user_id)
        if not verdict.allowed:
            raise TooMany(
                f"you asked {self._questions.limit} questions within a minute", retry_after_seconds=verdict.retry_after_seconds
            )
