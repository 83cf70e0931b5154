"""One action on many documents: each on its own, so that what fails stops nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from engine.database import collections
from engine.database.database import Database
from engine.database.models import DocumentRow
from engine.errors import EngineError, InputError
from engine.ingestion_views import BulkAction, BulkResult
from engine.types import Principal

MOST = 1000
BATCH = 500
Action = Callable[[Principal, str], Awaitable[Any]]


class Bulk:
    """`actions` are the methods that do each action to one document, and check what the principal may."""

    def __init__(self, *, database: Database, actions: Mapping[BulkAction, Action]) -> None:
        self._database = database
        self._actions = actions

    async def run(self, principal: Principal, action: BulkAction, document_ids: Sequence[str]) -> list[BulkResult]:
        """Do it to each document, in a transaction of its own, and return what became of each, in the given order.

        An id that is given twice counts once. Raises InputError for more than `MOST` documents or an unknown action, and
        then nothing was done; what goes wrong with one document is in its result.
        """
        ids = list(dict.fromkeys(document_ids))
        if len(ids) > MOST:
            raise InputError(f"at most {MOST:,} documents at once", hint="Choose fewer; nothing was done.")
        if action not in self._actions:
            raise InputError(f"unknown action {action!r}", hint=f"known: {', '.join(self._actions)}")
        act = self._actions[BulkAction(action)]
        collections.refuse_change(principal)
        names = await self._names(principal, ids)
        return [await self._one(principal, act, key, names.get(key, "")) for key in ids]

    async def _one(self, principal: Principal, act: Action, document_id: str, name: str) -> BulkResult:
        try:
            await act(principal, document_id)
        except EngineError as error:
            return BulkResult(document_id=document_id, document=name, problem=str(error), hint=error.hint)
        return BulkResult(document_id=document_id, document=name)

    async def _names(self, principal: Principal, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        async with self._database.read() as session:
            readable = list(await collections.rights(session, principal))
            for start in range(0, len(ids), BATCH):
                query = select(DocumentRow.id, DocumentRow.name).where(
                    DocumentRow.id.in_(ids[start : start + BATCH]), DocumentRow.collection_id.in_(readable)
                )
                found |= {key: name for key, name in await session.execute(query)}
        return found
