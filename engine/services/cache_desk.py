"""Throwing away what is kept, for admins."""

from __future__ import annotations

from engine.database.audit import record
from engine.database.database import Database
from engine.services import answer_cache, query_vectors
from engine.services.accounts import require_role
from engine.services.answer_cache import Keeping
from engine.types import Principal, Role


class CacheDesk:
    """What admins do with kept answers and vectors."""

    def __init__(self, *, cache: Keeping, database: Database) -> None:
        self._cache = cache
        self._database = database

    async def clear(self, principal: Principal) -> int:
        """Forget all kept answers and query vectors; return how many. Nothing is lost but time. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        answers = await self._cache.delete_prefix(answer_cache.PREFIX)
        vectors = await self._cache.delete_prefix(query_vectors.PREFIX)
        async with self._database.write() as session:
            await record(session, principal, "cache.clear", answers=answers, embeddings=vectors)
        return answers + vectors
