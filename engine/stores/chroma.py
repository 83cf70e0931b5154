"""Chroma, in this process or as a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from chromadb.api import ServerAPI
from chromadb.api.fastapi import FastAPI
from chromadb.api.models.Collection import Collection
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings, System
from chromadb.errors import ChromaError, InternalError, NotFoundError
from pydantic_settings import PydanticBaseSettingsSource

from engine.errors import CollectionMissing, DimensionMismatch, StoreError
from engine.protocols import Array
from engine.stores import filters, probe
from engine.stores.checks import checked_query, checked_rows, known_rows
from engine.stores.clients import MOST_BYTES, Clients, Lease, collection_name, failed
from engine.stores.nearest import Candidates, nearest
from engine.stores.pushdown import is_number, options
from engine.types import Condition, Endpoint, Entry, Filter, Match, Scalar
from engine.vendors.limits import Limits, sync_settings

BATCH = 500  # a request stays below the 40 MB that a server takes, also with long vectors
LONG_LIST = 1000  # SQLite takes so many parameters at least
ID = "_id"  # our id among the metadata: a query by Chroma's ids fails when one is unknown, and no metadata at all is refused
# Inner product keeps vectors as they came; "cosine" divides them by their length once more.
GRAPH = {"hnsw": {"space": "ip", "ef_construction": 200, "ef_search": 256, "max_neighbors": 32}, "embedding_function": None}
PROBE = """
import sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1], chromadb.Settings(anonymized_telemetry=False))
for collection in client.list_collections():
    found = collection.get(limit=1, include=["embeddings"])
    if len(found["ids"]):
        collection.query(query_embeddings=[found["embeddings"][0]], n_results=1)
"""
WHERE = {"tenant": DEFAULT_TENANT, "database": DEFAULT_DATABASE}


class ChromaStore:
    """VectorStore over Chroma: one collection per space, in `endpoint.folder` or at `endpoint.base_url`.

    Its HNSW graph is approximate: of the 25 nearest at least 98 % are found (the contract test measures it), and what is found
    has exact scores in the exact order. When the graph gives fewer than match, all that match are scored. Numbers among
    the metadata are kept as float64. An entry may be seen alone while an upsert of several is under way.
    """

    def __init__(self, endpoint: Endpoint, *, dimension: int, space: str) -> None:
        self._endpoint = endpoint
        self._dimension = dimension
        self._name = collection_name(space)
        self._lease = Lease(_CLIENTS, endpoint)

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore."""
        matrix = checked_rows(entries, vectors, self._dimension)
        rows = sorted({entry.id: i for i, entry in enumerate(entries)}.values())
        if not rows:
            return
        with self._asking() as api:
            model = api.create_collection(self._name, configuration=GRAPH, get_or_create=True, **WHERE)
            collection = self._checked(Collection(client=api, model=model, embedding_function=None))
            for begin in range(0, len(rows), BATCH):
                part = rows[begin : begin + BATCH]
                ids = [entries[i].id for i in part]
                # An upsert of Chroma keeps fields that the new entry has no more, unless they are set to None.
                old = collection.get(ids=ids, include=["metadatas"])
                gone = {one: dict.fromkeys(fields) for one, fields in zip(old["ids"], old["metadatas"], strict=True)}
                fields = [{**gone.get(entries[i].id, {}), **_kept(entries[i])} for i in part]
                collection.upsert(ids=ids, embeddings=matrix[part], metadatas=fields)

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking() as api:
            collection = self._collection(api)
            for begin in range(0, len(ids), BATCH):
                collection.delete(ids=sorted(set(ids[begin : begin + BATCH])))

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore. The neighbours are approximate, their scores exact."""
        query = checked_query(vector, self._dimension)
        filters.check(where)
        said = [_said(condition) for condition in where]
        if k < 1 or {} in said:
            return []
        rest = tuple(condition for condition, one in zip(where, said, strict=True) if one is None)
        clauses = [one for one in said if one]
        pushed = {"$and": clauses} if len(clauses) > 1 else next(iter(clauses), None)
        with suppress(CollectionMissing), self._asking() as api:
            collection = self._collection(api)
            total = collection.count()

            def ask(n: int) -> Candidates:
                found = _steady(
                    lambda: collection.query(
                        query_embeddings=[query], n_results=n, where=pushed, include=["embeddings", "metadatas"]
                    )
                )
                several = {key: found[key][0] for key in ("ids", "embeddings", "metadatas")}
                if len(several["ids"]) < min(n, total):
                    # Either no more entries match, or the walk through the graph ended before it met them.
                    several = _steady(lambda: collection.get(where=pushed, include=["embeddings", "metadatas"]))
                    return _candidates(several, complete=True)
                return _candidates(several, complete=n >= total)

            return nearest(ask, query, k=k, rest=rest)
        return []

    def count(self) -> int:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking() as api:
            return int(self._collection(api).count())
        return 0

    def ids(self) -> list[str]:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking() as api:
            return sorted(self._collection(api).get(include=[])["ids"])
        return []

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        position: dict[str, int] = {}
        parts = [np.empty((0, self._dimension), dtype=np.float32)]
        wanted = sorted(set(ids))
        with suppress(CollectionMissing), self._asking() as api:
            collection = self._collection(api)
            for begin in range(0, len(wanted), BATCH):
                part = wanted[begin : begin + BATCH]
                found = _steady(partial(collection.get, ids=part, include=["embeddings"]))
                position.update({one: len(position) + i for i, one in enumerate(found["ids"])})
                parts.append(np.asarray(found["embeddings"], dtype=np.float32).reshape(-1, self._dimension))
        vectors: Array = np.concatenate(parts)[known_rows(position, ids)]
        return vectors

    def drop(self) -> None:
        """See VectorStore."""
        with suppress(CollectionMissing), self._asking() as api:
            api.delete_collection(self._name, **WHERE)

    def close(self) -> None:
        """See VectorStore. The last store on a folder lets other processes at it."""
        self._lease.close()

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        api = _api(self._lease.client())
        try:
            yield api
        except StoreError:
            raise
        except NotFoundError:
            raise CollectionMissing(f"Chroma has no collection {self._name!r}", hint="Build the index again.") from None
        except Exception as error:  # noqa: BLE001 - the SDK raises bare ones, too
            status = error.code() if isinstance(error, ChromaError) else 0
            reachable = not isinstance(error, httpx.TransportError)
            cause = None if self._endpoint.api_key else error  # a server may repeat the key
            raise failed("Chroma", error, self._endpoint, status=status, reachable=reachable) from cause

    def _collection(self, api: Any) -> Any:
        # Asked for each time: it has another id when it was dropped and made again.
        model = api.get_collection(self._name, **WHERE)
        return self._checked(Collection(client=api, model=model, embedding_function=None))

    def _checked(self, collection: Collection) -> Any:
        if (collection._model.dimension or self._dimension) != self._dimension:
            raise DimensionMismatch(
                f"the index holds vectors of dimension {collection._model.dimension}, not {self._dimension}",
                hint="choose the model that it was made with, or embed the collection again",
            )
        return collection


def _kept(entry: Entry) -> dict[str, Scalar]:
    """Return what Chroma keeps; it would refuse an integer of more than 64 bits, so numbers are float64."""
    return {**{field: float(value) if is_number(value) else value for field, value in entry.metadata.items()}, ID: entry.id}


def _said(condition: Condition) -> dict[str, Any] | None:
    """Return the condition in Chroma's words; {} when nothing can match, None when Chroma has no words for it."""
    field = ID if condition.field == "id" else condition.field
    wanted = options(condition)
    if wanted is None:
        return {field: {f"${condition.op}": float(condition.value)}} if is_number(condition.value) else None  # type: ignore[arg-type]
    if len(wanted) > LONG_LIST:
        return None
    kinds = (
        [float(one) for one in wanted if is_number(one)],
        [one for one in wanted if isinstance(one, bool)],
        [one for one in wanted if isinstance(one, str)],
    )
    lists: list[dict[str, Any]] = [{field: {"$in": values}} for values in kinds if values]
    return {"$or": lists} if len(lists) > 1 else next(iter(lists), {})


def _steady(read: Callable[[], Any]) -> Any:
    """Return what `read` gives, tried again when an entry was deleted between Chroma's look at metadata and at vectors."""
    for delay in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8):
        try:
            return read()
        except InternalError as error:
            if "finding id" not in str(error):
                raise
        time.sleep(delay)
    return read()


def _candidates(found: Any, *, complete: bool) -> Candidates:
    entries = [Entry(id=one, metadata=fields) for one, fields in zip(found["ids"], found["metadatas"], strict=True)]
    vectors = np.asarray(found["embeddings"], dtype=np.float32)
    return Candidates(entries, vectors if entries else np.empty((0, 1), dtype=np.float32), complete)


def _api(system: System) -> Any:
    return system.instance(ServerAPI)  # type: ignore[type-abstract]


class _Settings(Settings):
    """Chroma's settings without those that it would read from the environment and from a file `.env`."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: PydanticBaseSettingsSource, *args: Any, **others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _opened(endpoint: Endpoint) -> System:
    """Return a running part of Chroma. Not `chromadb.HttpClient`, which sends requests at once and waits for ever."""
    if not endpoint.base_url:
        probe.opening(Path(endpoint.folder), PROBE)
        settings = _Settings(anonymized_telemetry=False, is_persistent=True, persist_directory=endpoint.folder)
    else:
        url = urlsplit(endpoint.base_url)
        headers = {"X-Chroma-Token": endpoint.api_key, "Authorization": f"Bearer {endpoint.api_key}"}
        settings = _Settings(
            anonymized_telemetry=False,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=url.hostname,
            chroma_server_http_port=url.port or (443 if url.scheme == "https" else 80),
            chroma_server_ssl_enabled=url.scheme == "https",
            chroma_server_headers=headers if endpoint.api_key else {},
        )
    system = System(settings)
    api = _api(system)
    if isinstance(api, FastAPI):
        # There is no setting for the time limit, nor for what it takes from the environment.
        limits = sync_settings(httpx, Limits("Chroma", endpoint.timeout_seconds, MOST_BYTES, endpoint.guard))
        api._session.close()
        api._session = httpx.Client(headers=api._session.headers, **limits)
    system.start()
    return system


def _closed(system: System) -> None:
    api = _api(system)
    if isinstance(api, FastAPI):
        api._session.close()
    system.stop()
    if system.settings.is_persistent:
        probe.closed(Path(system.settings.persist_directory))


_CLIENTS = Clients("Chroma", make=_opened, close=_closed)
