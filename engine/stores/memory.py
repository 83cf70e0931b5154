"""Exact search in plain numpy: the oracle that other stores are compared with, and enough for small collections."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import StoreError
from engine.protocols import Array
from engine.stores import filters, snapshot
from engine.stores.checks import checked_query, checked_rows, known_rows
from engine.stores.ranking import ranked, shortlist
from engine.types import Endpoint, Entry, Filter, Match


@dataclass(frozen=True, slots=True)
class _Content:
    entries: tuple[Entry, ...]
    vectors: Array


class MemoryStore:
    """VectorStore that copies on every change: a search works on the content it began with, without a lock."""

    def __init__(self, endpoint: Endpoint | None = None, *, dimension: int, space: str = "") -> None:
        self._dimension = dimension
        self._content = _Content((), np.empty((0, dimension), dtype=np.float32))
        self._writing = threading.Lock()

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore. Of entries with one id in the same call the last one counts."""
        matrix = checked_rows(entries, vectors, self._dimension)
        last = {entry.id: i for i, entry in enumerate(entries)}
        added = sorted(last.values())
        with self._writing:
            rest = self._without(set(last))
            self._content = _Content(
                rest.entries + tuple(Entry(id=entries[i].id, metadata=dict(entries[i].metadata)) for i in added),
                np.concatenate([rest.vectors, matrix[added]]) if added else rest.vectors,
            )

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        with self._writing:
            self._content = self._without(set(ids))

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore: a full scan."""
        query = checked_query(vector, self._dimension)
        filters.check(where)
        content = self._content
        rows = [i for i, one in enumerate(content.entries) if not where or filters.matches(one.id, one.metadata, where)]
        if not rows or k < 1:
            return []
        vectors = content.vectors[rows] if len(rows) < len(content.entries) else content.vectors
        best = shortlist(vectors @ query, k)
        return ranked([content.entries[rows[i]].id for i in best], vectors[best], query, k)

    def count(self) -> int:
        """See VectorStore."""
        return len(self._content.entries)

    def ids(self) -> list[str]:
        """See VectorStore."""
        return sorted(entry.id for entry in self._content.entries)

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        content = self._content
        position = {entry.id: i for i, entry in enumerate(content.entries)}
        return content.vectors[known_rows(position, ids)]

    def drop(self) -> None:
        """See VectorStore."""
        with self._writing:
            self._content = _Content((), np.empty((0, self._dimension), dtype=np.float32))

    def close(self) -> None:
        """See VectorStore."""

    def save(self, path: Path) -> None:
        """See VectorStore. Raises StoreError."""
        content = self._content
        buffer = io.BytesIO()
        np.save(buffer, content.vectors, allow_pickle=False)
        rows = [[entry.id, dict(entry.metadata)] for entry in content.entries]
        snapshot.write(path, {"vectors.npy": buffer.getvalue(), "rows.json": json.dumps(rows).encode()})

    def load(self, path: Path) -> None:
        """See VectorStore. Raises StoreError, DimensionMismatch."""
        files = snapshot.read(path)
        if set(files) != {"vectors.npy", "rows.json"}:
            raise StoreError("the snapshot was written by another kind of store", hint="build the index again")
        entries = tuple(Entry(id=one, metadata=metadata) for one, metadata in json.loads(files["rows.json"]))
        vectors = checked_rows(entries, np.load(io.BytesIO(files["vectors.npy"]), allow_pickle=False), self._dimension)
        with self._writing:
            self._content = _Content(entries, vectors)

    def _without(self, ids: set[str]) -> _Content:
        content = self._content
        keep = [i for i, entry in enumerate(content.entries) if entry.id not in ids]
        if len(keep) == len(content.entries):
            return content
        return _Content(tuple(content.entries[i] for i in keep), content.vectors[keep])
