"""FAISS in this process: an exact flat index, and an HNSW graph once a collection is large enough to be worth one.

The graph (Malkov & Yashunin 2018) is approximate. So it is not trusted but measured: each time it is built, its recall@10
against the exact search is taken on a sample, its search width is raised until `MIN_RECALL` holds, and where that cannot be
had the index stays exact. benchmarks/search.py measures `GRAPH_FROM`; the numbers are in docs/retrieval.md.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DimensionMismatch, StoreError
from engine.protocols import Array
from engine.stores import filters, snapshot
from engine.stores.checks import checked_query, checked_rows, known_rows
from engine.stores.lock import SharedLock
from engine.stores.ranking import SCORE_NOISE, ranked, shortlist
from engine.stores.rows import BoolArray, RowNumbers, Rows
from engine.types import Endpoint, Entry, Filter, Match

logger = logging.getLogger(__name__)

# The package types the C++ signatures, not the Python ones that it puts over them at import.
faiss: Any = importlib.import_module("faiss")

GRAPH_FROM = 50_000
MIN_RECALL = 0.99  # on the sample, so that 0.98 holds for other queries too
WIDTHS = (64, 128, 256, 512)
SAMPLE = 100
LINKS = 32
BUILD_WIDTH = 100
SLICE = 256  # rows added per exclusive hold: a search waits for one slice, not for a whole upload
MARGIN = 16
SELECTIVE = 0.1  # a filter that leaves less than this share is served by scoring exactly the rows it leaves


class FaissStore:
    """VectorStore over FAISS. Rows are appended and masked; dead rows go when a fifth of all rows are dead.

    A graph is built in a thread of its own; until it is ready, searches are exact.
    """

    def __init__(
        self, endpoint: Endpoint | None = None, *, dimension: int, space: str = "", graph_from: int = GRAPH_FROM
    ) -> None:
        self._dimension = dimension
        self._graph_from = graph_from
        self._index: Any = faiss.IndexFlatIP(dimension)
        self._width = 0  # search width of the graph; 0 = the index is flat
        self._refused_at = 0  # size at which the graph's recall was too low; not tried again below twice that
        self._rows = Rows()
        self._lock = SharedLock()
        self._writing = threading.Lock()
        self._building: threading.Thread | None = None

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore. Of entries with one id in the same call the last one counts."""
        matrix = checked_rows(entries, vectors, self._dimension)
        chosen = sorted({entry.id: i for i, entry in enumerate(entries)}.values())
        if not chosen:
            return
        with self._writing:
            first = len(self._rows.entries)
            _use_all_cores()
            for begin in range(0, len(chosen), SLICE):
                part = chosen[begin : begin + SLICE]
                with self._lock.exclusive():
                    self._index.add(matrix[part])
                    self._rows.append([entries[i] for i in part])
            with self._lock.exclusive():
                self._rows.revive(range(first, first + len(chosen)))
            self._tidy()

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        with self._writing:
            with self._lock.exclusive():
                self._rows.kill(ids)
            self._tidy()

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore. Above `GRAPH_FROM` rows the neighbours are approximate; their scores are exact."""
        query = checked_query(vector, self._dimension)
        filters.check(where)
        # One query gains nothing from a team of threads, and concurrent searches would fight over the cores.
        faiss.omp_set_num_threads(1)
        with self._lock.shared():
            mask = self._rows.mask(where)
            wanted = min(k, int(mask.sum()))
            if wanted < 1:
                return []
            found = self._nearest(query, wanted, mask)
            ids = [self._rows.entries[row].id for row in found]
            return ranked(ids, self._flat.reconstruct_batch(found), query, k)

    def count(self) -> int:
        """See VectorStore."""
        return len(self._rows.position)

    def ids(self) -> list[str]:
        """See VectorStore."""
        return sorted(self._rows.position)

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        with self._lock.shared():
            rows = known_rows(self._rows.position, ids)
            vectors: Array = self._flat.reconstruct_batch(np.asarray(rows, dtype=np.int64))
            return vectors

    def drop(self) -> None:
        """See VectorStore."""
        self.delete(self.ids())

    def close(self) -> None:
        """See VectorStore."""

    def save(self, path: Path) -> None:
        """See VectorStore. Needs memory for one more copy of the index. Raises StoreError."""
        with self._writing:
            content = faiss.serialize_index(self._index).tobytes()
            rows = self._rows.to_json()
        snapshot.write(path, {"index.faiss": content, "rows.json": rows})

    def load(self, path: Path) -> None:
        """See VectorStore. Raises StoreError, DimensionMismatch."""
        files = snapshot.read(path)
        if set(files) != {"index.faiss", "rows.json"}:
            raise StoreError("the snapshot was written by another kind of store", hint="build the index again")
        rows = Rows.from_json(files["rows.json"])
        index = faiss.deserialize_index(np.frombuffer(files["index.faiss"], dtype=np.uint8))
        if index.d != self._dimension:
            raise DimensionMismatch(
                f"the snapshot holds vectors of dimension {index.d}, not {self._dimension}", hint="build the index again"
            )
        with self._writing:
            with self._lock.exclusive():
                self._index, self._rows = index, rows
                self._width = index.hnsw.efSearch if isinstance(index, faiss.IndexHNSW) else 0
            self._tidy()

    # --- searching; the caller holds the lock ---

    @property
    def _flat(self) -> Any:
        return faiss.downcast_index(self._index.storage) if self._width else self._index

    def _nearest(self, query: Array, k: int, mask: BoolArray) -> RowNumbers:
        total = int(mask.sum())
        if total < len(mask) * SELECTIVE or total <= 2 * k:
            rows = np.flatnonzero(mask)
            best: RowNumbers = rows[shortlist(self._flat.reconstruct_batch(rows) @ query, k)]
            return best
        chosen = None if total == len(mask) else faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        if self._width:
            # The walk passes over rows that the filter hides, so it must look at more of them to keep its recall.
            width = int(max(self._width, 2 * (k + MARGIN)) * len(mask) / total)
            options = faiss.SearchParametersHNSW(sel=chosen, efSearch=width)
            near: RowNumbers = self._index.search(query[None], k + MARGIN, params=options)[1][0]
            if int((near >= 0).sum()) >= k:
                return near[near >= 0]
        return self._exact(query, k, chosen, total)

    def _exact(self, query: Array, k: int, chosen: Any, total: int) -> RowNumbers:
        fetch = min(total, k + MARGIN)
        while True:
            scores, rows = self._flat.search(query[None], fetch, params=faiss.SearchParameters(sel=chosen))
            found: RowNumbers = rows[0]
            # A tie that runs past the last row fetched could hide a smaller id: fetch on.
            if fetch == total or scores[0][fetch - 1] < scores[0][k - 1] - SCORE_NOISE:
                return found
            fetch = min(total, 2 * fetch)

    # --- upkeep; the caller holds `_writing`, so only searches run meanwhile ---

    def _tidy(self) -> None:
        live = len(self._rows.position)
        if self._rows.dead > max(1000, live // 4):
            self._compact()
        if not self._width and self._building is None and live >= max(self._graph_from, 2 * self._refused_at):
            # Building takes minutes for large collections. Changes and exact searches go on, so the rows are copied first.
            rows = self._index.reconstruct_n(0, self._index.ntotal)
            self._building = threading.Thread(target=self._promote, args=(rows, self._rows), daemon=True)
            self._building.start()

    def _compact(self) -> None:
        live = len(self._rows.position)
        kept = np.fromiter(self._rows.position.values(), dtype=np.int64, count=live)
        rows = Rows()
        rows.append([self._rows.entries[row] for row in kept])
        rows.revive(range(live))
        flat = faiss.IndexFlatIP(self._dimension)
        if live:
            flat.add(self._flat.reconstruct_batch(kept))
        with self._lock.exclusive():
            self._index, self._width, self._rows = flat, 0, rows

    def _promote(self, vectors: Array, rows: Rows) -> None:
        """Put a graph in the place of the flat index. `vectors` are its rows when `rows` were numbered so far."""
        graph, width = _built(vectors)
        with self._writing:
            self._building = None
            if not width:
                self._refused_at = len(vectors)
            elif self._rows is rows:  # else they were numbered anew meanwhile: the next change starts over
                missed = self._index.ntotal - len(vectors)
                if missed:
                    graph.add(self._index.reconstruct_n(len(vectors), missed))
                with self._lock.exclusive():
                    self._index, self._width = graph, width


def _built(vectors: Array) -> tuple[Any, int]:
    """Return a graph of these rows and the search width that makes it good enough; width 0: none does."""
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    graph = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = BUILD_WIDTH
    _use_all_cores()
    graph.add(vectors)
    for width in WIDTHS:
        graph.hnsw.efSearch = width
        recall = _recall(graph, flat, vectors)
        if recall >= MIN_RECALL:
            logger.info("vector graph over %d rows: search width %d, recall@10 %.3f", len(vectors), width, recall)
            return graph, width
    logger.warning("vector graph over %d rows reaches recall@10 %.3f only: searching exactly", len(vectors), recall)
    return graph, 0


def _recall(graph: Any, flat: Any, vectors: Array) -> float:
    """Return recall@10 of `graph` against `flat` for queries as near to a row as questions are to passages (cosine 0.6)."""
    random = np.random.default_rng(0)
    base = vectors[random.integers(0, len(vectors), SAMPLE)]
    noise = random.standard_normal(base.shape).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    queries = 0.6 * base + 0.8 * noise
    _, expected = flat.search(queries, 10)
    _, found = graph.search(queries, 10)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(expected.tolist(), found.tolist(), strict=True)]))


def _use_all_cores() -> None:
    faiss.omp_set_num_threads(os.cpu_count() or 1)
