"""A document as its principal may reach it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import collections, documents
from engine.database.models import DocumentRow
from engine.errors import NotFound
from engine.types import Principal, Right


async def visible(
    session: AsyncSession, principal: Principal, document_id: str, right: Right = Right.READ, *, lock: bool = False
) -> DocumentRow:
    """Return a document; `lock` as in `documents.get`. Raises NotFound, AccessDenied."""
    row = await documents.get(session, document_id)
    try:
        await collections.require(session, principal, row.collection_id, right)
    except NotFound as error:
        raise NotFound("there is no such document, or it is not yours to see") from error
    return await documents.get(session, document_id, lock=True) if lock else row
