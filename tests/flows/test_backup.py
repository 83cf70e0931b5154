"""A backup becomes an installation again: on every database, after interruptions, and by the clock."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from engine.assembly import Assembly
from engine.database.columns import Base, now
from engine.database.database import Database
from engine.database.ingestion_models import Backup, JobEventRow
from engine.database.models import Job, Session, Version
from engine.database.provider_models import SpaceRow
from engine.errors import AccessDenied, BrokenFile, ConfigError, EngineError, InputError, StoreError
from engine.security import sealed_stream
from engine.services.backup_archive import ArchiveReader, ArchiveWriter
from engine.services.backup_schedule import BackupSchedule
from engine.services.backups import DIED
from engine.services.checks.backup import backup_check
from engine.services.restore import restore
from engine.testing import ADMIN, HashedWords, offline_settings, offline_workbench
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.servers.databases import SERVERS, database

QUESTION = "How many days of paid leave does an employee have?"
TEXTS = {
    "leave.txt": "Every employee has thirty days of paid leave a year – “Urlaub” 😀.",
    "parking.txt": "Parking is free for visitors on the second floor.",
}
WORDS = "correct horse battery staple"
LOCAL = Principal(user_id="local", name="command line", role=Role.ADMIN)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_stream, "COST", 2**8)
    monkeypatch.setattr(os, "sync", lambda: None)


async def filled(workbench: Workbench) -> str:
    collection = (await workbench.create_collection(ADMIN, "handbook")).id
    for name, content in TEXTS.items():
        await add(workbench, collection, name, content)
    return collection


async def counted(database: Database) -> dict[str, int]:
    async with database.read() as session:
        tables = Base.metadata.sorted_tables
        return {one.name: await session.scalar(select(func.count()).select_from(one)) or 0 for one in tables}


async def made(folder: Path, target: Path, *, passphrase: str = "", **settings: Any) -> tuple[str, Any]:
    """Fill a workbench, back it up, and return the collection and the answer to QUESTION."""
    async with offline_workbench(folder, **settings) as workbench:
        collection = await filled(workbench)
        answer = await workbench.ask(ADMIN, QUESTION, collections=[collection])
        report = await workbench.backup(LOCAL, target, passphrase=passphrase)
        assert (report.problems, report.files, report.encrypted) == ((), 2, bool(passphrase))
    return collection, answer


@pytest.fixture
async def backed_up(tmp_path: Path) -> Path:
    await made(tmp_path / "old", tmp_path / "x.tar")
    return tmp_path / "x.tar"


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("postgresql", "mariadb"), ("mariadb", "sqlite")])  # fmt: skip
async def test_a_restored_place_answers_alike_and_its_audit_goes_on(source: str, target: str, tmp_path: Path) -> None:
    with Servers() as urls:
        here, there = urls.url(source), urls.url(target)
        collection, before = await made(tmp_path / "old", tmp_path / "x.tar", passphrase=WORDS, **here)
        settings = offline_settings(tmp_path / "new", **there)
        report = await restore(settings, tmp_path / "x.tar", passphrase=WORDS, principal=LOCAL)
        assert report.files == 2
        embedder = HashedWords()
        async with offline_workbench(tmp_path / "new", embedder=embedder, **there) as workbench:
            assert await workbench.search(ADMIN, QUESTION, collections=[collection], mode="dense")
            assert embedder.embedded == 0
            after = await workbench.ask(ADMIN, QUESTION, collections=[collection])
            assert (after.text, after.citations) == (before.text, before.citations)
            assert (await workbench.audit_verify(ADMIN)).ok
            assert [one.object for one in await workbench.audit(ADMIN) if one.action == "backup.restore"] == ["x.tar"]
            if target != "sqlite":  # rows that get their number from the database
                async with workbench.database.write() as session:
                    version = await session.scalar(select(Version.id).limit(1))
                    session.add_all([JobEventRow(version_id=version), JobEventRow(version_id=version)])
            await add(workbench, collection, "new.txt", "The canteen opens at noon.")
            with pytest.raises(EngineError):  # the triggers are there
                async with workbench.database.write() as session:
                    await session.execute(text("UPDATE audit SET actor = 'eve'"))


class Servers:
    """Databases for the time of a test."""

    def __enter__(self) -> Servers:
        self._stack = ExitStack()
        self._urls: dict[str, dict[str, str]] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def url(self, kind: str) -> dict[str, str]:
        if kind not in self._urls:
            known = kind in SERVERS
            self._urls[kind] = {"database_url": self._stack.enter_context(database(kind))[0]} if known else {}
        return self._urls[kind]


async def test_every_row_comes_back_but_what_was_true_only_there(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path / "old") as workbench:
        await filled(workbench)
        user = await workbench.create_user(ADMIN, "grace", "a long enough password", Role.ANALYST)
        signed_in = await workbench.sign_in("grace", "a long enough password", ip="127.0.0.1", user_agent="test")
        async with workbench.database.write() as session:
            job = await session.scalar(select(Job).limit(1))
            job.state, job.lease_owner, job.lease_until = "running", "w", now()
            session.add(SpaceRow(id="5" * 32, collection_id="c", store="qdrant", dimension=3, seq=9))
        await workbench.backup(LOCAL, tmp_path / "x.tar")
        old = await counted(workbench.database)
    await restore(offline_settings(tmp_path / "new"), tmp_path / "x.tar")
    async with offline_workbench(tmp_path / "new") as workbench:
        new = await counted(workbench.database)
        same = set(old) - {"audit", "backups", "snapshots", "heartbeats", "tickets"}
        assert {name: new[name] for name in same} == {name: old[name] for name in same}
        assert await workbench.authenticate(signed_in.token) is None
        async with workbench.database.read() as session:
            assert (await session.scalar(select(Session.reason).where(Session.user_id == user.id))) == "restored from a backup"
            assert set(await session.scalars(select(Job.state))) == {"queued", "done"}
            space = await session.scalar(select(SpaceRow))
            assert (space.id != "5" * 32, space.seq) == (True, 0), "two installations must not share a space"
        assert (await workbench.sign_in("grace", "a long enough password", ip="127.0.0.1", user_agent="test")).token


async def test_nothing_is_restored_over_what_is_there(backed_up: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not empty"):
        await restore(offline_settings(tmp_path / "old"), backed_up)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "secrets.json").write_text("{}")
    with pytest.raises(InputError, match="not empty"):
        await restore(offline_settings(tmp_path / "new"), backed_up)
    await restore(offline_settings(tmp_path / "new"), backed_up, force=True)
    assert [one.read_text() for one in (tmp_path / "new").glob("replaced-*/secrets.json")] == ["{}"]
    with pytest.raises(ConfigError, match="secret_key"):
        await restore(offline_settings(tmp_path / "other", secret_key="0123456789abcdef0123456789abcdef!"), backed_up)


async def test_a_restored_place_is_for_this_account_only(backed_up: Path, tmp_path: Path) -> None:
    await restore(offline_settings(tmp_path / "new" / "data"), backed_up)
    assert (tmp_path / "new" / "data").stat().st_mode & 0o077 == 0


async def test_a_damaged_backup_is_noticed_before_anything_is_restored(backed_up: Path, tmp_path: Path) -> None:
    data = bytearray(backed_up.read_bytes())
    data[data.index(b"thirty")] ^= 4
    backed_up.write_bytes(data)
    with pytest.raises(BrokenFile):
        await restore(offline_settings(tmp_path / "new"), backed_up)
    assert not (tmp_path / "new" / "workbench.db").exists()
    async with offline_workbench(tmp_path / "old") as workbench:
        found = await workbench.verify_backup(LOCAL, backed_up)
        assert any("was altered" in problem for problem in found.problems)


class Crash(BaseException):
    """The machine stops."""


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
async def test_a_restore_that_was_interrupted_anywhere_is_begun_again(kind: str, backed_up: Path, tmp_path: Path) -> None:
    steps = ["prepared", "unpacked", "tables made", "table audit", "files", "finished"]
    with Servers() as urls:
        settings = offline_settings(tmp_path / "new", **urls.url(kind))
        for step in steps if kind == "sqlite" else steps[3:4]:

            def reached(now_at: str, step: str = step) -> None:
                if now_at == step:
                    raise Crash

            with pytest.raises(Crash):
                await restore(settings, backed_up, reached=reached)
            if step not in {"prepared", "unpacked"}:
                with pytest.raises(StoreError, match="interrupted"):  # what is half there is not served
                    async with offline_workbench(tmp_path / "new", **urls.url(kind)):
                        pass
        await restore(settings, backed_up)
        async with offline_workbench(tmp_path / "new", **urls.url(kind)) as workbench:
            assert len(await workbench.documents(ADMIN)) == 2
            assert (await workbench.audit_verify(ADMIN)).ok


async def test_a_backup_of_an_older_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    """Tables of revision 0006, filled as its version would have, as a backup of that version."""
    await made(tmp_path / "old", tmp_path / "x.tar")
    early = Database(f"sqlite+aiosqlite:///{tmp_path}/early.db")
    await early.upgrade("0006")
    async with early.schema() as connection:
        known = {
            name: {row[1] for row in await connection.execute(text(f"PRAGMA table_info({name})"))}
            for name in (await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))).scalars()
        }
    await early.close()
    with ArchiveReader(tmp_path / "x.tar") as archive:
        parts = {entry.path: b"".join(iter(entry.read, b"")) for entry in archive}
        manifest = archive.manifest
    manifest["revision"] = "0006"
    manifest["tables"] = [one for one in manifest["tables"] if one["name"] in known]
    with ArchiveWriter(tmp_path / "y.tar", at=now()) as out:
        for table in manifest["tables"]:
            kept = [n for n, name in enumerate(table["columns"]) if name in known[table["name"]]]
            table["columns"] = {name: kind for name, kind in table["columns"].items() if name in known[table["name"]]}
            path = f"tables/{table['name']}.jsonl.gz"
            rows = [json.loads(line) for line in gzip.decompress(parts[path]).splitlines()]
            if table["name"] == "counters":  # one of them came with 0007
                rows = [row for row in rows if "holds" not in row]
                table["rows"] = len(rows)
            lines = b"".join(json.dumps([row[n] for n in kept]).encode() + b"\n" for row in rows)
            out.add_bytes(path, gzip.compress(lines))
        for path, data in parts.items():
            if not path.startswith("tables/"):
                out.add_bytes(path, data)
        out.finish({name: value for name, value in manifest.items() if name != "members"})
    await restore(offline_settings(tmp_path / "new"), tmp_path / "y.tar")
    async with offline_workbench(tmp_path / "new") as workbench:
        assert await workbench.database.migrated()
        assert len(await workbench.documents(ADMIN)) == 2
        assert (await workbench.audit_verify(ADMIN)).ok


async def test_a_backup_beside_writers_holds_one_moment(tmp_path: Path) -> None:
    """Documents and their versions are written together: a backup never holds one without the other."""
    async with offline_workbench(tmp_path / "old") as workbench:
        collection = await filled(workbench)
        stop = asyncio.Event()

        async def write() -> int:
            n = 0
            while not stop.is_set():
                await workbench.upload(ADMIN, collection, f"w{n}.txt", f"Number {n}.".encode())
                n += 1
            return n

        writer = asyncio.create_task(write())
        for n in range(2):
            await workbench.backup(LOCAL, tmp_path / f"{n}.tar")
        stop.set()
        assert await writer > 2, "nothing was written meanwhile"
    for n in range(2):
        settings = offline_settings(tmp_path / f"new{n}")
        assert not (await restore(settings, tmp_path / f"{n}.tar")).problems
        async with offline_workbench(tmp_path / f"new{n}") as workbench:
            rows = await counted(workbench.database)
            assert rows["documents"] == rows["versions"] == rows["jobs"]


async def test_only_admins_make_backups_and_names_stay_in_the_folder(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        operator = Principal(user_id="b" * 32, name="bob", role=Role.OPERATOR, session_id="s")
        with pytest.raises(AccessDenied):
            await workbench.backup(operator)
        for name in ("/etc/x.tar", "../x.tar", "a/b.tar", ".x"):
            with pytest.raises(InputError, match="plain name"):
                await workbench.backup(ADMIN, Path(name))
            with pytest.raises(InputError, match="plain name"):
                await workbench.verify_backup(ADMIN, Path(name))
        begun, again = await asyncio.gather(*[workbench.start_backup(ADMIN) for _ in range(2)], return_exceptions=True)
        assert isinstance(again, InputError)
        assert "made already" in str(again)
        assert begun.state == "running"
        while (found := await workbench.backups(operator))[0].state == "running":
            await asyncio.sleep(0.01)
        assert (found[0].state, (tmp_path / "backups" / found[0].name).exists()) == ("done", True)
        assert (await workbench.test_backup(ADMIN, found[0].id)).test_ok is True
        told = [one.action for one in await workbench.audit(ADMIN)]
        assert {"backup.create", "backup.verify"} <= set(told)


async def test_a_backup_whose_server_was_killed_is_told_to_have_failed(tmp_path: Path) -> None:
    assembly = Assembly(offline_settings(tmp_path))
    assembly.use_embedder("local", HashedWords())
    moment = now()
    assembly.backups.clock = lambda: moment
    async with assembly.opened(serve=False) as workbench:
        left = await assembly.backups.begin(tmp_path / "backups" / "left.tar", passphrase="")
        assert [one.state for one in await workbench.backups(ADMIN)] == ["running"]
        moment += timedelta(minutes=2)
        (told,) = await workbench.backups(ADMIN)
        assert (told.state, told.detail) == ("failed", DIED)
        await workbench.backup(ADMIN)
        async with assembly.database.read() as session:
            assert (await session.get_one(Backup, left.id)).state == "failed"


async def test_scheduled_backups_are_made_tested_and_rotated_by_one_process(tmp_path: Path) -> None:
    rules = {"every_hours": 24, "keep": 2, "passphrase": WORDS}
    assembly = Assembly(offline_settings(tmp_path, backups=rules))
    assembly.use_embedder("local", HashedWords())
    moment = now()
    assembly.backups.clock = lambda: moment
    schedule, check = assembly.backup_schedule, backup_check(assembly.database, assembly.settings.backups, wall=lambda: moment)
    async with assembly.opened(serve=False) as workbench:
        await filled(workbench)
        other = BackupSchedule(database=assembly.database, backups=assembly.backups, rules=assembly.settings.backups)
        (tmp_path / "backups").mkdir()
        (tmp_path / "backups" / "mine.tar").write_text("made by hand")
        assert await schedule.look()
        assert not await other.look(), "another process has the lease"
        assert not await schedule.look(), "it is not time yet"
        for _ in range(2):
            moment += timedelta(hours=24)
            assert await schedule.look()
        rows = await workbench.backups(ADMIN)
        assert [(row.state, row.scheduled, row.encrypted, row.test_ok) for row in rows] == [("done", True, True, True)] * 2
        assert "came back" in rows[0].detail
        files = {one.name for one in (tmp_path / "backups").iterdir()}
        assert files == {rows[0].name, rows[1].name, "mine.tar"}
        assert (await check.run(False)).state == "ok"
        moment += timedelta(hours=49)
        late = await check.run(False)
        assert (late.state, "49 h" in late.detail) == ("degraded", True)
        async with assembly.database.write() as session:  # a process that ended while it made one
            await session.execute(insert(Backup).values(id="r" * 32, name="half.tar", scheduled=True, started_at=moment))
        moment += timedelta(hours=2)
        assert await other.look(), "it takes over when the lease is over, and does not wait a day after a failure"
        state = {row.name: row.state for row in await workbench.backups(ADMIN)}
        assert state["half.tar"] == "failed"


async def test_a_backup_that_does_not_restore_is_told_by_its_row_and_the_health_page(tmp_path: Path) -> None:
    assembly = Assembly(offline_settings(tmp_path, backups={"every_hours": 1}))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        await filled(workbench)
        assert await assembly.backup_schedule.look()
        row = (await workbench.backups(ADMIN))[0]
        path = tmp_path / "backups" / row.name
        path.write_bytes(path.read_bytes()[:-2000])
        tested = await workbench.test_backup(ADMIN, row.id)
        assert (tested.test_ok, "cut off" in tested.detail) == (False, True)
        found = await backup_check(assembly.database, assembly.settings.backups).run(False)
        assert (found.state, "restore test failed" in found.detail) == ("degraded", True)
