"""What MariaDB, 10.6 or newer, is told so that it keeps our tables as SQLite and PostgreSQL do.

Versions: SKIP LOCKED and DDL that is done whole or not at all came with 10.6; https://mariadb.com/kb/en/atomic-ddl/.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.errors import StoreError

OLDEST = (10, 6)
# Case, accents and blanks at the end make a difference, as they do in the other databases.
COLLATION = "utf8mb4_nopad_bin"
# Strict whatever the server's own settings are: a text that is too long is an error, never cut. Locks are waited for as
# long as SQLite's.
GREETING = f"SET SESSION sql_mode = 'TRADITIONAL', innodb_lock_wait_timeout = 15, collation_connection = '{COLLATION}'"
# GET_LOCK is for the whole server and outlives transactions: DDL ends them here.
LOCK = "CONCAT('workbench migrations ', MD5(DATABASE()))"
LOCK_SECONDS = 120
_BUSY = {1020, 1205, 1213}  # the row changed since it was read; a lock was waited for too long; a deadlock


def options() -> dict[str, Any]:
    """Return what `create_async_engine` needs. Raises ImportError without the driver."""
    from asyncmy.constants import FIELD_TYPE  # noqa: PLC0415 - only where this database is used
    from asyncmy.converters import conversions

    # We have no decimal columns; what is one is a sum or a mean, which other databases give as plain numbers.
    numbers = {FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number}
    return {
        "isolation_level": "READ COMMITTED",  # PostgreSQL's; the default would give stale reads after a wait for a lock
        "connect_args": {"charset": "utf8mb4", "init_command": GREETING, "conv": {**conversions, **numbers}},
    }


def is_busy(error: SQLAlchemyError) -> bool:
    """Whether the database gave up for others who were at the same rows: the same again may well succeed."""
    arguments: tuple[Any, ...] = getattr(error.orig, "args", ()) if isinstance(error, DBAPIError) else ()
    return bool(arguments) and arguments[0] in _BUSY


@contextmanager
def migrating(connection: Connection) -> Iterator[None]:
    """Keep others who migrate out; what is done in here can be done again after an interruption. Raises StoreError.

    Every DDL statement commits, so what is left half-way is taken up where it stopped: statements that make something leave
    what is there alone.
    """
    if (connection.dialect.server_version_info or OLDEST) < OLDEST:
        raise StoreError("this MariaDB is too old", hint="Use MariaDB 10.6 or newer.")
    if not connection.exec_driver_sql(f"SELECT GET_LOCK({LOCK}, {LOCK_SECONDS})").scalar():
        raise StoreError("another process is changing the tables for long", hint="Wait until it is done, then start again.")
    event.listen(connection, "before_execute", _leave_what_is_there)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    finally:
        event.remove(connection, "before_execute", _leave_what_is_there)
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql(f"DO RELEASE_LOCK({LOCK})")


def prepare(connection: Connection) -> None:
    """Let new tables of this database compare text by its code points. Raises DBAPIError."""
    connection.exec_driver_sql(f"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE {COLLATION}")


def _leave_what_is_there(_connection: Connection, statement: Any, *_: Any) -> None:
    if hasattr(statement, "if_not_exists"):  # of a table, an index, a column
        statement.if_not_exists = True


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
