"""How much one user may ask: nobody's script takes the models from everybody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from engine.caching.manager import ProductionCacheManager
from engine.errors import TooMany
from engine.types import Principal

SECONDS = 60.0
RETRY_SECONDS = 1.0


class Pace:
    """Counts questions by user, whichever page, key, token or replica they come from.

    `at_once` bounds those that this process is answering: slow ones would hold all places of a model.
    """

    def __init__(self, questions_per_minute: int, cache: ProductionCacheManager, *, at_once: int = 8) -> None:
        self._limit = questions_per_minute
        self._cache = cache
        self._at_once = at_once
        self._answering: Counter[str] = Counter()

    async def question(self, principal: Principal) -> None:
        """Count one question. Raises TooMany."""
        self._room(principal)
        verdict = await self._cache.check_rate_limit(f"questions {principal.user_id}", self._limit, SECONDS, what="questions")
        if not verdict["allowed"]:
            raise TooMany(f"you asked {verdict['limit']} questions within a minute", retry_after_seconds=verdict["retry_after"])

    @contextmanager
    def answering(self, principal: Principal) -> Iterator[None]:
        """Hold one of the user's places while a question is answered. Raises TooMany."""
        self._room(principal)
        self._answering[principal.user_id] += 1
        try:
            yield
        finally:
            self._answering[principal.user_id] -= 1
            if not self._answering[principal.user_id]:
                del self._answering[principal.user_id]

    def _room(self, principal: Principal) -> None:
        if self._answering[principal.user_id] >= self._at_once:
            raise TooMany(
                f"you asked {self._at_once} questions at the same time",
                hint="Wait for an answer, or stop one.",
                retry_after_seconds=RETRY_SECONDS,
            )
