"""How much one user may ask in a minute: nobody's script takes the models from everybody else."""

from __future__ import annotations

from engine.caching.manager import ProductionCacheManager
from engine.errors import TooMany
from engine.types import Principal

SECONDS = 60.0


class Pace:
    """Counts questions by user, whichever page, key, token or replica they come from."""

    def __init__(self, questions_per_minute: int, cache: ProductionCacheManager) -> None:
        self._limit = questions_per_minute
        self._cache = cache

    async def question(self, principal: Principal) -> None:
        """Count one question. Raises TooMany."""
        verdict = await self._cache.check_rate_limit(f"questions {principal.user_id}", self._limit, SECONDS, what="questions")
        if not verdict["allowed"]:
            raise TooMany(f"you asked {verdict['limit']} questions within a minute", retry_after_seconds=verdict["retry_after"])
