"""The tables on real servers: what is stored comes back, and what two do at once ends well."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, func, select, text, update

from engine.database import (  # noqa: F401 - fill the metadata
    access_models,
    chat_models,
    ingestion_models,
    operations_models,
    provider_models,
)
from engine.database.access_models import Group
from engine.database.audit import record
from engine.database.columns import Base
from engine.database.database import Database, changed, next_sequence
from engine.database.mariadb import is_busy
from engine.database.models import Counter, User, VectorRow
from engine.database.provider_models import CallRow
from engine.errors import ConfigError, DatabaseBusy, InputError, StoreError
from tests.servers import mariadb
from tests.servers.databases import SERVERS, database

ROOT = Path(__file__).resolve().parents[3]
KEY = b"k" * 32
MIGRATE = """
import asyncio, sys
from engine.database.database import Database

async def main(url):
    database = Database(url, audit_key=b"k" * 32)
    await database.migrate()
    await database.close()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest):
    with database(request.param) as (found, _):
        yield found


@pytest.fixture
def on_mariadb():
    with mariadb.database() as (found, name):
        yield found, name


@pytest.fixture
async def here(url: str) -> AsyncIterator[Database]:
    made = Database(url, audit_key=KEY)
    await made.migrate()
    yield made
    await made.close()


async def differences(one: Database) -> list[object]:
    async with one.read() as session:
        return await session.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync.connection(), opts={"compare_type": True}), Base.metadata
            )
        )


async def sequence_rows(one: Database) -> list[tuple[str, int]]:
    async with one.read() as session:
        return sorted(tuple(row) for row in await session.execute(select(Counter.name, Counter.value)))


async def test_processes_that_migrate_at_once_make_the_tables_of_the_models_once(url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [(await asyncio.to_thread(one.communicate, timeout=120))[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    again = Database(url, audit_key=KEY)
    await again.migrate()
    await again.migrate()
    assert await differences(again) == []
    assert await sequence_rows(again) == [("holds", 0), ("sequence", 0)]
    async with again.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM audit")) == 1
    await again.close()


async def test_an_interrupted_migration_goes_on_where_it_stopped(on_mariadb: tuple[str, str]) -> None:
    """There, every statement that makes something commits by itself; so each attempt finds what the one before it left."""
    one = Database(on_mariadb[0], audit_key=KEY)
    left, attempts = 0, 0

    def interrupt(_connection, _cursor, statement, *_rest) -> None:
        nonlocal left
        if statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE")):
            left -= 1
            if not left:
                raise KeyError("the power is cut")

    event.listen(one._engine.sync_engine, "before_cursor_execute", interrupt)
    for attempts in range(1, 60):  # noqa: B007
        left = attempts * 5
        try:
            await one.migrate()
        except KeyError:
            continue
        break
    event.remove(one._engine.sync_engine, "before_cursor_execute", interrupt)
    assert 8 < attempts < 59
    assert await differences(one) == []
    assert await sequence_rows(one) == [("holds", 0), ("sequence", 0)]
    async with one.write() as session:
        await record(session, None, "document.upload", "d")
    triggers = mariadb.running().sql("SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
                                     on_mariadb[1])  # fmt: skip
    assert sorted(triggers.splitlines()) == ["audit_no_delete", "audit_no_update"]
    await one.close()


async def test_another_who_migrates_is_waited_for_and_then_told_of(on_mariadb: tuple[str, str], monkeypatch) -> None:
    monkeypatch.setattr("engine.database.mariadb.LOCK_SECONDS", 0)
    one, other = Database(on_mariadb[0], audit_key=KEY), Database(on_mariadb[0])
    async with other.read() as session:
        await session.execute(text("SELECT GET_LOCK(CONCAT('workbench migrations ', MD5(DATABASE())), 1)"))
        with pytest.raises(StoreError, match="another process is changing the tables"):
            await one.migrate()
        await session.execute(text("SELECT RELEASE_LOCK(CONCAT('workbench migrations ', MD5(DATABASE())))"))
    await one.migrate()
    assert mariadb.running().sql("SELECT IS_FREE_LOCK(CONCAT('workbench migrations ', MD5(DATABASE())))", on_mariadb[1]) == "1"
    for each in (one, other):
        await each.close()


async def test_names_are_as_different_as_their_characters(here: Database) -> None:
    names = ["bob", "Bob", "böb", "bo\u0308b", "bob ", "straße", "strasse", "😀", "😁"]
    for name in names:
        async with here.write() as session:
            session.add(Group(name=name))
    async with here.read() as session:
        for name in names:
            assert list(await session.scalars(select(Group.name).where(Group.name == name))) == [name]
            assert list(await session.scalars(select(Group.name).where(Group.name.in_([name])))) == [name]
    with pytest.raises(InputError, match="somebody else"):
        async with here.write() as session:
            session.add(Group(name="böb"))


async def test_what_is_stored_comes_back(here: Database) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123_457, tzinfo=UTC)  # in an hour that some zones do not have
    data = bytes(range(256)) * 400
    async with here.write() as session:
        session.add(VectorRow(model_id="m", text_sha256="t", data=data))
        session.add(CallRow(at=moment, day="2026-03-29", provider="p", job="j", cost_usd=0.1 + 0.2, elapsed_ms=1 / 3))
        session.add(CallRow(at=moment, day="2026-03-29", provider="p", job="j", input_tokens=2_000_000_000, elapsed_ms=0))
        session.add(User(name="bob", password_hash="x", role="analyst", disabled_at=moment))
    async with here.read() as session:
        assert (await session.get_one(VectorRow, ("m", "t"))).data == data
        row = (await session.scalars(select(CallRow).order_by(CallRow.id))).first()
        assert row is not None
        assert (row.at, row.cost_usd, row.elapsed_ms) == (moment, 0.1 + 0.2, 1 / 3)
        user = (await session.scalars(select(User).where(User.disabled_at == moment))).one()
        assert (user.disabled_at, user.must_change) == (moment, False)
        tokens = await session.scalar(select(func.sum(CallRow.input_tokens)))
        assert (type(tokens), tokens) == (int, 2_000_000_000)


async def test_a_text_that_is_too_long_is_refused_and_not_cut(here: Database) -> None:
    with pytest.raises(InputError, match="too long"):
        async with here.write() as session:
            session.add(Group(name="x" * 101))
    async with here.read() as session:
        assert await session.scalar(select(func.count()).select_from(Group)) == 0


async def test_a_change_counts_the_rows_that_it_found_not_those_that_differ(here: Database) -> None:
    async with here.write() as session:
        same = update(Counter).where(Counter.name == "sequence").values(value=0)
        assert await changed(session, same) == 1
        assert await changed(session, same.where(Counter.value == 1)) == 0


async def test_the_sequence_has_no_gaps_and_no_doubles_under_concurrency(here: Database) -> None:
    async def one() -> int:
        async with here.write() as session:
            await session.scalar(select(Counter.value))  # whatever was read before the wait is old by then
            return await next_sequence(session)

    assert sorted(await asyncio.gather(*(one() for _ in range(30)))) == list(range(1, 31))


async def two_rows(one: Database) -> None:
    async with one.write() as session:
        session.add_all([Group(id="a", name="a"), Group(id="b", name="b")])


def renamed(group: str, name: str):
    return update(Group).where(Group.id == group).values(name=name)


async def test_of_two_who_wait_for_each_other_one_is_told_to_try_again(on_mariadb: tuple[str, str]) -> None:
    one = Database(on_mariadb[0], audit_key=KEY)
    await one.migrate()
    await two_rows(one)
    met = asyncio.Barrier(2)

    async def change(first: str, second: str) -> None:
        async with one.write() as session:
            await record(session, None, "group.rename", first)
            await session.execute(renamed(first, f"{first} of {first}"))
            await met.wait()
            await session.execute(renamed(second, f"{second} of {first}"))

    results = await asyncio.gather(change("a", "b"), change("b", "a"), return_exceptions=True)
    busy = [result for result in results if result is not None]
    assert [type(result) for result in busy] == [DatabaseBusy]
    assert busy[0].retryable
    assert busy[0].hint == "Nothing was saved; try again."
    async with one.read() as session:
        names = set(await session.scalars(select(Group.name)))
        assert names in ({"a of a", "b of a"}, {"a of b", "b of b"})
        assert await session.scalar(text("SELECT count(*) FROM audit WHERE action = 'group.rename'")) == 1
    await one.close()


async def test_a_lock_that_is_not_given_in_time_leaves_nothing_and_is_said(on_mariadb: tuple[str, str]) -> None:
    one = Database(on_mariadb[0], audit_key=KEY)
    await one.migrate()
    await two_rows(one)

    async def change() -> None:
        async with one.write() as session:
            await session.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
            await session.execute(renamed("a", "another"))
            await record(session, None, "group.rename", "a")

    async with one.write() as holder:
        await holder.execute(text("SELECT * FROM audit_head FOR UPDATE"))
        with pytest.raises(DatabaseBusy):
            await change()
    async with one.read() as session:
        assert set(await session.scalars(select(Group.name))) == {"a", "b"}
    await one.close()


async def test_each_session_is_strict_and_reads_what_is_committed(on_mariadb: tuple[str, str]) -> None:
    one = Database(on_mariadb[0])
    async with one.read() as session:
        settings = (await session.execute(text("SELECT @@sql_mode, @@tx_isolation, @@character_set_connection"))).one()
    assert "STRICT_ALL_TABLES" in settings[0]
    assert tuple(settings[1:]) == ("READ-COMMITTED", "utf8mb4")
    await one.close()


async def test_a_server_that_is_gone_is_one_clear_line_without_the_password() -> None:
    one = Database(f"mariadb+asyncmy://{mariadb.USER}:{mariadb.PASSWORD}@127.0.0.1:1/x")
    with pytest.raises(StoreError) as refusal:
        await one.ping()
    assert mariadb.PASSWORD not in str(refusal.value)
    assert not is_busy(refusal.value.__cause__)
    await one.close()


def test_an_address_of_mysql_is_refused() -> None:
    with pytest.raises(ConfigError) as refusal:
        Database("mysql+asyncmy://user:secret@host/x")
    assert "mariadb+asyncmy://" in refusal.value.hint
    assert "secret" not in f"{refusal.value}{refusal.value.hint}"
