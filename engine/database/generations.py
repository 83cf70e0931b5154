"""Generations of collections as rows: leased to whoever builds one, switched in one transaction, removed piece by piece."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import content, cuts, quarantine
from engine.database.columns import now
from engine.database.database import changed, next_sequence
from engine.database.ingestion_models import Cut, Generation
from engine.database.models import ChunkRow, Collection, Version, VersionState
from engine.database.provider_models import SpaceRow
from engine.keeping_views import GenerationState

LEASE = timedelta(seconds=60)
PARAMETERS = (
    "chunker",
    "chunk_tokens",
    "overlap_tokens",
    "embedder",
    "embedding_model",
    "model_id",
    "dimension",
    "probe",
    "normalised",
    "max_tokens",
    "store",
    "space",
)
"""The columns that a collection and its generations share."""
OPEN = (GenerationState.BUILDING, GenerationState.READY)
VERSIONS = 50  # whose chunks are removed in one transaction


class GenerationLost(Exception):  # noqa: N818 - a signal, not an error that anybody reads
    """It was cancelled, or another process builds it now: stop, and write nothing."""


def shadow(row: Generation, name: str = "") -> Collection:
    """Return a collection as it would be with this generation in force; it belongs to no session."""
    own = {column: getattr(row, column) for column in PARAMETERS}
    return Collection(id=row.collection_id, name=name, generation=row.id, created_by="", **own)


async def lock(session: AsyncSession, collection_id: str) -> Collection:
    """Return the row of a collection, which nobody else changes until this transaction ends."""
    return await session.get_one(Collection, collection_id, with_for_update={"key_share": True}, populate_existing=True)


async def live(session: AsyncSession, collection: Collection) -> Generation:
    """Return the row of the generation that is in force, brought in line with the collection; made if there is none yet."""
    row = await session.get(Generation, collection.generation)
    if row is None:
        row = Generation(
            id=collection.generation,
            collection_id=collection.id,
            number=await next_number(session, collection.id),
            started_at=collection.created_at,
            report={},
        )
        session.add(row)
    row.state = GenerationState.LIVE
    for column in PARAMETERS:
        setattr(row, column, getattr(collection, column))
    await session.flush()
    return row


async def next_number(session: AsyncSession, collection_id: str) -> int:
    """Return the number of the next generation of a collection, from 1 on."""
    return (await session.scalar(select(func.max(Generation.number)).where(Generation.collection_id == collection_id)) or 0) + 1


async def all_of(session: AsyncSession, collection_id: str, *states: GenerationState) -> list[Generation]:
    """Return the generations of a collection, newest first; in these states, or in any."""
    query = select(Generation).where(Generation.collection_id == collection_id).order_by(Generation.number.desc())
    return list(await session.scalars(query.where(Generation.state.in_(states)) if states else query))


async def unfinished(session: AsyncSession) -> list[str]:
    """Return the ids of those that are to be built and that nobody builds now."""
    free = or_(Generation.owner == "", Generation.lease_until < now())
    return list(await session.scalars(select(Generation.id).where(Generation.state == GenerationState.BUILDING, free)))


async def claim(session: AsyncSession, generation_id: str, owner: str) -> bool:
    """Take the lease of a generation that is to be built; False when somebody has it."""
    free = or_(Generation.owner == "", Generation.lease_until < now())
    which = (Generation.id == generation_id) & (Generation.state == GenerationState.BUILDING) & free
    return await changed(session, update(Generation).where(which).values(owner=owner, lease_until=now() + LEASE)) > 0


async def hold(session: AsyncSession, generation_id: str, owner: str, **values: object) -> None:
    """Prolong the lease and write these columns. Raises GenerationLost; the caller's transaction then changes nothing."""
    mine = (Generation.id == generation_id) & (Generation.owner == owner) & (Generation.state == GenerationState.BUILDING)
    if not await changed(session, update(Generation).where(mine).values(lease_until=now() + LEASE, **values)):
        raise GenerationLost(generation_id)


async def release(session: AsyncSession, owner: str) -> None:
    """Give up the lease of whoever stops."""
    await session.execute(update(Generation).where(Generation.owner == owner).values(owner="", lease_until=None))


async def progress(session: AsyncSession, target: Collection) -> tuple[int, int]:
    """Return how many versions a generation has, and how many it is to have."""
    wanted = (Version.collection_id == target.id) & (Version.state == VersionState.LIVE)
    total = await session.scalar(select(func.count()).select_from(Version).where(wanted)) or 0
    lacking = await session.scalar(select(func.count()).select_from(cuts.lacking(target).order_by(None).subquery())) or 0
    return total - lacking, total


async def switch(session: AsyncSession, row: Generation) -> str:
    """Put a generation in force and return the id of the former one; "", and nothing is changed, while a version is lacking.

    Questions that began with the former one end with it: its chunks stay, and so do its vectors.
    """
    collection = await lock(session, row.collection_id)
    target = shadow(row)
    if await session.scalar(cuts.lacking(target).limit(1)) is not None:
        return ""
    former = await live(session, collection)
    former.state, former.retired_at = GenerationState.FORMER, now()
    await carry_decisions(session, collection, row.id)
    row.state, row.switched_at, row.retired_at = GenerationState.LIVE, now(), None
    row.owner, row.lease_until, row.reason, row.hint = "", None, "", ""
    await retire(session, former.space, retired=True)
    await retire(session, row.space, retired=False)
    for column in PARAMETERS:
        setattr(collection, column, getattr(row, column))
    collection.generation = row.id
    # A former store holds vectors of the former generation: it is no place to go back to any more, and is swept in time.
    collection.previous_store = collection.previous_space = ""
    there = (Cut.version_id == Version.id) & (Cut.generation == row.id)
    count = select(Cut.chunks).where(there).scalar_subquery()
    has = select(Cut.version_id).where(there).exists()
    versions = update(Version).where(Version.collection_id == collection.id, has)
    # Not `updated_at`: nothing happened to the documents.
    await session.execute(
        versions.values(chunks=count, updated_at=Version.updated_at), execution_options={"synchronize_session": False}
    )
    await next_sequence(session)  # every process that looks at it opens the new indexes, so that no question waits for that
    await session.flush()
    return former.id


async def carry_decisions(session: AsyncSession, collection: Collection, after: str) -> None:
    """Repeat on a generation what people decided about passages of the one in force."""
    query = (
        select(ChunkRow.version_id)
        .join(Version, Version.id == ChunkRow.version_id)
        .where(
            Version.collection_id == collection.id,
            Version.state == VersionState.LIVE,
            ChunkRow.generation == collection.generation,
            ChunkRow.decided_by != "",
        )
    )
    for version_id in sorted(set(await session.scalars(query))):
        await quarantine.carry(session, [version_id], before=collection.generation, after=after)


async def retire(session: AsyncSession, space: str, *, retired: bool) -> bool:
    """Take a space out of use, or back into it; False when it is gone, or is being removed."""
    which = update(SpaceRow).where(SpaceRow.id == space)
    if not retired:
        which = which.where(or_(SpaceRow.owner == "", SpaceRow.lease_until < now(), SpaceRow.retired_at.is_(None)))
    return not space or await changed(session, which.values(retired_at=now() if retired else None)) > 0


async def removable(session: AsyncSession, *, before: object) -> list[Generation]:
    """Return those out of use whose content is still here: former ones retired before that moment, failed, cancelled ones."""
    ended = Generation.state.in_([GenerationState.FAILED, GenerationState.CANCELLED])
    old = (Generation.state == GenerationState.FORMER) & (Generation.retired_at < before)
    there = select(Cut.version_id).where(Cut.generation == Generation.id).exists()
    return list(await session.scalars(select(Generation).where(ended | old, there | (Generation.space != ""))))


async def remove_some(session: AsyncSession, row: Generation) -> bool:
    """Remove the chunks, and the vectors that only they needed, of some versions of a generation; False when none is left."""
    ids = list(await session.scalars(select(Cut.version_id).where(Cut.generation == row.id).limit(VERSIONS)))
    chunks = ChunkRow.version_id.in_(ids) & (ChunkRow.generation == row.id)
    keys = set(await session.scalars(select(ChunkRow.vector_sha256).where(chunks)))
    await session.execute(delete(ChunkRow).where(chunks))
    await content.sweep_vectors(session, keys)
    await content.sweep_model(session, row.model_id, keys)
    await session.execute(delete(Cut).where(Cut.version_id.in_(ids), Cut.generation == row.id))
    return bool(ids)
