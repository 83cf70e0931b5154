"""The indexes of collections: projections that catch up from SQL before each search and never know more than it.

Per generation of a collection there is one vector index and one word index; those of the former one stay for a few minutes
after a switch, for the questions that began with it. The words, and the vectors of a store that lives in this process, are
loaded from the snapshot whose SHA-256 stands in SQL, brought up to date by the global sequence, and counted against SQL; a
difference means: rebuild from SQL, without any embedding.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy.ext.asyncio import AsyncSession

from engine import faults
from engine.chunking.wording import lexical_text
from engine.database import content, cuts, documents
from engine.database.database import Database
from engine.database.models import Collection, Snapshot
from engine.errors import StoreError
from engine.protocols import LexicalIndex, SnapshotStore, VectorStore
from engine.services.entries import batches, entry, gone_ids
from engine.services.spaces import Spaces
from engine.services.workspaces import Workspaces, locked
from engine.stores.snapshot import publish

logger = logging.getLogger(__name__)

SAVE_AFTER_CHUNKS = 2000
LINGER_SECONDS = 300.0  # a question that began with the former generation has ended by then


@dataclass(slots=True)
class Index:
    """The local indexes of one generation and how far they have come. `checked`: counted against SQL since they were opened.

    `store` names the store of `vectors`; "" and None where the store keeps the vectors itself.
    """

    store: str
    vectors: SnapshotStore | None
    words: LexicalIndex
    workspace: Path
    seq: int = 0
    unsaved: int = 0
    checked: bool = False


@dataclass(slots=True)
class Slot:
    """Where the index of a generation hangs; a rebuilt one takes the place of the old in one step."""

    collection_id: str
    index: Index | None = None
    used: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Indexes:
    """All indexes of this process. One process owns the folder and saves snapshots; others work on copies."""

    def __init__(
        self,
        database: Database,
        *,
        folder: Path,
        make_vectors: Callable[[str, int], SnapshotStore],
        make_words: Callable[[Path], LexicalIndex],
        fingerprint: Callable[[Path], str],
        spaces: Spaces,
    ) -> None:
        self._database = database
        self._folder = folder
        self._make_vectors = make_vectors
        self._make_words = make_words
        self._fingerprint = fingerprint
        self._spaces = spaces
        self._slots: dict[str, Slot] = {}
        self._workspaces = Workspaces(folder / "work")
        self._lock_file: IO[str] | None = None

    async def current(self, collection: Collection) -> tuple[VectorStore, LexicalIndex]:
        """Return the indexes of a collection, up to date with SQL. Raises StoreError."""
        words = await self.words(collection)
        if collection.space:
            return await self._spaces.current(collection), words
        index = self._slots[collection.generation].index
        if index is None or index.vectors is None:
            raise StoreError("the collection was moved to another store just now", hint="Ask again.")
        return index.vectors, words

    async def words(self, collection: Collection) -> LexicalIndex:
        """Return the word index of a collection, up to date with SQL. Raises StoreError."""
        slot = self._slots.setdefault(collection.generation, Slot(collection.id))
        slot.used = time.monotonic()
        if len(self._slots) > 1:
            self._let_go(collection)
        async with slot.lock:
            if slot.index is not None and slot.index.store != _local_store(collection):
                self._workspaces.remove(slot.index.workspace)
                slot.index = None
            if slot.index is None:
                slot.index = await self._load(collection)
            slot.index = await self._caught_up(collection, slot.index)
            return slot.index.words

    async def held(self, collection: Collection) -> Index:
        """Return what this process holds of a collection, up to date with SQL, for comparing. Raises StoreError."""
        await self.words(collection)
        index = self._slots[collection.generation].index
        if index is None:
            raise StoreError("the collection was deleted just now")
        return index

    async def rebuild(self, collection: Collection) -> bool:
        """Build the indexes of a collection anew from SQL; False when another process owns the files. Raises StoreError."""
        slot = self._slots.setdefault(collection.generation, Slot(collection.id))
        async with slot.lock:
            slot.index = await self._rebuilt(collection, slot.index or self._empty(collection))
            slot.index.checked = True
            if self._owns():
                await self._save(collection.id, collection.generation, slot.index)
        return self._owns()

    async def drop(self, collection_id: str) -> None:
        """Forget the indexes of a deleted collection and remove their files."""
        for generation, slot in list(self._slots.items()):
            if slot.collection_id == collection_id:
                self._forget(generation)
        if self._owns():
            await asyncio.to_thread(shutil.rmtree, self._folder / collection_id, ignore_errors=True)

    async def close(self) -> None:
        """Save what changed and release files and locks."""
        for generation, slot in self._slots.items():
            async with slot.lock:
                if slot.index is not None and slot.index.unsaved and self._owns():
                    await self._save(slot.collection_id, generation, slot.index)
                if slot.index is not None:
                    slot.index.words.close()
        self._slots.clear()
        self._workspaces.close()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _let_go(self, collection: Collection) -> None:
        """Forget the other generations of a collection that no question has asked for in a while."""
        before = time.monotonic() - LINGER_SECONDS
        for generation, slot in list(self._slots.items()):
            if slot.collection_id == collection.id and slot.used < before and not slot.lock.locked():
                self._forget(generation)

    def _forget(self, generation: str) -> None:
        slot = self._slots.pop(generation)
        if slot.index is not None:
            self._workspaces.remove(slot.index.workspace)

    # --- loading and catching up -------------------------------------------------------------------------------------

    async def _load(self, collection: Collection) -> Index:
        async with self._database.read() as session:
            saved = await session.get(Snapshot, collection.id)
        if saved is not None and saved.generation == collection.generation:
            try:
                return await asyncio.to_thread(self._restore, collection, saved)
            except (StoreError, OSError) as error:
                logger.warning("the indexes of collection %s are rebuilt from SQL: %s", collection.id, error)
        return self._empty(collection)

    def _empty(self, collection: Collection) -> Index:
        workspace = self._workspaces.new()
        return Index(
            store=_local_store(collection),
            vectors=self._new_vectors(collection),
            words=self._make_words(workspace),
            workspace=workspace,
        )

    def _new_vectors(self, collection: Collection) -> SnapshotStore | None:
        return None if collection.space else self._make_vectors(collection.store, collection.dimension)

    def _restore(self, collection: Collection, saved: Snapshot) -> Index:
        path = self._folder / collection.id / saved.folder
        if self._fingerprint(path) != saved.sha256:
            raise StoreError("the snapshot is not the one that SQL knows")
        vectors = self._new_vectors(collection)
        if vectors is not None:
            vectors.load(path / "vectors")
        # The word index changes its files in place, so it works on a copy and the snapshot stays what SQL knows.
        workspace = self._workspaces.new()
        shutil.copytree(path / "words", workspace, dirs_exist_ok=True)
        words = self._make_words(workspace)
        return Index(store=_local_store(collection), vectors=vectors, words=words, workspace=workspace, seq=saved.seq)

    async def _caught_up(self, collection: Collection, index: Index) -> Index:
        """Return an index that holds what SQL holds: this one brought up to date, or a new one where the counts differ."""
        async with self._database.read() as session:
            changes = await cuts.changed_since(session, collection, index.seq)
            if not changes and index.checked:
                return index
            await self._apply(session, collection, index, changes)
            expected = await cuts.live_chunks(session, collection)
        if index.words.count() != expected or (index.vectors is not None and index.vectors.count() != expected):
            index = await self._rebuilt(collection, index)
        index.checked = True
        if index.unsaved >= max(SAVE_AFTER_CHUNKS, index.words.count() // 10) and self._owns():
            await self._save(collection.id, collection.generation, index)
        return index

    async def _apply(self, session: AsyncSession, collection: Collection, index: Index, changes: Sequence[cuts.Change]) -> None:
        gone = gone_ids(collection, changes)
        if gone:
            if index.vectors is not None:
                await asyncio.to_thread(index.vectors.delete, gone)
            await asyncio.to_thread(index.words.delete, gone)
        # Many small versions go in together: each change of the word index is a commit.
        for batch in batches(changes):
            rows = [row for version in batch for row in await content.chunks(session, version, collection.generation)]
            keys = [key for _, key in rows]
            entries = [entry(chunk) for chunk, _ in rows]
            if index.vectors is not None:
                vectors = await content.vectors(session, collection.model_id, keys, dimension=collection.dimension)
                await asyncio.to_thread(index.vectors.upsert, entries, vectors)
            await asyncio.to_thread(index.words.upsert, entries, [lexical_text(chunk) for chunk, _ in rows])
        # Last, so that an interruption repeats the work instead of believing in it.
        index.seq = max([index.seq, *(documents.last_change(one.version) for one in changes)])
        index.unsaved += sum(one.chunks for one in changes)

    async def _rebuilt(self, collection: Collection, old: Index) -> Index:
        # Counts differ: the snapshot knew something that SQL does not (a restored backup, for instance). The old index
        # goes on serving searches that have it in hand; it is taken away only when the new one is complete.
        logger.warning("the indexes of collection %s do not match SQL and are rebuilt", collection.id)
        fresh = self._empty(collection)
        async with self._database.read() as session:
            await self._apply(session, collection, fresh, await cuts.changed_since(session, collection, 0))
        self._workspaces.remove(old.workspace)
        return fresh

    # --- saving ------------------------------------------------------------------------------------------------------

    async def _save(self, collection_id: str, generation: str, index: Index) -> None:
        folder = f"{index.seq}-{uuid.uuid4().hex[:8]}"
        path = self._folder / collection_id / folder
        try:
            sha256 = await asyncio.to_thread(self._write, path, index)
            async with self._database.write() as session:
                row = await session.get(Collection, collection_id)
                wanted = row is not None and row.generation == generation
                if wanted:
                    own = {"collection_id": collection_id, "generation": generation}
                    await session.merge(Snapshot(**own, folder=folder, seq=index.seq, sha256=sha256))
        except (OSError, StoreError) as error:  # a snapshot only saves time at the next start
            logger.warning("the indexes of collection %s could not be saved: %s", collection_id, error)
            for one in (path, path.with_name(f".new-{folder}")):
                await asyncio.to_thread(shutil.rmtree, one, ignore_errors=True)
            return
        if not wanted:  # another process deleted the collection, or this is not the generation that answers
            await asyncio.to_thread(shutil.rmtree, path if row else path.parent, ignore_errors=True)
            return
        index.unsaved = 0
        for old in path.parent.iterdir():
            if old.name != folder:
                await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)

    def _write(self, path: Path, index: Index) -> str:
        new = path.with_name(f".new-{path.name}")
        new.mkdir(parents=True)
        if index.vectors is not None:
            index.vectors.save(new / "vectors")
        index.words.save(new / "words")
        sha256 = self._fingerprint(new)
        publish(new, path)
        faults.point("snapshot.renamed")
        return sha256

    def _owns(self) -> bool:
        if self._lock_file is None:
            self._lock_file = locked(self._folder / "owner.lock")
        return self._lock_file is not None


def _local_store(collection: Collection) -> str:
    return "" if collection.space else collection.store
