"""Putting rows of a backup into an empty database, so that an interruption at any point leaves something that is begun again.

The table `restoring` is made first and removed last. While it is there no server starts on the database (`Database.migrate`),
and the next restore removes what the former one left.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, insert, inspect, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.access_models import Ticket
from engine.database.columns import Base, new_id, now
from engine.database.database import RESTORING, Database
from engine.database.ingestion_models import Backup, Generation
from engine.database.models import Collection, Job, Session, Snapshot
from engine.database.operations_models import Heartbeat
from engine.database.provider_models import SpaceRow
from engine.database.view import Shape, table_of, value_of
from engine.errors import BrokenFile, InputError

BATCH = 500
ALIVE = timedelta(seconds=60)
_REASON = "restored from a backup"


async def check_room(database: Database, *, force: bool) -> bool:
    """Return whether an interrupted restore left something here.

    Raises InputError when a server works on the database, or when it is in use and `force` is not given; StoreError.
    """
    async with database.view() as connection:
        found = await connection.run_sync(_tables)
        beats = select(func.count()).where(Heartbeat.kind == "server", Heartbeat.at > now() - ALIVE)
        if RESTORING not in found and Heartbeat.__tablename__ in found and await connection.scalar(beats):
            raise InputError(
                "a server works on this database, so nothing was restored", hint="Stop it, wait a minute, try again."
            )
    if found and RESTORING not in found and not force:
        raise InputError(
            "the database is not empty, so nothing was restored",
            hint="Name an empty database and an empty data folder; or --force, which removes what is there.",
        )
    return RESTORING in found


async def is_bare(database: Database) -> bool:
    """Return whether there is none of our tables here."""
    async with database.view() as connection:
        return not await connection.run_sync(_tables)


async def begin(database: Database) -> None:
    """Mark the database, then remove all of our tables. Raises StoreError."""
    async with database.schema() as connection:
        await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {RESTORING} (since VARCHAR(40))"))
    async with database.schema() as connection:
        await connection.run_sync(_clear)


async def load(session: AsyncSession, shape: Shape, lines: Iterator[bytes]) -> None:
    """Replace the rows of a table by these lines (see `engine.database.view`). Raises BrokenFile."""
    table, kinds = table_of(shape), list(shape.columns.items())
    await session.execute(delete(table))  # what migrations put there
    while batch := await asyncio.to_thread(lambda: [_values(line, kinds) for line in islice(lines, BATCH)]):
        await session.execute(insert(table), batch)


async def settle(database: Database) -> None:
    """Bring the restored tables to the newest revision, and let new rows get numbers that are free."""
    await database.upgrade()
    if database.url.get_backend_name() != "postgresql":
        return  # the others count on from the highest number by themselves
    async with database.schema() as connection:
        for table in Base.metadata.sorted_tables:
            if (column := table.autoincrement_column) is not None:
                await connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "  # noqa: S608 - our names
                        f"(SELECT coalesce(max({column.name}), 0) + 1 FROM {table.name}), false)"
                    )
                )


async def renew(session: AsyncSession) -> dict[str, int]:
    """Take back what was true only where and when the backup was made, and return how many rows each step changed.

    Sign-ins and links for choosing a password end: some that were ended since would be good again. Work that was going on waits
    for a worker. Local indexes are built anew.
    """
    moment = now()
    steps: tuple[tuple[str, Any], ...] = (
        ("sign_ins_ended", update(Session).where(Session.revoked_at.is_(None)).values(revoked_at=moment, reason=_REASON)),
        ("links_removed", delete(Ticket)),
        (
            "jobs_queued",
            update(Job).where(Job.state == "running").values(state="queued", lease_owner="", lease_until=None, worker=""),
        ),
        ("generations_freed", update(Generation).where(Generation.owner != "").values(owner="", lease_until=None)),
        ("snapshots", delete(Snapshot)),
        ("heartbeats", delete(Heartbeat)),
        ("backups_unfinished", delete(Backup).where(Backup.state == "running")),
    )
    changed = {name: (await session.execute(statement)).rowcount for name, statement in steps}  # type: ignore[attr-defined]
    return {**changed, "spaces_renamed": await _rename_spaces(session)}


async def _rename_spaces(session: AsyncSession) -> int:
    """Give every space in a store that keeps vectors itself a new name: it is filled from SQL when it is first used.

    The place where the backup was made may live on, or be looked at for a test, over the same store. Two installations would
    mend one space against each other, and the one that sweeps first would take it from the other.
    """
    rows = list(await session.scalars(select(SpaceRow)))
    for row in rows:
        name = new_id()
        for column in (Collection.space, Collection.previous_space, Generation.space):
            await session.execute(update(column.class_).where(column == row.id).values({column: name}))
        await session.execute(update(SpaceRow).where(SpaceRow.id == row.id).values(id=name, seq=0, owner="", lease_until=None))
    return len(rows)


async def end(database: Database) -> None:
    """Open the database for service."""
    async with database.schema() as connection:
        await connection.execute(text(f"DROP TABLE {RESTORING}"))


async def counts(database: Database, tables: Sequence[str]) -> Mapping[str, int]:
    """Return how many rows each table has."""
    async with database.view() as connection:
        known = Base.metadata.tables
        return {name: await connection.scalar(select(func.count()).select_from(known[name])) or 0 for name in tables}


def _tables(connection: Connection) -> set[str]:
    # A store may keep its vectors in tables of the same database: those are not ours to look at.
    return set(inspect(connection).get_table_names()) & {*Base.metadata.tables, "alembic_version", RESTORING}


def _clear(connection: Connection) -> None:
    here = _tables(connection)
    for name in ("alembic_version", *(table.name for table in reversed(Base.metadata.sorted_tables))):
        if name in here:
            connection.execute(text(f"DROP TABLE {name}"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("DROP FUNCTION IF EXISTS audit_guard()"))


def _values(line: bytes, kinds: Sequence[tuple[str, str]]) -> dict[str, Any]:
    try:
        return {name: value_of(value, kind) for value, (name, kind) in zip(json.loads(line), kinds, strict=True)}
    except (ValueError, TypeError) as error:
        raise BrokenFile("a row of the backup cannot be read", hint="Use another copy of the file.") from error
