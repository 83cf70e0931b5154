"""Pinecone: one serverless index for all spaces of one dimension, one namespace per space."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from engine.errors import CollectionMissing, ConfigError, StoreError
from engine.protocols import Array
from engine.stores import filters
from engine.stores.checks import checked_query, checked_rows, known_rows
from engine.types import Condition, Endpoint, Entry, Filter, Match
from engine.vendors.pinecone import asked, opened

# What Pinecone takes in one request.
UPSERT_ENTRIES, UPSERT_BYTES, NUMBER_BYTES = 100, 1_800_000, 23
DELETE_IDS, FETCH_IDS, LIST_IDS, TOP_K = 1000, 100, 100, 10_000
SPARE = 16
"""How many more entries than asked for are fetched at first, to see whether the last one wanted is tied."""
SEEN_SECONDS = 15.0
"""How long a change is waited for, until searches show it."""
SETTLED_SECONDS = 120.0
"""How long after a change of this object Pinecone's own count is not trusted."""
ID, CHANGE = "workbench_id", "workbench_change"
"""Metadata of our own: the id, for filters that name it, and the change that wrote the entry, to see when it is there."""

_SPACE = re.compile(r"[a-z0-9_]{1,48}")
_log = logging.getLogger(__name__)


class PineconeStore:
    """Satisfies VectorStore, with these limits of Pinecone.

    Reads trail writes: a change waits up to `SEEN_SECONDS` until a search shows it (beyond that it logs a warning). A change of
    more than 100 entries is not atomic to searches. Searches are approximate, and see 10 000 entries at most. Ids are ASCII, up
    to 512 characters. Ranges of text are not known to Pinecone: such conditions are applied here, on up to 10 000 candidates,
    and StoreError is raised when more would be needed. Numbers are float64.

    Clients are shared by all stores of the process. The index (the option `index` with the dimension added, "workbench-384") is
    made at the first change if it does not exist.
    """

    def __init__(self, endpoint: Endpoint, *, dimension: int, space: str) -> None:
        if not _SPACE.fullmatch(space):
            raise ConfigError(f"{space!r} is no name of a space", hint="1 to 48 of a-z, 0-9 and _")
        self._endpoint = endpoint
        self._dimension = dimension
        self._space = space
        self._writing = threading.Lock()
        self._changed = float("-inf")

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore. Of entries with one id in the same call the last one counts."""
        matrix = checked_rows(entries, vectors, self._dimension)
        last = {entry.id: i for i, entry in enumerate(entries)}
        if not last:
            return
        if bad := [one for one in last if not _is_id(one)]:
            raise StoreError(f"Pinecone cannot hold the id {bad[0][:80]!r}", hint="Ids are ASCII, 1 to 512 characters.")
        with self._writing:
            index = opened(self._endpoint, dimension=self._dimension, create=True)
            for batch in _batches([entries[i] for i in last.values()], self._dimension):
                change = uuid.uuid4().hex
                records = [
                    {
                        "id": entry.id,
                        "values": matrix[last[entry.id]].tolist(),
                        "metadata": {**entry.metadata, ID: entry.id, CHANGE: change},
                    }
                    for entry in batch
                ]
                self._ask(index.upsert, vectors=records, namespace=self._space)
                self._changed = time.monotonic()
            # Pinecone applies the changes of a namespace in order: with the last one all are there.
            self._wait(index, {CHANGE: {"$eq": change}}, lambda found: found > 0)

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        gone = sorted({one for one in ids if _is_id(one)})
        with self._writing:
            index = self._index()
            if index is None:
                return
            for part in _parts(gone, DELETE_IDS):
                try:
                    self._ask(index.delete, ids=part, namespace=self._space)
                except CollectionMissing:
                    return
                self._changed = time.monotonic()
                self._wait(index, {ID: {"$in": part}}, lambda found: found == 0)

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore, and the limits of this class."""
        query = checked_query(vector, self._dimension).tolist()
        filters.check(where)
        pushed = [_pushed(condition) for condition in where if not _is_text_range(condition)]
        left = tuple(condition for condition in where if _is_text_range(condition))
        index = self._index()
        if k < 1 or index is None or None in pushed:
            return []
        top = (k + SPARE) * (4 if left else 1)
        while True:
            top = min(top, TOP_K)
            rows = self._query(index, query, top, {"$and": pushed} if pushed else None, metadata=bool(left))
            found = sorted(
                (_match(row) for row in rows if filters.matches(row.id, row.metadata or {}, left)),
                key=lambda match: (-match.score, match.id),
            )
            # Enough when there is no more, or when what is beyond is worse than the last one wanted.
            if len(rows) < top or (len(found) >= k and found[k - 1].score > _match(rows[-1]).score):
                return found[:k]
            if top == TOP_K:
                if len(found) >= k:
                    return found[:k]
                raise StoreError(
                    f"Pinecone cannot compare text, and fewer than {k} of {TOP_K} candidates satisfy the filter",
                    hint="Filter by equality or by numbers, or ask for fewer results.",
                )
            top *= 4

    def count(self) -> int:
        """See VectorStore: Pinecone's own count; for two minutes after a change, which that may not show, a listing."""
        if time.monotonic() - self._changed < SETTLED_SECONDS:
            return len(self.ids())
        index = self._index()
        if index is None:
            return 0
        summary = self._ask(index.describe_index_stats).namespaces.get(self._space)
        return int(summary.vector_count) if summary is not None else 0

    def ids(self) -> list[str]:
        """See VectorStore: one request for each hundred."""
        index, found, token = self._index(), [], None
        while index is not None:
            try:
                page = self._ask(index.list_paginated, namespace=self._space, limit=LIST_IDS, pagination_token=token)
            except CollectionMissing:
                break
            found += [item.id for item in page.vectors]
            token = page.pagination.next if page.pagination else None
            if not token:
                break
        return sorted(found)

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        index, vectors = self._index(), dict[str, Any]()
        for part in _parts(sorted({one for one in ids if _is_id(one)}), FETCH_IDS):
            if index is not None:
                found = self._ask(index.fetch, ids=part, namespace=self._space).vectors
                vectors.update({one: vector.values for one, vector in found.items()})
        rows = known_rows({one: i for i, one in enumerate(vectors)}, ids)
        matrix: Array = self._ask(lambda: np.asarray([*vectors.values()], dtype=np.float32).reshape(-1, self._dimension))
        return matrix[rows]

    def drop(self) -> None:
        """See VectorStore: the namespace goes, the index stays."""
        with self._writing:
            index = self._index()
            if index is None:
                return
            try:
                self._ask(index.delete_namespace, name=self._space)
            except CollectionMissing:
                return
            self._changed = time.monotonic()
            self._wait(index, None, lambda found: found == 0)

    def close(self) -> None:
        """See VectorStore: an object holds nothing of its own."""

    def _index(self) -> Any:
        """Return the client of the index, None when there is no index yet."""
        try:
            return opened(self._endpoint, dimension=self._dimension, create=False)
        except CollectionMissing:
            return None

    def _ask(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return asked(self._endpoint, call, **arguments)

    def _query(self, index: Any, vector: list[float], top: int, where: Any, *, metadata: bool = False) -> list[Any]:
        try:
            answer = self._ask(
                index.query, vector=vector, top_k=top, namespace=self._space, filter=where, include_metadata=metadata
            )
        except CollectionMissing:
            return []
        return list(answer.matches)

    def _wait(self, index: Any, where: Any, seen: Callable[[int], bool]) -> None:
        """Wait until as many entries match as `seen` wants. The change is made by then: what is late is no error."""
        end, pause = time.monotonic() + SEEN_SECONDS, 0.05
        vector = [1.0] + [0.0] * (self._dimension - 1)
        while not seen(len(self._query(index, vector, 1, where))):
            if time.monotonic() > end:
                _log.warning("Pinecone does not show a change of %s after %.0f s", self._space, SEEN_SECONDS)
                return
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)


def _match(row: Any) -> Match:
    return Match(id=row.id, score=min(1.0, max(-1.0, float(row.score))))


def _is_id(one: str) -> bool:
    """Whether Pinecone can hold this id; it has no other."""
    return 0 < len(one) <= 512 and one.isascii() and "\0" not in one


def _parts(items: list[str], size: int) -> Iterator[list[str]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _batches(entries: list[Entry], dimension: int) -> Iterator[list[Entry]]:
    """Yield the entries in parts that Pinecone takes in one request."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        one = dimension * NUMBER_BYTES + len(json.dumps(dict(entry.metadata))) + 2 * len(entry.id) + 128
        if batch and (len(batch) == UPSERT_ENTRIES or size + one > UPSERT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += one
    if batch:
        yield batch


def _is_text_range(condition: Condition) -> bool:
    return condition.op in ("gte", "lte") and isinstance(condition.value, str)


def _pushed(condition: Condition) -> dict[str, Any] | None:
    """Return a condition in Pinecone's words, None when nothing can satisfy it."""
    name, value, op = condition.field, condition.value, condition.op
    if isinstance(value, tuple) != (op == "in") or not name or name.startswith("$"):
        return None
    if name == "id":
        name = ID
        value = tuple(one for one in value if isinstance(one, str)) if isinstance(value, tuple) else value
        if not isinstance(value, (tuple, str)):
            return None
    if isinstance(value, bool) and op != "eq":
        # Pinecone orders numbers only.
        value, op = tuple(one for one in (False, True) if (one >= value if op == "gte" else one <= value)), "in"
    if not isinstance(value, tuple):
        return {name: {f"${op}": value}}
    if any(isinstance(one, bool) for one in value):
        # Nor may a list hold booleans.
        return {"$or": [{name: {"$eq": one}} for one in value]}
    return {name: {"$in": list(value)}} if value else None
