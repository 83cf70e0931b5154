"""Connections and transactions over one SQLAlchemy engine; the rules of SQLite live here, those of MariaDB in mariadb.py."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Dialect, Update, event, inspect, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, InvalidRequestError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from engine.database import mariadb
from engine.database.audit import PENDING
from engine.database.audit_chain import Chain, head_of
from engine.database.models import Counter
from engine.errors import ConfigError, Conflict, DatabaseBusy, InputError, StoreError

logger = logging.getLogger(__name__)

MIGRATION_LOCK = 0x5242_4D49  # any number, the same in every process
RESTORING = "restoring"
"""A table that is there while a backup is restored: what is half there must not be served."""
MIGRATIONS = Path(__file__).parent / "migrations"
# CURRENT_TIMESTAMP of each, but in UTC, to the microsecond, and as late as the statement.
_CLOCKS = {
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "postgresql": "SELECT clock_timestamp()",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
}


class Database:
    """One database. `read()` and `write()` give a session; leaving `write()` commits, an exception rolls back."""

    def __init__(self, url: str, *, audit_key: bytes = b"") -> None:
        """`audit_key` signs the audit; without one nothing that is recorded can be changed."""
        self.audit = Chain(audit_key)
        try:
            self.url = make_url(url)
            options: dict[str, Any] = {} if self.is_sqlite else {"pool_pre_ping": True}
            if self.url.get_backend_name() == "mariadb":
                options |= mariadb.options()
            elif self.url.get_backend_name() == "mysql":
                raise ArgumentError("not run on MySQL")
            # Values of a failed statement are questions and documents: they must not stand in a traceback.
            self._engine = create_async_engine(self.url, hide_parameters=True, **options)
        except (ArgumentError, InvalidRequestError, ImportError) as error:
            # The URL may hold a password, so it is not repeated.
            raise ConfigError(
                "database_url is not an async SQLAlchemy URL whose driver is installed",
                hint="for example sqlite+aiosqlite:///workbench.db, postgresql+asyncpg://user:password@host/name or"
                " mariadb+asyncmy://user:password@host/name",
            ) from error
        self._writing = async_sessionmaker(self._engine.execution_options(immediate=True), expire_on_commit=False)
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _configure_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
            event.listen(self._engine.sync_engine, "invalidate", _let_go)
        else:
            event.listen(self._engine.sync_engine, "do_connect", _connect)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded default."""
        return self.url.get_backend_name() == "sqlite"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading: one consistent view. Raises StoreError when the database fails."""
        with _translated():
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Give a session whose changes are committed together, with what was recorded of them.

        Raises StoreError when the database fails, or when the audit cannot be written.
        """
        # BEGIN IMMEDIATE: a transaction that first reads and then writes would otherwise fail with "locked" under
        # concurrency, without waiting for the busy time-out. It ends in a task of its own: a commit is never cut in two.
        with _translated():
            async with self._writing.begin() as session:
                session.info[PENDING] = []
                yield session
                await self.audit.append(session)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for reading much: all of its statements see the database as it was at the first one."""
        with _translated():
            async with self._engine.connect() as connection:
                if not self.is_sqlite:  # there, every transaction has one view anyway
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    @asynccontextmanager
    async def schema(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for making and removing tables; for restoring a backup. Leaving it commits."""
        with _translated():
            async with self._engine.execution_options(immediate=True).begin() as connection:
                yield connection

    async def upgrade(self, revision: str = "head") -> None:
        """Bring the schema to a revision, and begin no audit. Raises StoreError where a restore was left half-way."""
        async with self.schema() as connection:
            await connection.run_sync(_upgrade, revision)

    async def migrate(self) -> None:
        """Bring the schema to the newest revision. Idempotent; two processes at once are safe."""
        async with self.schema() as connection:
            await connection.run_sync(_refuse_half)
        await self.upgrade()
        async with self.read() as session:
            begun = (await head_of(session)).hash
        if not begun:
            async with self.write() as session:
                await self.audit.begin(session)

    async def ping(self) -> None:
        """Do the smallest possible read. Raises StoreError."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def migrated(self) -> bool:
        """Whether the schema is the newest that this version knows, or a newer one. Raises StoreError."""
        async with self.read() as session:
            return str(await session.scalar(text("SELECT version_num FROM alembic_version"))) >= newest_revision()

    async def time(self) -> datetime:
        """Return what the database's clock says, in UTC. Raises StoreError."""
        async with self.read() as session:
            told = await session.scalar(text(_CLOCKS[self.url.get_backend_name()]))
        moment = datetime.fromisoformat(told) if isinstance(told, str) else told
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    async def close(self) -> None:
        """Release all connections."""
        await self._engine.dispose()


async def changed(session: AsyncSession, statement: Update | Delete) -> int:
    """Return how many rows an UPDATE or DELETE found; not every database has RETURNING for it."""
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def next_sequence(session: AsyncSession) -> int:
    """Return the next number of the global order, inside the caller's write transaction."""
    await session.execute(update(Counter).where(Counter.name == "sequence").values(value=Counter.value + 1))
    row = await session.get(Counter, "sequence", populate_existing=True)
    if row is None:
        raise StoreError("the sequence counter is missing", hint="restore the database from a backup")
    return row.value


class _translated:  # noqa: N801 - reads as a clause: `with _translated():`
    """Driver failures become StoreError, values that no column takes InputError; programming mistakes stay what they are."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, PoolTimeout):
            raise StoreError("the database has no connection free", hint="Nothing was saved; try again in a moment.") from error
        if isinstance(error, UnicodeEncodeError) or _is_value(error):  # half a surrogate pair; a NUL, or too long
            raise InputError("this holds characters that cannot be stored, or is too long", hint="Type it anew.") from error
        if isinstance(error, OverflowError):
            raise InputError("there is no such number", hint="Choose one from the list.") from error
        if isinstance(
            error, IntegrityError
        ):  # two transactions side by side: the same new row, or one that refers to what goes
            raise Conflict(
                "somebody else changed the same thing at the same moment, so nothing was changed",
                hint="Load the page again; if it is not as you want it, try once more.",
            ) from error
        if isinstance(error, DBAPIError) and mariadb.is_busy(error):
            raise DatabaseBusy("others were changing the same things", hint="Nothing was saved; try again.") from error
        if isinstance(error, DBAPIError) and not isinstance(error, ProgrammingError):
            raise StoreError(
                f"the database failed: {error.orig}", hint="Nothing of this step was saved; try again in a moment."
            ) from error


def _is_value(error: BaseException | None) -> bool:
    # SQLSTATE class 22 is "data exception"; the adapter of asyncpg has no DataError for a text that is too long.
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return isinstance(error, DataError) or str(state or "").startswith("22")


def _connect(dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> Any:
    # asyncpg tells of a server that is not there by a plain OSError, which SQLAlchemy passes on as none of the driver's.
    try:
        return dialect.connect(*arguments, **options)
    except OSError as error:
        raise StoreError("the database cannot be reached", hint="Nothing was saved; try again in a moment.") from error


def _configure_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN comes too late and is always deferred; _begin_sqlite does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The time-out first: changing the journal mode waits for a lock too.
    cursor.execute("PRAGMA busy_timeout=15000")
    _use_wal(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    # Two connections that change the mode of a new file at once are not made to wait for each other: one is told "locked".
    for tries_left in reversed(range(100)):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not tries_left or "locked" not in str(error):
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Any) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _let_go(connection: Any, _entry: ConnectionPoolEntry, why: BaseException | None) -> None:
    # A statement that was cancelled costs its connection. SQLite keeps the lock of a closed connection for as long as a
    # cursor of it is about, and the traceback of the cancellation holds one: rolled back first, nothing is held.
    try:
        connection.rollback()
    except asyncio.CancelledError:
        if not isinstance(why, asyncio.CancelledError):
            raise
    except (sqlite3.Error, InvalidRequestError) as error:  # closed already, or by the garbage collector
        logger.debug("nothing to roll back: %s", error)


def newest_revision() -> str:
    """Return the newest revision of the schema that this version knows."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("*.py")).split("_")[0]


def _refuse_half(connection: Any) -> None:
    if inspect(connection).has_table(RESTORING):
        raise StoreError("a restore of this database was interrupted", hint="Run `python -m engine restore` again.")


def _upgrade(connection: Any, revision: str) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":  # what BEGIN IMMEDIATE is for SQLite: others who migrate wait here
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
    with mariadb.migrating(connection) if dialect == "mariadb" else nullcontext():
        begun = inspect(connection).has_table("alembic_version")
        if begun and connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == newest_revision():
            return
        from alembic import command  # noqa: PLC0415 - 0.3 s that only the first start of a process pays
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
