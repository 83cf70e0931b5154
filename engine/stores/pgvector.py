"""PostgreSQL with pgvector: one table per space, an exact scan, and an HNSW index once a space is worth one."""

from __future__ import annotations

import json
import logging
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from engine.errors import CollectionMissing, ConfigError, StoreError
from engine.protocols import Array
from engine.stores import filters
from engine.stores.checks import checked_query, checked_rows, known_rows
from engine.types import Condition, Endpoint, Entry, Filter, Match, Scalar
from engine.vendors.postgres import EXTENSION_LOCK, Connection, Postgres

INDEX_FROM = 10_000
"""Entries from which an approximate index is built; below, the exact scan is fast enough."""
INDEXABLE = {"vector": 2000, "halfvec": 4000}
"""Longest vectors that pgvector can index."""
INLINE_BYTES = 6500
"""Vectors up to this size are kept in the row itself, where a scan need not look them up one by one."""
BATCH = 1000
"""Entries per statement; the endpoint's time limit holds for each: with an index one entry takes some milliseconds."""
BUILD_BATCHES = 60
"""Building the index may take as long as this many statements."""
SPARE = 16
"""How many more entries than asked for are fetched at first, to see whether the last one wanted is tied."""

_SPACE = re.compile(r"[a-z0-9_]{1,48}")
_log = logging.getLogger(__name__)

T = TypeVar("T")


class PgvectorStore:
    """Satisfies VectorStore. A change is one transaction, so it is atomic to searches.

    Exact below `index_from` entries, and always for vectors of more than 2000 numbers (4000 with the option `half`), which
    pgvector cannot index. Above, HNSW (m 16, ef_construction 100) finds the entries, and a filter makes it look further; where
    it gives fewer than asked for, the exact scan answers. `half` keeps float16: scores are off by up to 2e-3.

    The key is the password. Connections are shared by all stores of the process and close by themselves when idle.
    """

    def __init__(self, endpoint: Endpoint, *, dimension: int, space: str, index_from: int = INDEX_FROM) -> None:
        if not _SPACE.fullmatch(space):
            raise ConfigError(f"{space!r} is no name of a space", hint="1 to 48 of a-z, 0-9 and _")
        self._dimension = dimension
        self._type = "halfvec" if endpoint.options.get("half") else "vector"
        self._number = ">f2" if self._type == "halfvec" else ">f4"
        self._table = f'"workbench_{space}"'
        self._index = f'"workbench_{space}_hnsw"'
        self._index_from = index_from
        self._may_index = dimension <= INDEXABLE[self._type]
        self._database = Postgres(endpoint)

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """See VectorStore. Of entries with one id in the same call the last one counts.

        The call that fills the space up to `index_from` entries also builds the index, while searches go on.
        """
        matrix = checked_rows(entries, vectors, self._dimension)
        last = {entry.id: i for i, entry in enumerate(entries)}
        # In the order of ids: two changes at once then wait for each other instead of locking each other out.
        order = [last[one] for one in sorted(last)]
        if not order:
            return
        ids = [entries[i].id for i in order]
        packed = self._packed(matrix[order])
        metadata = [_json(dict(entries[i].metadata)) for i in order]
        batches = len(range(0, len(ids), BATCH))

        async def work(connection: Connection) -> bool:
            for at in range(0, len(ids), BATCH):
                part = slice(at, at + BATCH)
                await connection.execute(
                    f"INSERT INTO {self._table} SELECT * FROM unnest($1::text[], $2::{self._type}[], $3::jsonb[])"
                    " ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, metadata = excluded.metadata",
                    ids[part], packed[part], metadata[part],
                )  # fmt: skip
            return await self._wants_index(connection)

        try:
            wants_index = self._database.run(work, batches=batches)
        except CollectionMissing:
            self._database.run(self._create)
            wants_index = self._database.run(work, batches=batches)
        if wants_index:
            self._build_index()

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorStore."""
        # Locked in the order of ids, as a change does it too.
        statement = (
            f"DELETE FROM {self._table} WHERE id IN"
            f" (SELECT id FROM {self._table} WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE)"
        )
        self._read(lambda connection: connection.execute(statement, sorted(set(ids))), None)

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore."""
        query = self._packed(checked_query(vector, self._dimension)[None])[0]
        filters.check(where)
        if k < 1:
            return []
        values: list[Any] = [query]
        tests = " AND ".join(_test(condition, values) for condition in where) or "true"
        values.append(0)
        # `<#>` is the negative inner product, which is the cosine of unit vectors.
        statement = (
            f"SELECT id, embedding <#> $1::{self._type} FROM {self._table} WHERE {tests}"
            f" ORDER BY embedding <#> $1::{self._type} LIMIT ${len(values)}::int"
        )

        async def work(connection: Connection) -> list[Match]:
            indexed = await self._prepare(connection, k)
            limit = k + SPARE
            while True:
                rows = await connection.fetch(statement, *values[:-1], limit)
                found = sorted((Match(id=one, score=min(1.0, max(-1.0, -far))) for one, far in rows), key=_order)
                if indexed and len(found) < limit:
                    # Either that is all there is, or the graph has given up: only a scan can tell.
                    await connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on")
                    indexed = False
                elif len(found) < limit or found[k - 1].score > found[-1].score:
                    return found[:k]
                else:
                    limit *= 4

        return self._read(work, [])

    def count(self) -> int:
        """See VectorStore."""
        return int(self._read(lambda connection: connection.fetchval(f"SELECT count(*) FROM {self._table}"), 0))

    def ids(self) -> list[str]:
        """See VectorStore."""
        rows: list[Any] = self._read(lambda connection: connection.fetch(f"SELECT id FROM {self._table} ORDER BY id"), [])
        return [row[0] for row in rows]

    def fetch(self, ids: Sequence[str]) -> Array:
        """See VectorStore."""
        statement = f"SELECT id, embedding::vector({self._dimension}) FROM {self._table} WHERE id = ANY($1::text[])"
        rows: list[Any] = self._read(lambda connection: connection.fetch(statement, sorted(set(ids))), [])
        position = {row[0]: i for i, row in enumerate(rows)}
        # A vector on the wire: its length and a zero, two bytes each, then its numbers; all of it big-endian.
        found = np.frombuffer(b"".join(row[1][4:] for row in rows), dtype=">f4").reshape(len(rows), self._dimension)
        result: Array = found[known_rows(position, ids)].astype(np.float32)
        return result

    def drop(self) -> None:
        """See VectorStore."""
        self._database.run(lambda connection: connection.execute(f"DROP TABLE IF EXISTS {self._table}"))

    def close(self) -> None:
        """See VectorStore: an object holds nothing of its own."""

    def _read(self, work: Callable[[Connection], Awaitable[T]], nothing: T) -> T:
        """Return what `work` gives, and `nothing` for a space that was never written."""
        try:
            return self._database.run(work)
        except CollectionMissing:
            return nothing

    def _packed(self, matrix: Array) -> list[bytes]:
        head = struct.pack(">HH", self._dimension, 0)
        return [head + row.tobytes() for row in matrix.astype(self._number)]

    async def _create(self, connection: Connection) -> None:
        inline = self._dimension * np.dtype(self._number).itemsize <= INLINE_BYTES
        await connection.execute(
            f"SELECT pg_advisory_xact_lock({EXTENSION_LOCK}); CREATE TABLE IF NOT EXISTS {self._table} ("
            f' id text COLLATE "C" PRIMARY KEY, embedding {self._type}({self._dimension})'
            f" {'STORAGE PLAIN' if inline else ''} NOT NULL, metadata jsonb NOT NULL)"
        )

    async def _prepare(self, connection: Connection, k: int) -> bool:
        """Make the settings of one search; return whether there is an index, which is then used."""
        row = await connection.fetchrow(
            "WITH found AS (SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND indisvalid) AS it)"
            " SELECT it, set_config('enable_seqscan', CASE WHEN it THEN 'off' ELSE 'on' END, true),"
            " set_config('hnsw.ef_search', $2, true), set_config('hnsw.iterative_scan', 'strict_order', true),"
            " set_config('hnsw.max_scan_tuples', '2147483647', true) FROM found",
            self._index,
            str(min(1000, max(100, 2 * (k + SPARE)))),
        )
        return bool(row[0])

    async def _wants_index(self, connection: Connection) -> bool:
        if not self._may_index:
            return False
        return bool(
            await connection.fetchval(
                "SELECT CASE WHEN to_regclass($1) IS NOT NULL THEN false ELSE"
                f" (SELECT count(*) FROM (SELECT FROM {self._table} LIMIT $2)) >= $2 END",
                self._index,
                self._index_from,
            )
        )

    def _build_index(self) -> None:
        async def work(connection: Connection) -> None:
            # One process, in its own memory: workers would need shared memory, of which containers have little.
            await connection.execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL max_parallel_maintenance_workers = 0;"
                " SET LOCAL maintenance_work_mem = '256MB';"
                f"CREATE INDEX IF NOT EXISTS {self._index} ON {self._table} USING hnsw"
                f" (embedding {self._type}_ip_ops) WITH (m = 16, ef_construction = 100)"
            )

        try:
            self._database.run(work, batches=BUILD_BATCHES)
        except StoreError as error:
            # What was to be stored is stored, and searches are exact without an index.
            self._may_index = False
            _log.warning("no index for %s: %s", self._table, error)


def _order(match: Match) -> tuple[float, str]:
    return -match.score, match.id


def _json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise StoreError(
            "PostgreSQL cannot hold numbers that are not finite in metadata", hint="Leave the field out."
        ) from error


def _test(condition: Condition, values: list[Any]) -> str:
    """Return the SQL of one condition, with what it names and compares appended to `values`: none of it is ever part of SQL."""
    value, op = condition.value, condition.op
    if isinstance(value, tuple) != (op == "in"):
        return "false"
    if condition.field == "id":
        return _test_id(op, value, values)

    def parameter(one: object, kind: str) -> str:
        values.append(one)
        return f"${len(values)}::{kind}"

    name = parameter(condition.field, "text")
    if isinstance(value, tuple):
        return f"metadata -> {name} = ANY({parameter([_json(one) for one in value], 'jsonb[]')})"
    if op == "eq":
        return f"metadata -> {name} = {parameter(_json(value), 'jsonb')}"
    sign = ">=" if op == "gte" else "<="
    kind = f"jsonb_typeof(metadata -> {name})"
    if isinstance(value, str):
        # Not as jsonb, whose strings are in the order of the database's language.
        return f"""({kind} = 'string' AND (metadata ->> {name}) COLLATE "C" {sign} {parameter(value, "text")})"""
    typed = "boolean" if isinstance(value, bool) else "number"
    return f"({kind} = '{typed}' AND metadata -> {name} {sign} {parameter(_json(value), 'jsonb')})"


def _test_id(op: str, value: Scalar | tuple[Scalar, ...], values: list[Any]) -> str:
    if isinstance(value, tuple):
        values.append([one for one in value if isinstance(one, str)])
        return f"id = ANY(${len(values)}::text[])"
    if not isinstance(value, str):
        return "false"
    values.append(value)
    sign = {"eq": "=", "gte": ">=", "lte": "<="}[op]
    return f"id {sign} ${len(values)}::text"
