"""Collections and grants. What a principal may do with a collection is decided here, in one query."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.access_models import GroupGrant, Member
from engine.database.models import Collection, DocumentRow, Grant, Version, VersionState
from engine.database.present import present
from engine.errors import AccessDenied, InputError, NotFound
from engine.types import Principal, Right, Role
from engine.views import CollectionInfo

_ORDER = (Right.READ, Right.WRITE, Right.OWNER)
WORKING = (VersionState.STORED, VersionState.PARSED, VersionState.CHUNKED, VersionState.EMBEDDED)


async def rights(session: AsyncSession, principal: Principal) -> dict[str, Right]:
    """Return collection id -> right, for every collection that the principal may at least read."""
    if principal.role is Role.ADMIN:
        return dict.fromkeys(await session.scalars(select(Collection.id)), Right.OWNER)
    own = select(Grant.collection_id, Grant.right).where(Grant.user_id == principal.user_id)
    shared = (
        select(GroupGrant.collection_id, GroupGrant.right)
        .join(Member, Member.group_id == GroupGrant.group_id)
        .where(Member.user_id == principal.user_id)
    )
    held: dict[str, Right] = {}
    for collection_id, right in [*await session.execute(own), *await session.execute(shared)]:
        held[collection_id] = max(held.get(collection_id, Right.READ), Right(right), key=_ORDER.index)
    return held


async def require(session: AsyncSession, principal: Principal, collection_id: str, right: Right) -> Collection:
    """Return the collection. Raises NotFound when the principal may not read it, AccessDenied when they may not do this."""
    held = (await rights(session, principal)).get(collection_id)
    row = await session.get(Collection, collection_id) if held else None
    if held is None or row is None:
        raise NotFound("there is no such collection, or it is not yours to see", hint="Choose one from the list.")
    refuse_change(principal, right)
    if _ORDER.index(held) < _ORDER.index(right):
        raise AccessDenied(f"you may {held.value} the collection {row.name!r}, but this needs the right to {right.value}")
    return row


async def lock(session: AsyncSession, *collection_ids: str) -> list[Collection]:
    """Wait until nobody else adds to these collections, keep it so until the transaction ends, and return them in that order.

    Raises NotFound when one was deleted meanwhile.
    """
    # Not FOR UPDATE where there is something weaker: rows that refer to a collection must not wait for it.
    query = select(Collection).where(Collection.id.in_(collection_ids)).order_by(Collection.id).with_for_update(key_share=True)
    # As they are now: what this session knew of them may have been changed by whoever had the lock.
    rows = {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}
    if any(collection_id not in rows for collection_id in collection_ids):
        raise NotFound("the collection was deleted meanwhile", hint="Choose another one.")
    return [rows[collection_id] for collection_id in collection_ids]


def refuse_change(principal: Principal, right: Right = Right.WRITE) -> None:
    """Raise AccessDenied when `right` is more than reading and the principal only looks, or has a key that may not write."""
    if right is Right.READ:
        return
    if principal.preview:
        raise AccessDenied("a preview of what somebody may see changes nothing", hint="End the preview first.")
    if principal.scopes is not None and "write" not in principal.scopes:
        raise AccessDenied("this key may not change anything", hint="Make a key with the scope “write”.")


def known_right(right: Right | str | None) -> Right | None:
    """Return the right, None for none. Raises InputError: an unknown one in a row would break every read of who has it."""
    if right is not None and right not in list(Right):
        raise InputError(f"unknown right {right!r}", hint=f"known rights: {', '.join(Right)}")
    return None if right is None else Right(right)


async def readable(session: AsyncSession, principal: Principal, wanted: Sequence[str]) -> list[Collection]:
    """Return the collections among `wanted` that the principal may read, in that order. Raises NotFound for any other."""
    held = await rights(session, principal)
    if any(collection_id not in held for collection_id in wanted):
        raise NotFound(
            "one of the chosen collections does not exist, or is not yours to see", hint="Choose from the list again."
        )
    rows = {row.id: row for row in await session.scalars(select(Collection).where(Collection.id.in_(wanted)))}
    return [rows[collection_id] for collection_id in dict.fromkeys(wanted)]


async def by_name(session: AsyncSession, principal: Principal, name: str) -> Collection | None:
    """Return the collection with this name if the principal may read it."""
    row = await session.scalar(select(Collection).where(Collection.name == name))
    return row if row is not None and row.id in await rights(session, principal) else None


async def name_taken(session: AsyncSession, name: str) -> bool:
    """Whether any collection, visible or not, has this name."""
    return await session.scalar(select(Collection.id).where(Collection.name == name)) is not None


async def infos(session: AsyncSession, principal: Principal) -> list[CollectionInfo]:
    """Return the collections that the principal may read, by name, with their counters."""
    held = await rights(session, principal)
    newest = present(list(held))
    counters = (
        select(
            Version.collection_id,
            func.count().label("documents"),
            func.sum(case((Version.state == VersionState.LIVE, Version.chunks), else_=0)).label("chunks"),
            func.sum(case((Version.state == VersionState.FAILED, 1), else_=0)).label("failed"),
            func.sum(case((Version.state.in_(WORKING), 1), else_=0)).label("working"),
        )
        .join(newest, (newest.c.document_id == Version.document_id) & (newest.c.n == Version.number))
        .join(DocumentRow, DocumentRow.id == Version.document_id)
        .where(DocumentRow.deleted_at.is_(None))
        .group_by(Version.collection_id)
        .subquery()
    )
    rows = await session.execute(
        select(Collection, counters)
        .outerjoin(counters, counters.c.collection_id == Collection.id)
        .where(Collection.id.in_(held))
        .order_by(func.lower(Collection.name))
    )
    return [
        CollectionInfo(
            id=row.id,
            name=row.name,
            description=row.description,
            right=held[row.id],
            chunker=row.chunker,
            embedder=row.model_id,
            documents=documents or 0,
            chunks=chunks or 0,
            failed=failed or 0,
            working=working or 0,
            created_at=row.created_at,
        )
        for row, _, documents, chunks, failed, working in rows
    ]
