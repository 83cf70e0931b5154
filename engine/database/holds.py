"""Legal holds: what is held is removed by nobody and no rule. Asked inside the transaction that would remove it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.chat_models import Conversation
from engine.database.ingestion_models import LegalHoldRow
from engine.database.models import Counter, DocumentRow
from engine.errors import InputError

KINDS = ("collection", "document", "user")
LOCK = "holds"
"""The row of `counters` that stands for all holds: see `fence`."""


async def fence(session: AsyncSession, *, setting: bool = False) -> None:
    """Wait until nobody sets a hold, and keep it so until the transaction ends; with `setting`, until nobody removes anything.

    For every transaction that removes, before it asks what is held: else a hold that is being set just now would be seen by
    nobody, and what it is for be gone after it was set.
    """
    await session.execute(select(Counter.value).where(Counter.name == LOCK).with_for_update(read=not setting))


def document_held() -> ColumnElement[bool]:
    """Return the SQL condition of a `DocumentRow` that is held itself, or whose collection is."""
    itself = (LegalHoldRow.kind == "document") & (LegalHoldRow.object_id == DocumentRow.id)
    inside = (LegalHoldRow.kind == "collection") & (LegalHoldRow.object_id == DocumentRow.collection_id)
    return select(LegalHoldRow.id).where(LegalHoldRow.released_at.is_(None), or_(itself, inside)).exists()


def conversation_held() -> ColumnElement[bool]:
    """Return the SQL condition of a `Conversation` whose user is held."""
    theirs = (LegalHoldRow.kind == "user") & (LegalHoldRow.object_id == Conversation.user_id)
    return select(LegalHoldRow.id).where(LegalHoldRow.released_at.is_(None), theirs).exists()


async def refuse(session: AsyncSession, what: str, *objects: tuple[str, str]) -> None:
    """Raise InputError when one of these (kind, id) is held: `what` may not be removed."""
    await fence(session)
    for kind, object_id in objects:
        there = (LegalHoldRow.kind == kind) & (LegalHoldRow.object_id == object_id) & LegalHoldRow.released_at.is_(None)
        if await session.scalar(select(LegalHoldRow.id).where(there).limit(1)) is not None:
            raise InputError(
                f"{what} is under a legal hold, so nothing was removed", hint="An admin can release the hold under Upkeep."
            )


async def refuse_document(session: AsyncSession, document: DocumentRow) -> None:
    """Raise InputError when a document, or its collection, is held."""
    await refuse(session, repr(document.name), ("document", document.id), ("collection", document.collection_id))


async def refuse_collection(session: AsyncSession, collection_id: str, name: str) -> None:
    """Raise InputError when a collection, or a document in it, is held."""
    await refuse(session, repr(name), ("collection", collection_id))
    inside = select(DocumentRow.name).where(DocumentRow.collection_id == collection_id, document_held()).limit(1)
    if (held := await session.scalar(inside)) is not None:
        raise InputError(
            f"{held!r} in this collection is under a legal hold, so nothing was removed",
            hint="An admin can release the hold under Upkeep.",
        )


async def all_holds(session: AsyncSession) -> Sequence[LegalHoldRow]:
    """Return every hold, those in force first, newest first."""
    query = select(LegalHoldRow).order_by(LegalHoldRow.released_at.is_not(None), LegalHoldRow.set_at.desc())
    return list(await session.scalars(query))
