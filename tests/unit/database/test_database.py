"""The rules of connections and transactions."""

from __future__ import annotations

import asyncio
import random
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.database.columns import Base
from engine.database.database import Database, next_sequence
from engine.errors import ConfigError, StoreError


async def test_migrating_twice_and_from_two_processes_at_once_is_safe(tmp_path: Path) -> None:
    databases = [Database(f"sqlite+aiosqlite:///{tmp_path}/x.db") for _ in range(3)]
    await asyncio.gather(*(database.migrate() for database in databases))
    await databases[0].migrate()
    for database in databases:
        await database.close()


async def test_the_sequence_has_no_gaps_and_no_doubles_under_concurrency(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    await database.migrate()

    async def one() -> int:
        async with database.write() as session:
            return await next_sequence(session)

    assert sorted(await asyncio.gather(*(one() for _ in range(30)))) == list(range(1, 31))
    await database.close()


async def test_sqlite_runs_in_wal_mode_with_foreign_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    async with database.read() as session:
        assert (await session.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
        assert (await session.execute(text("PRAGMA foreign_keys"))).scalar() == 1
        assert (await session.execute(text("PRAGMA synchronous"))).scalar() == 2
    await database.close()


@pytest.mark.parametrize("url", ["nonsense", "sqlite:///x.db", "nosuch+driver://secret:pass@host/x"])
def test_a_wrong_url_is_one_clear_line_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Database(url)
    assert "secret" not in str(refusal.value)


async def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is not a database, " * 100)
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    with pytest.raises(StoreError, match="not a database"):
        await database.migrate()
    await database.close()


async def test_a_server_that_is_not_there_is_one_clear_error_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else answers there
        database = Database(f"postgresql+asyncpg://user:secret@127.0.0.1:{taken.getsockname()[1]}/name")
        for use in (database.ping, database.migrate):
            with pytest.raises(StoreError, match="cannot be reached") as failure:
                await use()
            assert "secret" not in str(failure.value)
    await database.close()


async def test_the_migrations_make_exactly_the_tables_of_the_models(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    await database.migrate()

    def differences(session: Session) -> list[object]:
        return compare_metadata(MigrationContext.configure(session.connection()), Base.metadata)

    async with database.read() as session:
        assert await session.run_sync(differences) == []
    await database.close()


async def test_a_write_cancelled_anywhere_leaves_no_lock_behind(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    async with database.write() as session:
        await session.execute(text("CREATE TABLE kept (n INTEGER)"))

    async def work() -> None:
        try:
            async with database.write() as session:
                for n in (2, 3):
                    await session.execute(text(f"INSERT INTO kept VALUES ({n})"))
        except asyncio.CancelledError:  # as a stopped answer is kept: while the traceback of the cancellation is about
            other.execute("INSERT INTO kept VALUES (1)")
            raise

    with closing(sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None)) as other:  # told "locked" at once
        for moment in range(300):
            task = asyncio.create_task(work())
            if moment % 2:
                await asyncio.sleep(random.Random(moment).random() * 0.005)
            else:
                for _ in range(moment // 2 % 60):
                    await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    async with database.read() as session:
        counts = [await session.scalar(text(f"SELECT count(*) FROM kept WHERE n = {n}")) for n in (2, 3)]
    assert counts[0] == counts[1]  # each write whole, or not at all
    await database.close()
