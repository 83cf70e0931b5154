"""Passages that try to command their reader, as people judge them; every call checks what the principal may do, in SQL."""

from __future__ import annotations

from engine.database import collections, quarantine
from engine.database.audit import record
from engine.database.database import Database
from engine.types import Principal, Right
from engine.views import HeldPassage

SHOWN = 500
ACTIONS = {quarantine.RELEASED: "chunk.release", quarantine.HELD: "chunk.quarantine"}


class Quarantine:
    """A decision is a column of the passage, so it acts on the very next question."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def passages(self, principal: Principal, collection_id: str | None = None) -> list[HeldPassage]:
        """Return what is held, marked or was decided about, of one collection or of all readable ones; at most SHOWN.

        Held passages come first, then the most suspicious. Raises NotFound.
        """
        async with self._database.read() as session:
            held = await collections.rights(session, principal)
            if collection_id is not None:
                await collections.require(session, principal, collection_id, Right.READ)
            wanted = list(held) if collection_id is None else [collection_id]
            return await quarantine.passages(session, held, collection_ids=wanted, limit=SHOWN)

    async def release(self, principal: Principal, chunk_id: str) -> None:
        """Let answers use a passage like any other, findings included. Raises NotFound, AccessDenied."""
        await self._decide(principal, chunk_id, quarantine.RELEASED)

    async def hold(self, principal: Principal, chunk_id: str) -> None:
        """Keep a passage out of all answers. Raises NotFound, AccessDenied."""
        await self._decide(principal, chunk_id, quarantine.HELD)

    async def _decide(self, principal: Principal, chunk_id: str, state: str) -> None:
        async with self._database.write() as session:
            chunk, version = await quarantine.passage(session, chunk_id)
            await collections.require(session, principal, version.collection_id, Right.WRITE)
            chunk.quarantine, chunk.decided_by = state, principal.name
            kinds = sorted({one["kind"] for one in chunk.findings})
            await record(session, principal, ACTIONS[state], chunk_id, document=version.document_id, kinds=kinds)
