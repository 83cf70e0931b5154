"""The versions of one document: a list of them, which can be taken up again, and the removal of those that were replaced."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.database import content, cuts, holds
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.database.removal import remove_content
from engine.errors import NotFound
from engine.ingestion_views import VersionInfo

_PUT_ASIDE = (VersionState.REPLACED, VersionState.FAILED)


async def all_versions(session: AsyncSession, document_id: str) -> list[Version]:
    """Return the versions of a document, newest first."""
    query = select(Version).where(Version.document_id == document_id).order_by(Version.number.desc())
    return list(await session.scalars(query))


async def numbered(session: AsyncSession, document_id: str, number: int) -> Version:
    """Return one version. Raises NotFound."""
    row = await session.scalar(select(Version).where(Version.document_id == document_id, Version.number == number))
    if row is None:
        raise NotFound(f"there is no version {number} of this document", hint="Choose one from the list of its versions.")
    return row


def info(row: Version) -> VersionInfo:
    """Return a version as shown."""
    gone = row.state == VersionState.DELETED
    return VersionInfo(
        number=row.number,
        state=row.state,
        active=row.state == VersionState.LIVE,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        pages=row.pages,
        chunks=row.chunks,
        reason="its content was removed" if gone else row.reason,
        source=row.source,
        created_at=row.created_at,
        can_activate=row.state == VersionState.REPLACED,
    )


async def ready(session: AsyncSession, collection: Collection, version: Version) -> bool:
    """Whether the passages of a version are those of its collection's present generation, with all of their vectors."""
    if not await cuts.has(session, version.id, collection.generation):
        return False
    keys = [key for _, key in await content.chunks(session, version, collection.generation)]
    whole = bool(keys) and len(keys) == version.chunks
    return whole and not await content.missing_vectors(session, collection.model_id, keys)


async def remove_replaced(session: AsyncSession, document_id: str) -> list[str]:
    """Remove the content that uploads with "replace" wanted gone; return the keys of originals to remove after the commit.

    That is the content of versions below the highest one that `replaces` and is live, or older than the live one. What is
    being processed is left until it ends, and nothing is removed under a legal hold: `unreplaced` finds both later.
    """
    rows = await all_versions(session, document_id)
    live = max((row.number for row in rows if row.state == VersionState.LIVE), default=0)
    wishes = [row.number for row in rows if row.replaces and row.number <= live and row.state != VersionState.FAILED]
    former = [row for row in rows if row.number < max(wishes, default=0) and row.state in _PUT_ASIDE]
    held = select(DocumentRow.id).where(DocumentRow.id == document_id, holds.document_held())
    await holds.fence(session)
    if not former or await session.scalar(held) is not None:
        return []
    return await remove_content(session, former)


async def unreplaced(session: AsyncSession) -> Sequence[str]:
    """Return the ids of the documents in which a version that `replaces` has a former one with content, unless held."""
    wish, former = aliased(Version), aliased(Version)
    query = (
        select(DocumentRow.id)
        .join(wish, wish.document_id == DocumentRow.id)
        .join(former, former.document_id == DocumentRow.id)
        .where(wish.replaces.is_(True), former.number < wish.number, former.state.in_(_PUT_ASIDE), ~holds.document_held())
    )
    return list(set(await session.scalars(query)))
