"""The indexes of one collection, compared with SQL and mended."""

from __future__ import annotations

import asyncio

from engine.database.database import Database
from engine.database.models import Collection
from engine.database.provider_models import SpaceRow
from engine.errors import EngineError
from engine.keeping_views import Difference
from engine.services.comparing import Found, Truth, compared_vectors, compared_words, truth
from engine.services.index_files import IndexFiles
from engine.services.indexes import Indexes
from engine.services.parts import Parts
from engine.services.spaces import Spaces


class IndexComparison:
    """Local indexes with their files, and stores that keep their vectors themselves."""

    def __init__(self, *, database: Database, indexes: Indexes, files: IndexFiles, spaces: Spaces, parts: Parts) -> None:
        self._database = database
        self._indexes = indexes
        self._files = files
        self._spaces = spaces
        self._parts = parts

    async def differences(self, row: Collection, *, check: bool, deep: bool) -> list[Difference]:
        """Return what differs; unless `check` it is mended. Raises nothing for a store that is away: that is a difference."""
        found = await self._local(row, check=check, deep=deep)
        if row.space:
            found += await self._remote(row, check=check, deep=deep)
        return found

    async def _local(self, row: Collection, *, check: bool, deep: bool) -> list[Difference]:
        """Compare what lives in this process, and its files."""
        place = "words" if row.space else "vectors"
        try:
            damaged = await self._files.damaged(row.id)
            before, known = await self._held(row, deep=deep)
            if not damaged and not any(before.values()):
                return []
            mended = False
            if not check:
                owner = await self._indexes.rebuild(row)
                after, _ = await self._held(row, deep=deep)
                mended = (owner or not damaged) and not any(after.values())
        except EngineError as error:
            return [_unreachable(row, place, error)]
        told = [_difference(row, name, known, found, mended) for name, found in before.items() if found]
        if damaged:
            detail = "the saved index is not the one that the database knows; it is never opened, and built again from SQL"
            held = len(known.versions)
            told.append(difference(row, place, expected=held, found=0, missing=held, mended=mended, detail=detail))
        return told

    async def _held(self, row: Collection, *, deep: bool) -> tuple[dict[str, Found], Truth]:
        index = await self._indexes.held(row)
        seq, words = index.seq, index.words
        there = await asyncio.to_thread(index.vectors.ids) if index.vectors else []
        async with self._database.read() as session:
            known = await truth(session, row, since=seq)
        found = {"words": await compared_words(known, words)}
        if index.vectors is not None:
            found["vectors"] = await compared_vectors(self._database, row, known, index.vectors, there, deep=deep)
        return found, known

    async def _remote(self, row: Collection, *, check: bool, deep: bool) -> list[Difference]:
        """Compare a store that keeps its vectors itself."""
        try:
            found, known = await self._stored(row, deep=deep)
            if not found:
                return []
            mended = False
            if not check:
                versions = {known.versions[one] for one in found.missing | found.altered}
                await self._spaces.mend(row, orphans=found.orphans, versions=versions)
                mended = not (await self._stored(row, deep=deep))[0]
        except EngineError as error:
            return [_unreachable(row, "vectors", error)]
        return [_difference(row, "vectors", known, found, mended)]

    async def _stored(self, row: Collection, *, deep: bool) -> tuple[Found, Truth]:
        async with self._database.read() as session:
            space = await session.get(SpaceRow, row.space)
        store = await self._parts.store(row.store, dimension=row.dimension, space=row.space)
        try:
            there = await asyncio.to_thread(store.ids)
            async with self._database.read() as session:
                known = await truth(session, row, since=space.seq if space else 0)
            return await compared_vectors(self._database, row, known, store, there, deep=deep), known
        finally:
            await asyncio.to_thread(store.close)


def _difference(row: Collection, place: str, known: Truth, found: Found, mended: bool) -> Difference:
    detail = f"{len(found.altered)} vectors have another value than in SQL" if found.altered else ""
    missing = len(found.missing) + len(found.altered)
    return difference(row, place, expected=len(known.versions), found=found.count, missing=missing, orphans=len(found.orphans),
                 mended=mended, detail=detail)  # fmt: skip


def _unreachable(row: Collection, place: str, error: EngineError) -> Difference:
    return difference(row, place, detail=f"could not be compared: {error}. {error.hint}")


def difference(
    row: Collection | None,
    place: str,
    *,
    expected: int = 0,
    found: int = 0,
    missing: int = 0,
    orphans: int = 0,
    mended: bool = False,
    detail: str = "",
) -> Difference:
    """Return one line of the report; without a collection it is about none."""
    return Difference(
        collection_id=row.id if row else "",
        collection=row.name if row else "",
        place=place,
        expected=expected,
        found=found,
        missing=missing,
        orphans=orphans,
        mended=mended,
        detail=detail,
    )
