"""All rows of a database as they were at one moment, table by table, in a form that every database takes.

A row is one line of JSON, an array in the order of the table's columns: bytes in base64, moments in ISO 8601 and UTC.
PostgreSQL and MariaDB are read in one REPEATABLE READ transaction. SQLite is copied first, by its online backup API
(https://sqlite.org/backup.html), and read from the copy: its own transaction is over soon, so that its log does not grow
while the rows are written out, and the copy can be checked whole.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from engine.database.columns import Base, Bytes, LongText, Real, UtcDateTime, now
from engine.database.database import Database, newest_revision
from engine.errors import StoreError

BATCH = 500
STEP_PAGES = 4096  # 16 MB of SQLite at a time, so that a copy can be interrupted
TYPES: dict[str, TypeEngine[Any]] = {
    "text": LongText,
    "integer": BigInteger(),
    "real": Real,
    "boolean": Boolean(),
    "bytes": Bytes,
    "moment": UtcDateTime(),
    "json": JSON(none_as_null=True),
}
"""How values of a kind are bound when they are put into a table again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table: its columns by name, each with its kind (a key of `TYPES`)."""

    name: str
    columns: Mapping[str, str]


class View:
    """The database as it was at `as_of`; `shapes` are in an order in which rows can be put in again."""

    def __init__(self, connection: AsyncConnection, *, as_of: datetime, dialect: str, revision: str) -> None:
        self._connection = connection
        self.as_of, self.dialect, self.revision = as_of, dialect, revision
        self.shapes = [
            Shape(name=table.name, columns={column.name: kind_of(column) for column in table.columns})
            for table in Base.metadata.sorted_tables
        ]

    async def lines(self, shape: Shape) -> AsyncIterator[list[bytes]]:
        """Yield the rows of a table in batches, by primary key; each line ends with a line break."""
        table = Base.metadata.tables[shape.name]
        kinds = list(shape.columns.values())
        result = await self._connection.stream(select(table).order_by(*table.primary_key.columns))
        async for rows in result.partitions(BATCH):
            yield await asyncio.to_thread(_lines, rows, kinds)

    async def values(self, statement: Any) -> list[Any]:
        """Return the first column of a query at the same moment."""
        return list((await self._connection.execute(statement)).scalars())


@asynccontextmanager
async def view(database: Database, folder: Path) -> AsyncIterator[View]:
    """Give all rows as they are now; `folder` has room for a copy of SQLite. Raises StoreError."""
    as_of = now()  # before the first statement: never later than what is seen
    dialect = database.url.get_backend_name()
    seen = database
    if database.is_sqlite:
        copy = folder / "copy.db"
        await asyncio.to_thread(_copy, Path(str(database.url.database)), copy)
        seen = Database(f"sqlite+aiosqlite:///{copy}")
    try:
        async with seen.view() as connection:
            revision = str(await connection.scalar(text("SELECT version_num FROM alembic_version")))
            if revision != newest_revision():  # columns that this version does not know would be left out in silence
                raise StoreError(
                    f"the tables are of revision {revision}, this version knows {newest_revision()}",
                    hint="Make the backup with the version that serves.",
                )
            yield View(connection, as_of=as_of, dialect=dialect, revision=revision)
    finally:
        if seen is not database:
            await seen.close()


def kind_of(column: Column[Any]) -> str:
    """Return the key of `TYPES` for a column."""
    kinds = ((Boolean, "boolean"), (JSON, "json"), (LargeBinary, "bytes"), (UtcDateTime, "moment"), (Float, "real"))
    for made, kind in (*kinds, (Integer, "integer")):
        if isinstance(column.type, made):
            return kind
    return "text"


def value_of(value: Any, kind: str) -> Any:
    """Return a value of a line as Python has it. Raises ValueError, TypeError for what is not of its kind."""
    if value is None:
        return None
    if kind == "bytes":
        return base64.b64decode(value, validate=True)
    return datetime.fromisoformat(value) if kind == "moment" else value


def table_of(shape: Shape) -> Table:
    """Return a table for inserting, of whatever revision it is."""
    columns = [Column(name, TYPES[kind]) for name, kind in shape.columns.items()]
    return Table(shape.name, MetaData(), *columns)


def _lines(rows: Sequence[Any], kinds: list[str]) -> list[bytes]:
    return [_line(row, kinds) for row in rows]


def _line(row: Any, kinds: list[str]) -> bytes:
    values = [_plain(value, kind) for value, kind in zip(row, kinds, strict=True)]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "bytes":
        return base64.b64encode(value).decode()
    return value.isoformat() if kind == "moment" else value


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(source, timeout=15)) as live, closing(sqlite3.connect(target)) as copy:
            # A transaction of the source's own: without it, each change by others would begin the copy anew, for ever.
            live.isolation_level = None
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(copy, pages=STEP_PAGES)
            live.execute("ROLLBACK")
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"the database could not be copied: {error}", hint="Nothing was changed; try again.") from error
    if found != "ok":
        raise StoreError(f"the database is damaged: {found}", hint="Restore it from an older backup.")
