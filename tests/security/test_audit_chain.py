"""The chain of the audit against writers side by side, intruders with SQL, and a database that fails."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from engine.database import audit_chain
from engine.database.audit import record
from engine.database.audit_models import Audit
from engine.database.database import Database
from engine.database.models import DocumentRow, Session, User
from engine.errors import StoreError
from engine.testing import ADMIN, offline_workbench
from tests.flows.conftest import add as add_document
from tests.servers.audited import Place, add, place
from tests.servers.databases import SERVERS

PASSWORD = "correct horse battery"  # noqa: S105
FROM = {"ip": "127.0.0.1", "user_agent": "test"}


@pytest.fixture(params=["sqlite", *SERVERS])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def here(kind: str, tmp_path: Path):
    with place(kind, tmp_path) as found:
        yield found


@pytest.fixture
async def filled(here: Place):
    """Rows 1 (the beginning) to 21."""
    database = await here.filled(20)
    yield database
    await database.close()


# --- writers side by side ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [8, 4])
async def test_real_processes_that_append_at_once_leave_one_whole_chain(here: Place, processes: int) -> None:
    database = await here.filled(0)
    ended = await asyncio.to_thread(here.writers, processes, 40)
    assert [process.stderr for process in ended if process.returncode] == []
    found = await here.verify(database)
    print(f"{here.url.partition(':')[0]}, {processes} processes x 40: {found}")
    assert (found.ok, found.rows, found.head) == (True, processes * 40 + 1, processes * 40 + 1)
    await database.close()


async def test_tasks_over_connections_of_their_own_leave_one_whole_chain(here: Place) -> None:
    first = await here.filled(0)
    databases = [here.database() for _ in range(8)]

    async def work(database: Database, name: str) -> None:
        for number in range(40):
            await add(database, f"{name}-{number}")

    await asyncio.gather(*(work(database, f"t{number}") for number, database in enumerate(databases)))
    found = await here.verify(first)
    assert (found.ok, found.rows) == (True, 321)
    for database in (first, *databases):
        await database.close()


async def test_a_change_that_is_undone_leaves_no_row_and_no_gap(here: Place, filled: Database) -> None:
    async def change() -> None:
        async with filled.write() as session:
            await record(session, None, "document.delete", "d-1")
            raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        await change()
    await add(filled, "after")
    found = await here.verify(filled)
    assert (found.ok, found.head) == (True, 22)


# --- intruders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'eve' WHERE seq = 5", "DELETE FROM audit WHERE seq = 5", "DELETE FROM audit"]
)
async def test_the_triggers_refuse(here: Place, filled: Database, statement: str) -> None:
    with pytest.raises((sqlite3.IntegrityError, RuntimeError), match="never changed or deleted"):
        here.sql(statement)
    assert (await here.verify(filled)).ok


async def test_a_row_can_not_be_replaced_nor_the_table_emptied(here: Place, kind: str, filled: Database) -> None:
    statement = "TRUNCATE audit" if kind == "postgresql" else "REPLACE INTO audit SELECT * FROM audit WHERE seq = 5"
    with pytest.raises((sqlite3.IntegrityError, RuntimeError), match="never changed or deleted"):
        here.sql(statement)
    assert (await here.verify(filled)).rows == 21


EDITS = (
    "actor = 'eve'", "actor_id = 'x'", "session_id = 'x'", "request_id = 'x'", "action = 'user.create'", "object_type = 'x'",
    "object = 'x'", "outcome = 'denied'", "reason = 'x'", "ip = '::1'", "details = '{\"size\": 1.25}'", "hash = 'é'",
    "prev_hash = 'x'", "at = '2020-01-01 00:00:00.000000'",
)  # fmt: skip


async def test_an_edited_row_is_named_whatever_was_edited(here: Place, filled: Database) -> None:
    here.tamper("CREATE TABLE kept AS SELECT * FROM audit WHERE seq = 7")
    for column in EDITS:
        here.tamper(f"UPDATE audit SET {column} WHERE seq = 7")
        found = await here.verify(filled)
        assert (found.ok, found.first_bad, found.rows) == (False, 7, 6), column
        assert "row 7 was changed" in found.problem
        here.tamper("DELETE FROM audit WHERE seq = 7", "INSERT INTO audit SELECT * FROM kept")
        assert (await here.verify(filled)).ok, column


@pytest.mark.parametrize("value", ["details = '{broken'", "at = 'yesterday'", "object = x'ff00'", "details = 'NaN'"])
async def test_a_row_that_cannot_even_be_read_is_named(tmp_path: Path, value: str) -> None:
    with place("sqlite", tmp_path) as here:
        database = await here.filled(20)
        here.tamper(f"UPDATE audit SET {value} WHERE seq = 7")
        found = await here.verify(database)
        assert (found.ok, found.first_bad) == (False, 7)
        await database.close()


async def test_a_deleted_row_is_named(here: Place, filled: Database) -> None:
    here.tamper("DELETE FROM audit WHERE seq IN (9, 10)")
    found = await here.verify(filled)
    print(found.problem)
    assert (found.ok, found.first_bad, found.problem) == (False, 9, "rows 9 to 10 are missing")


async def test_two_exchanged_rows_are_named(here: Place, filled: Database) -> None:
    here.tamper(
        "UPDATE audit SET seq = 100 WHERE seq = 5", "UPDATE audit SET seq = 5 WHERE seq = 6",
        "UPDATE audit SET seq = 6 WHERE seq = 100",
    )  # fmt: skip
    found = await here.verify(filled)
    print(found.problem)
    assert (found.ok, found.first_bad) == (False, 5)
    assert found.problem == "row 5 was exchanged: it holds what was written as row 6"


async def test_a_cut_tail_is_named_by_the_head(here: Place, filled: Database) -> None:
    here.tamper("DELETE FROM audit WHERE seq > 15")
    found = await here.verify(filled)
    assert (found.ok, found.first_bad) == (False, 16)
    assert found.problem == "rows 16 to 21 are missing at the end: the head of the chain names row 21"


async def test_a_cut_tail_is_named_by_the_checkpoint_when_the_head_was_cut_too(here: Place, filled: Database) -> None:
    assert await here.checkpoint(filled)
    assert not await here.checkpoint(filled)  # nothing new
    cut = "UPDATE audit_head SET seq = 15, written = 15, hash = (SELECT hash FROM audit WHERE seq = 15)"
    here.tamper("DELETE FROM audit WHERE seq > 15", cut)
    found = await here.verify(filled)
    print(found.problem)
    assert (found.ok, found.first_bad) == (False, 16)
    assert "rows 16 to 21 are missing at the end: the checkpoint of" in found.problem
    for number in range(9):  # and no row that is written later covers it up
        await add(filled, f"later-{number}")
    found = await here.verify(filled)
    assert (found.ok, found.first_bad) == (False, 21)
    assert "the table was replaced, or rolled back and written on" in found.problem


async def test_the_beginning_cannot_be_cut_off(here: Place, filled: Database) -> None:
    here.tamper("DELETE FROM audit WHERE seq < 4")
    found = await here.verify(filled)
    assert (found.ok, found.first_bad, found.problem) == (False, 1, "rows 1 to 3 are missing")


async def test_an_emptied_table_is_named(here: Place, kind: str, filled: Database) -> None:
    if kind == "mariadb":  # its triggers do not see this
        here.sql("TRUNCATE audit")
    else:
        here.tamper("DELETE FROM audit")
    found = await here.verify(filled)
    assert (found.ok, found.first_bad) == (False, 1)
    assert "rows 1 to 21 are missing" in found.problem


async def test_rows_written_with_another_key_are_named(here: Place, filled: Database) -> None:
    other = here.database(b"x" * 32)
    await add(other, "forged")
    found = await here.verify(filled)
    assert (found.ok, found.first_bad) == (False, 22)
    assert "written without the key" in found.problem
    await other.close()


async def test_a_forged_tombstone_hides_nothing(here: Place, filled: Database) -> None:
    other = here.database(b"x" * 32)
    async with other.write() as session:
        await record(session, None, "audit.retain", last_seq=10, last_hash="0" * 64, written=10)
    here.tamper("DELETE FROM audit WHERE seq <= 10")
    found = await here.verify(filled)
    assert (found.ok, found.first_bad) == (False, 22)
    await other.close()


async def test_a_database_that_was_put_back_is_named(tmp_path: Path) -> None:
    with place("sqlite", tmp_path) as here:
        database = await here.filled(5)
        here.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(tmp_path / "x.db", tmp_path / "old.db")
        for number in range(5):
            await add(database, f"more-{number}")
        await here.checkpoint(database)
        await database.close()
        shutil.copy(tmp_path / "old.db", tmp_path / "x.db")
        (tmp_path / "x.db-wal").unlink(missing_ok=True)
        again = here.database()
        found = await here.verify(again)
        assert (found.ok, found.first_bad) == (False, 7)
        for number in range(9):
            await add(again, f"other-{number}")
        found = await here.verify(again)
        assert (found.ok, found.first_bad) == (False, 11)
        assert "replaced, or rolled back" in found.problem
        await again.close()


@pytest.mark.parametrize("damage", ["edit", "cut", "drop", "forge"])
async def test_a_damaged_line_of_the_checkpoints_is_named(tmp_path: Path, damage: str) -> None:
    with place("sqlite", tmp_path) as here:
        database = await here.filled(1)
        for number in range(3):
            await add(database, f"more-{number}")
            await here.checkpoint(database)
        lines = here.checkpoints.path.read_text().splitlines(keepends=True)
        changed = {
            "edit": [lines[0], lines[1].replace('"seq": 4', '"seq": 3'), lines[2]],
            "cut": [lines[0], lines[1], lines[2][:40]],
            "drop": [lines[0], lines[2]],
            "forge": [lines[0], "{}\n", lines[2]],
        }[damage]
        here.checkpoints.path.write_text("".join(changed))
        found = await here.verify(database)
        print(found.problem)
        assert (found.ok, found.first_bad, found.rows) == (False, None, 5)
        assert f"line {3 if damage == 'cut' else 2} of the checkpoint file" in found.problem
        await database.close()


# --- rows from before the chain ------------------------------------------------------------------------------------------


async def older_installation(here: Place, rows: int) -> None:
    """Make a database as the revision before left it, with rows in its audit."""
    database = here.database()
    await _migrate_to(database, "0002")
    for number in range(1, rows + 1):
        here.sql(
            "INSERT INTO audit (seq, at, actor_id, actor, session_id, action, object, outcome, ip, details) VALUES "
            f"({number * 2}, '2026-01-02 03:04:05.0000{number:02}', 'u', 'ada', 's', 'auth.login', 'ada', 'success', '::1', '{{}}')"
        )
    await database.close()


async def _migrate_to(database: Database, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    from engine.database.database import MIGRATIONS

    def upgrade(connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with database._engine.execution_options(immediate=True).begin() as connection:
        await connection.run_sync(upgrade)


async def test_rows_of_an_older_installation_are_sealed_by_the_first_row_of_the_chain(here: Place) -> None:
    await older_installation(here, 5)
    databases = [here.database() for _ in range(3)]
    await asyncio.gather(*(database.migrate() for database in databases))
    database = databases[0]
    await add(database, "after")
    found = await here.verify(database)
    assert (found.ok, found.rows, found.head) == (True, 7, 12)
    async with database.read() as session:
        first = await session.get_one(Audit, 11)
        count = await session.scalar(select(func.count()).select_from(Audit).where(Audit.action == "audit.start"))
    assert count == 1
    assert first.action == "audit.start"
    assert {name: first.details[name] for name in ("rows", "first_seq", "last_seq")} == {
        "rows": 5,
        "first_seq": 2,
        "last_seq": 10,
    }
    for statement in (
        "UPDATE audit SET actor = 'eve' WHERE seq = 4",
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit WHERE seq < 11",
    ):
        here.tamper(statement)
        found = await here.verify(database)
        assert (found.ok, found.first_bad) == (False, 2), statement
        assert "rows from before the chain (2 to 10) were changed" in found.problem
    for one in databases:
        await one.close()


async def test_the_migration_can_be_undone(here: Place) -> None:
    database = await here.filled(2)
    from alembic import command
    from alembic.config import Config

    from engine.database.database import MIGRATIONS

    def downgrade(connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")

    async with database._engine.execution_options(immediate=True).begin() as connection:
        await connection.run_sync(downgrade)
    assert here.sql("SELECT count(*) FROM audit") == "3"
    await database.close()


# --- a database that fails -----------------------------------------------------------------------------------------------

REFUSE = "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END"


async def test_when_the_audit_cannot_be_written_nothing_is_changed(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        await workbench.create_user(ADMIN, "bob", PASSWORD, "analyst")
        collection = (await workbench.create_collection(ADMIN, "handbook")).id
        document = await add_document(workbench, collection, "a.txt", "Parking is free.")
        with sqlite3.connect(tmp_path / "workbench.db") as connection:
            connection.execute(REFUSE)
        for attempt in (
            workbench.sign_in("bob", PASSWORD, **FROM),
            workbench.create_user(ADMIN, "eve", PASSWORD, "admin"),
            workbench.delete_document(ADMIN, document.id),
            workbench.original(ADMIN, document.id),
            workbench.delete_collection(ADMIN, collection),
        ):
            with pytest.raises(StoreError, match="the audit cannot be written, so nothing was changed") as refusal:
                await attempt
            assert refusal.value.hint
        async with workbench.database.read() as session:
            assert await session.scalar(select(func.count()).select_from(Session)) == 0
            assert list(await session.scalars(select(User.name))) == ["bob"]
            assert (await session.get_one(DocumentRow, document.id)).deleted_at is None
        with sqlite3.connect(tmp_path / "workbench.db") as connection:
            connection.execute("DROP TRIGGER broken")
        connection.close()
        assert await workbench.sign_in("bob", PASSWORD, **FROM)
        assert (await workbench.audit_verify(ADMIN)).ok


async def test_without_its_head_the_audit_takes_nothing(here: Place, filled: Database) -> None:
    here.sql("DELETE FROM audit_head")
    with pytest.raises(StoreError, match="head of the audit is missing"):
        await add(filled, "x")
    found = await here.verify(filled)
    assert not found.ok
    assert "head of the audit is missing" in found.problem


async def test_without_a_key_nothing_that_is_recorded_can_be_changed(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    await database.migrate()
    with pytest.raises(StoreError, match="no key"):
        await add(database, "x")
    await database.close()


async def test_a_clock_that_goes_back_is_written_into_the_row(here: Place, filled: Database, monkeypatch) -> None:
    for seconds, told in ((3, None), (600, pytest.approx(600, abs=30)), (600, None)):
        monkeypatch.setattr(audit_chain, "now", lambda back=seconds: datetime.now(UTC) - timedelta(seconds=back))
        await add(filled, "x")
        async with filled.read() as session:
            row = await session.scalar(select(Audit).order_by(Audit.seq.desc()).limit(1))
        assert row.details.get("clock_back_seconds") == told
    assert (await here.verify(filled)).ok


async def test_the_key_is_nowhere_in_the_database(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        await workbench.create_collection(ADMIN, "handbook")
    from engine.security.sealing import audit_key
    from engine.settings import load_secrets, load_settings

    key = audit_key(load_secrets(load_settings(data_dir=tmp_path))["secret_key"].get_secret_value())
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("workbench.db*"))
    assert b"collection.create" in stored
    assert key not in stored
    assert key.hex().encode() not in stored
