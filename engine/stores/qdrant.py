"""Qdrant, in this process or as a server."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from engine.errors import CollectionMissing, StoreError
from engine.protocols import Array
from engine.stores import filters
from engine.stores.checks import checked_query, checked_rows, known_rows
from engine.stores.clients import MOST_BYTES, Clients, Lease, collection_name, failed
from engine.stores.lock import SharedLock
from engine.stores.nearest import Candidates, nearest
from engine.stores.pushdown import is_number, options
from engine.types import Condition, Endpoint, Entry, Filter, Match, Scalar
from engine.vendors.limits import Limits, sync_settings

BATCH = 256  # a request stays below the 32 MB that a server takes, also with long vectors
PAGE = 10_000
ID = "_id"  # our id in the payload: Qdrant's own ids are UUIDs
GRAPH = models.HnswConfigDiff(m=32, ef_construct=200)
WIDTH = models.SearchParams(hnsw_ef=256)
FIRST_INEXACT = 2**53  # Qdrant compares numbers as float64
_PLAIN = re.compile(r"[\w-]+")
NAMESPACE = uuid.UUID("6f1c0f5e-9d0b-4e8b-8a55-0f2f6c1f7a10")


class QdrantStore:
    """VectorStore over Qdrant: one collection per space, in `endpoint.folder` or at `endpoint.base_url`.

    In a folder it is an exact scan, and a change is atomic to searches. A server answers from an HNSW graph once a collection
    is large (its own threshold): then neighbours are approximate, and what is found has exact scores in the exact order.
    """

    def __init__(self, endpoint: Endpoint, *, dimension: int, space: str) -> None:
        self._endpoint = endpoint
        self._dimension = dimension
        self._name = collection_name(space)
        self._lease = Lease(_CLIENTS, endpoint)
        self._indexed: set[str] = set()

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore."""
        matrix = checked_rows(entries, vectors, self._dimension)
        rows = sorted({entry.id: i for i, entry in enumerate(entries)}.values())
        if not rows:
            return
        with self._asking(change=True) as client:
            if not client.collection_exists(self._name):
                self._make(client)
            if self._endpoint.base_url:
                self._index(client, [entries[i] for i in rows])
            for begin in range(0, len(rows), BATCH):
                part = rows[begin : begin + BATCH]
                points = models.Batch(
                    ids=[_point(entries[i].id) for i in part],
                    vectors=matrix[part].tolist(),
                    payloads=[{**entries[i].metadata, ID: entries[i].id} for i in part],
                )
                client.upsert(self._name, points=points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking(change=True) as client:
            for begin in range(0, len(ids), PAGE):
                points = sorted({_point(one) for one in ids[begin : begin + PAGE]})
                client.delete(self._name, points_selector=models.PointIdsList(points=list(points)), wait=True)

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore."""
        query = checked_query(vector, self._dimension)
        filters.check(where)
        if k < 1 or any(options(condition) == () for condition in where):
            return []
        said = [_said(condition) for condition in where]
        pushed = [one for one in said if one]
        rest = tuple(condition for condition, one in zip(where, said, strict=True) if one is None)
        with suppress(CollectionMissing), self._asking() as client:

            def ask(n: int) -> Candidates:
                found = client.query_points(
                    self._name,
                    query=query.tolist(),
                    limit=n,
                    query_filter=models.Filter(must=pushed),
                    search_params=WIDTH if self._endpoint.base_url else None,
                    with_payload=True if rest else [ID],
                    with_vectors=True,
                ).points
                vectors = np.asarray([point.vector for point in found], dtype=np.float32).reshape(-1, self._dimension)
                return Candidates([_entry(point.payload) for point in found], vectors, len(found) < n)

            return nearest(ask, query, k=k, rest=rest)
        return []

    def count(self) -> int:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking() as client:
            return client.count(self._name, exact=True).count
        return 0

    def ids(self) -> list[str]:
        """See VectorStore."""
        ids: list[str] = []
        with suppress(CollectionMissing), self._asking() as client:
            after: Any = None
            while True:
                points, after = client.scroll(self._name, limit=PAGE, offset=after, with_payload=[ID])
                ids += [_entry(point.payload).id for point in points]
                if after is None:
                    break
        return sorted(ids)

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        position: dict[str, int] = {}
        vectors: list[Any] = []
        wanted = sorted(set(ids))
        with suppress(CollectionMissing), self._asking() as client:
            for begin in range(0, len(wanted), BATCH):
                points = [_point(one) for one in wanted[begin : begin + BATCH]]
                for found in client.retrieve(self._name, ids=points, with_payload=[ID], with_vectors=True):
                    position[_entry(found.payload).id] = len(vectors)
                    vectors.append(found.vector)
        matrix: Array = np.asarray(vectors, dtype=np.float32).reshape(-1, self._dimension)
        return matrix[known_rows(position, ids)]

    def drop(self) -> None:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking(change=True) as client:
            client.delete_collection(self._name)

    def close(self) -> None:
        """See VectorStore. The last store on a folder lets other processes at it."""
        self._lease.close()

    @contextmanager
    def _asking(self, *, change: bool = False) -> Iterator[QdrantClient]:
        shared = self._lease.client()
        try:
            with shared.changing() if change else shared.reading():
                yield shared.client
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the local mode raises what numpy and sqlite3 raise
            cause = None if self._endpoint.api_key else error  # a server may repeat the key
            status = (error.status_code or 0) if isinstance(error, UnexpectedResponse) else 0
            if status == 404 or (isinstance(error, ValueError) and str(error).endswith("not found")):
                raise CollectionMissing(f"Qdrant has no collection {self._name!r}", hint="Build the index again.") from cause
            source = error.source if isinstance(error, ResponseHandlingException) else error
            reachable = not isinstance(source, httpx.TransportError)
            raise failed("Qdrant", source, self._endpoint, status=status, reachable=reachable) from cause

    def _make(self, client: QdrantClient) -> None:
        self._indexed.clear()
        vectors = models.VectorParams(size=self._dimension, distance=models.Distance.DOT)  # keeps vectors as they came
        try:
            client.create_collection(self._name, vectors_config=vectors, hnsw_config=GRAPH)
        except UnexpectedResponse:
            if not client.collection_exists(self._name):  # else somebody was quicker
                raise
        _quick(client)

    def _index(self, client: QdrantClient, entries: Sequence[Entry]) -> None:
        """Let the server index the fields: it then filters inside its graph, and a strict server filters at all."""
        fields = {field: value for entry in entries for field, value in entry.metadata.items()}
        for field in sorted(fields.keys() - self._indexed):
            client.create_payload_index(self._name, _key(field), field_schema=_schema(fields[field]), wait=True)
            self._indexed.add(field)


def _point(entry_id: str) -> str:
    return str(uuid.uuid5(NAMESPACE, entry_id))


def _entry(payload: dict[str, Any] | None) -> Entry:
    fields = dict(payload or {})
    return Entry(id=fields.pop(ID), metadata=fields)


def _schema(value: Scalar) -> models.PayloadSchemaType:
    if isinstance(value, bool):
        return models.PayloadSchemaType.BOOL
    return models.PayloadSchemaType.KEYWORD if isinstance(value, str) else models.PayloadSchemaType.FLOAT


def _said(condition: Condition) -> models.Condition | None:
    """Return the condition in Qdrant's words, or None when it has none: ranges of strings, large numbers."""
    wanted = options(condition)
    if any(is_number(one) and abs(one) >= FIRST_INEXACT for one in (condition.value, *(wanted or ()))):  # type: ignore[arg-type]
        return None
    if condition.field == "id":
        return models.HasIdCondition(has_id=[_point(one) for one in wanted if isinstance(one, str)]) if wanted else None
    if wanted is None:
        return _range(condition.field, **{condition.op: condition.value}) if is_number(condition.value) else None  # type: ignore[arg-type]
    words = [one for one in wanted if isinstance(one, str)]
    clauses: list[models.Condition] = [_range(condition.field, gte=one, lte=one) for one in wanted if is_number(one)]  # type: ignore[arg-type]
    clauses += [_match(condition.field, models.MatchValue(value=one)) for one in wanted if isinstance(one, bool)]
    clauses += [_match(condition.field, models.MatchAny(any=words))] if words else []
    return clauses[0] if len(clauses) == 1 else models.Filter(should=clauses)


def _key(field: str) -> str:
    """Return the path of a field: a dot or bracket in a bare name would lead into an object."""
    return field if _PLAIN.fullmatch(field) else f'"{field}"'


def _range(field: str, **bounds: float) -> models.FieldCondition:
    return models.FieldCondition(key=_key(field), range=models.Range(**bounds))


def _match(field: str, match: models.Match) -> models.FieldCondition:
    return models.FieldCondition(key=_key(field), match=match)


@dataclass
class _Client:
    """A client; an embedded one is not made for several threads, so its readers and writers take turns."""

    client: QdrantClient
    turns: SharedLock | None

    def reading(self) -> AbstractContextManager[None]:
        return self.turns.shared() if self.turns else nullcontext()

    def changing(self) -> AbstractContextManager[None]:
        return self.turns.exclusive() if self.turns else nullcontext()


def _quick(client: QdrantClient) -> None:
    """Let an embedded client not wait for the disk at every point, which would take 13 ms each.

    With a write-ahead log a crash cannot damage the file. What the last seconds before a power cut brought may be missing: an
    index is built again from the database.
    """
    for collection in getattr(client._client, "collections", {}).values():
        collection.storage.storage.execute("PRAGMA journal_mode = WAL")
        collection.storage.storage.execute("PRAGMA synchronous = NORMAL")


def _opened(endpoint: Endpoint) -> _Client:
    if not endpoint.base_url:
        client = QdrantClient(path=endpoint.folder, force_disable_check_same_thread=True)
        _quick(client)
        return _Client(client, SharedLock())
    limits = Limits("Qdrant", endpoint.timeout_seconds, MOST_BYTES, endpoint.guard)
    client = QdrantClient(
        url=endpoint.base_url,
        port=443 if endpoint.base_url.lower().startswith("https:") else 80,  # where the address names none
        headers={"api-key": endpoint.api_key} if endpoint.api_key else {},  # as `api_key` it warns of every http address
        prefer_grpc=False,
        check_compatibility=False,  # it would ask the server at once, in a thread
        **(sync_settings(httpx, limits) | {"timeout": max(1, round(endpoint.timeout_seconds))}),
    )
    return _Client(client, None)


_CLIENTS = Clients("Qdrant", make=_opened, close=lambda shared: shared.client.close())
