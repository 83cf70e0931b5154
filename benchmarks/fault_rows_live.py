"""F6 to F9: stores and databases that go away, damaged index files, races."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from benchmarks.fault_ground import Ground, Row, rows_of
from benchmarks.fault_worker import ME
from engine.assembly import Assembly
from engine.database.columns import now
from engine.database.models import Collection, Snapshot, Version
from engine.errors import AccessDenied, EngineError, StoreError
from engine.keeping_views import ReconcileReport
from engine.services import indexes
from engine.services.backlog import Follower, behind
from engine.services.checks import backlog as backlog_checks
from engine.stores.chroma import ChromaStore
from engine.testing import HashedWords, offline_settings
from engine.types import Entry, Role
from engine.workbench import Workbench
from tests.servers import chroma_server
from tests.servers.postgres import PASSWORD, USER, Postgres

ROOMS = "The {thing} number {n} is kept in room {n}. Ask at desk {n}."
QUESTION = "Where is the lamp kept?"


@asynccontextmanager
async def opened(data: Path, embedder: HashedWords | None = None, **changes: Any) -> AsyncIterator[tuple[Assembly, Workbench]]:
    """Give a workbench in this process."""
    assembly = Assembly(offline_settings(data, **changes))
    assembly.use_embedder("local", embedder or HashedWords())
    async with assembly.opened(serve=False) as workbench:
        yield assembly, workbench


async def filled(workbench: Workbench, collection: str, numbers: range) -> None:
    """Upload and process a few notes."""
    for n in numbers:
        await workbench.upload(ME, collection, f"note {n}.txt", ROOMS.format(thing="lamp", n=n).encode())
    await workbench.process(ME, collection)


def told(report: ReconcileReport) -> str:
    """Return what a report found."""
    return "; ".join(f"{one.place}: {one.missing} missing, {one.orphans} too many, {one.detail}" for one in report.differences)


async def f6(ground: Ground) -> Row:
    """A real Chroma server is away, then comes back without its volume."""
    row, away = Row("F6", "store away, then empty"), 5 if ground.quick else 60
    data, folder, port, embedder = ground.folder / "f6", ground.folder / "chroma", chroma_server.free_port(), HashedWords()
    folder.mkdir()
    with ExitStack() as server:
        server.enter_context(chroma_server.running(str(folder), port))
        async with opened(data, embedder) as (assembly, workbench):
            await workbench.add_provider(ME, "chroma", name="chroma", base_url=f"http://127.0.0.1:{port}", timeout_seconds=2)
            choices = await workbench.choices(ME)
            await workbench.choose(ME, expected_version=choices.version, store="chroma")
            collection = (await workbench.create_collection(ME, "f6")).id
            await filled(workbench, collection, range(20))
            await workbench.search(ME, QUESTION, collections=[collection])
            server.close()
            began = time.monotonic()
            await filled(workbench, collection, range(20, 30))
            for info in (await workbench.documents(ME, collection))[-5:]:
                await workbench.delete_document(ME, info.id)
            answered = 0
            while not answered or time.monotonic() - began < away:
                answered += bool(await workbench.search(ME, QUESTION, collections=[collection]))
                await asyncio.sleep(1)
            check = backlog_checks.backlog_check(assembly.database, wall=lambda: now() + timedelta(minutes=2))
            state = await check.run(True)
            row.must(state.state == "degraded" and "15 documents" in state.detail, f"the backlog was not told: {state.detail}")
            row.must(answered > 0, "no question was answered by words")
            server.enter_context(chroma_server.running(str(folder), port))
            drained = await _drained(assembly)
            row.must(drained < 120, "the backlog did not drain")
            report = await workbench.reconcile(ME, check=True, deep=True)
            row.must(report.clean, f"after the outage: {told(report)}")
            await _half_written(row, assembly, workbench, collection)
            paid = embedder.embedded
            server.close()
            shutil.rmtree(folder)
            folder.mkdir()
            server.enter_context(chroma_server.running(str(folder), port))
            async with assembly.database.write() as session:
                await session.execute(update(Version).values(updated_at=now() - timedelta(minutes=5)))
            await asyncio.sleep(1)
            filled_again = await _refilled(assembly, collection)
            row.must(filled_again < 120, "the empty store was not filled again")
            report = await workbench.reconcile(ME, check=True, deep=True)
            row.must(report.clean, f"after the loss: {told(report)}")
            row.must(embedder.embedded == paid, f"{embedder.embedded - paid} texts were embedded again")
    row.tried = f"away {away} s with 10 uploads and 5 deletions, half a write, volume lost"
    row.figures = f"drained {drained:.1f} s after its return, refilled in {filled_again:.1f} s, differences 0, embedded again 0"
    return row


async def _drained(assembly: Assembly) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 120:
        await Follower(database=assembly.database, spaces=assembly.spaces).look()
        async with assembly.database.read() as session:
            if not await behind(session):
                break
        await asyncio.sleep(1)
    return time.monotonic() - began


async def _refilled(assembly: Assembly, collection_id: str) -> float:
    began = time.monotonic()
    async with assembly.database.read() as session:
        row = await session.get_one(Collection, collection_id)
    while time.monotonic() - began < 120:
        with suppress(EngineError):
            await Follower(database=assembly.database, spaces=assembly.spaces).look()
            store = await assembly.parts.store("chroma", dimension=row.dimension, space=row.space)
            count = await asyncio.to_thread(store.count)
            await asyncio.to_thread(store.close)
            if count == 26:  # one passage each: 30 taken, 5 deleted, 1 more from the half write
                break
        await asyncio.sleep(1)
    return time.monotonic() - began


async def _half_written(row: Row, assembly: Assembly, workbench: Workbench, collection: str) -> None:
    whole, left = ChromaStore.upsert, [1]

    def half(self: ChromaStore, entries: list[Entry], vectors: Any) -> None:
        if left and left.pop():
            whole(self, entries[: len(entries) // 2], vectors[: len(entries) // 2])
            raise StoreError("the connection broke in the middle of a write")
        whole(self, entries, vectors)

    ChromaStore.upsert = half  # type: ignore[method-assign]
    try:
        await filled(workbench, collection, range(30, 31))
        await _drained(assembly)
    finally:
        ChromaStore.upsert = whole  # type: ignore[method-assign]
    row.must(not left, "no write broke")
    report = await workbench.reconcile(ME, check=True, deep=True)
    row.must(report.clean, f"after half a write: {told(report)}")


async def f7(ground: Ground) -> Row:
    """SQLite is locked by another program; PostgreSQL is restarted."""
    row, seconds = Row("F7", "database locked, restarted"), 3 if ground.quick else 10
    data = ground.folder / "f7"
    async with opened(data) as (_, workbench):
        collection = (await workbench.create_collection(ME, "f7")).id
        await workbench.create_user(ME, "grace", "correct horse battery", Role.ANALYST)
        lock = threading.Thread(target=_locked, args=(data / "workbench.db", seconds))
        lock.start()
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await asyncio.gather(filled(workbench, collection, range(10)), _signs_in(row, workbench, "locked"))
        waited = time.monotonic() - began
        lock.join()
        row.must(all(one.state == "live" for one in await workbench.documents(ME, collection)), "a document is not live")
        report = await workbench.reconcile(ME, check=True)
        row.must(report.clean, f"after the lock: {told(report)}")
    bypassed = await _restarted(row, ground)
    row.tried = f"SQLite locked {seconds} s, PostgreSQL restarted, during ingest and sign-in"
    row.figures = f"all live, sign-in after {waited:.1f} s, {bypassed} wrong passwords tried and 0 let in"
    return row


def _locked(file: Path, seconds: float) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    connection.execute("ROLLBACK")
    connection.close()


async def _signs_in(row: Row, workbench: Workbench, when: str) -> int:
    """Try a wrong password and the right one; return 1 when the right one was let in."""
    try:
        await workbench.sign_in("grace", "wrong horse battery", ip="127.0.0.1", user_agent="faults")
        row.must(False, f"{when}: a wrong password was let in")
    except (AccessDenied, StoreError):
        pass
    try:
        done = await workbench.sign_in("grace", "correct horse battery", ip="127.0.0.1", user_agent="faults")
        return int(await workbench.authenticate(done.token) is not None)
    except StoreError:
        return 0


async def _restarted(row: Row, ground: Ground) -> int:
    server = Postgres()
    try:
        server.start()
        server.sql("CREATE DATABASE faults")
        url = f"postgresql+asyncpg://{USER}:{PASSWORD}@127.0.0.1:{server.port}/faults"
        async with opened(ground.folder / "f7-postgres", database_url=url) as (_, workbench):
            collection = (await workbench.create_collection(ME, "f7")).id
            await workbench.create_user(ME, "grace", "correct horse battery", Role.ANALYST)
            working = asyncio.create_task(_until_done(workbench, collection))
            tries = 0
            for n in range(4):
                await asyncio.sleep(0.5)
                if n == 1:
                    await asyncio.to_thread(server.stop)
                if n == 3:
                    await asyncio.to_thread(server.start)
                await _signs_in(row, workbench, "restarted")
                tries += 1
            await asyncio.wait_for(working, 120)
            row.must(await _signs_in(row, workbench, "afterwards") == 1, "the right password is not let in afterwards")
            states = [one.state for one in await workbench.documents(ME, collection)]
            row.must(states == ["live"] * 40, f"after the restart: {states}")
            report = await workbench.reconcile(ME, check=True)
            row.must(report.clean, f"after the restart: {told(report)}")
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    return tries + 2


async def _until_done(workbench: Workbench, collection: str) -> None:
    for n in itertools.count():
        try:
            await filled(workbench, collection, range(40))
            return
        except EngineError:  # as a client would: it was not told that all was taken, so it sends it again
            if n > 100:
                raise
            await asyncio.sleep(0.5)


async def f8(ground: Ground) -> Row:
    """Index files truncated, with flipped bits, deleted, and of an older version."""
    row, data, embedder = Row("F8", "index files damaged"), ground.folder / "f8", HashedWords()
    indexes.SAVE_AFTER_CHUNKS = 1
    async with opened(data, embedder) as (assembly, workbench):
        collection_id = (await workbench.create_collection(ME, "f8")).id
        await filled(workbench, collection_id, range(20))
        await workbench.search(ME, QUESTION, collections=[collection_id])
        async with assembly.database.read() as session:
            old = await session.get_one(Snapshot, collection_id)
            collection = await session.get_one(Collection, collection_id)
        former = ground.folder / "f8-former"
        shutil.copytree(data / "indexes" / collection_id / old.folder, former)
        await filled(workbench, collection_id, range(20, 40))
        await workbench.search(ME, QUESTION, collections=[collection_id])
    paid, seen, served = embedder.embedded, 0, 0
    cases = ["cut"] * 25 + ["flipped"] * 25 + ["deleted", "former"]
    for n, case in enumerate(cases):
        async with opened(data, embedder) as (assembly, workbench):
            async with assembly.database.read() as session:
                saved = await session.get_one(Snapshot, collection_id)
            path = data / "indexes" / collection_id / saved.folder
            _damage(path, case, random.Random(n), former)
            report = await workbench.reconcile(ME, check=True, collection_id=collection_id)
            seen += any("never opened" in one.detail for one in report.differences)
            store, words = await assembly.indexes.current(collection)
            served += len(store.ids()) == words.count() == 40
            await workbench.reconcile(ME, collection_id=collection_id)
    row.must(seen == served == len(cases), f"seen {seen}, served whole {served}, of {len(cases)}")
    row.must(embedder.embedded == paid, f"{embedder.embedded - paid} texts were embedded again")
    row.tried = "25 cut, 25 with 3 bits flipped, deleted, one version old"
    row.figures = (
        f"detected {seen} of {len(cases)}, served rebuilt {served}, embedded again {embedder.embedded - paid}, process alive"
    )
    return row


def _damage(path: Path, case: str, chance: random.Random, former: Path) -> None:
    if case in ("deleted", "former"):
        shutil.rmtree(path)
        if case == "former":
            shutil.copytree(former, path)
        return
    file = chance.choice(sorted(one for one in path.rglob("*") if one.is_file() and one.stat().st_size))
    content = bytearray(file.read_bytes())
    if case == "cut":
        del content[chance.randrange(len(content)) :]
    else:
        for place in chance.sample(range(len(content) * 8), 3):
            content[place // 8] ^= 1 << place % 8
    file.write_bytes(bytes(content))


async def f9(ground: Ground) -> Row:
    """Two of everything at once."""
    row, rounds = Row("F9", "races"), 3 if ground.quick else 10
    for n in range(rounds):
        files, data = ground.files(3), ground.new()
        both = [ground.start_worker(data, files) for _ in range(2)]
        codes = [await asyncio.to_thread(one.end) for one in both]
        row.must(codes == [0, 0], f"round {n}: {[one.told('error') for one in both]}")
        ids = {document for one in both for _, document, _ in one.told("taken")}
        row.must(len(ids) == 3, f"round {n}: {len(ids)} documents of 3 files")
        row.must(len(rows_of(data, "SELECT 1 FROM versions")) == 3, f"round {n}: more versions than files")
        ground.checked(row, data, files, f"round {n}")
    await _deleted_while_embedding(row, ground)
    mixed, asked = await _asked_while_replaced(row, ground)
    row.tried = f"3 files from 2 processes x {rounds}; deleted while embedding; 10 versions while asking"
    row.figures = f"3 documents each time, 0 orphans, {mixed} mixed of {asked} answers"
    return row


class _Slow(HashedWords):
    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def embed_documents(self, texts: Any) -> Any:
        self.begun.set()
        self.go_on.wait(30)
        return super().embed_documents(texts)


async def _deleted_while_embedding(row: Row, ground: Ground) -> None:
    embedder = _Slow()
    async with opened(ground.folder / "f9-delete", embedder) as (_, workbench):
        collection = (await workbench.create_collection(ME, "f9")).id
        info, _ = await workbench.upload(ME, collection, "gone.txt", b"The lamp is in room 1.")
        working = asyncio.create_task(workbench.process(ME, collection))
        await asyncio.to_thread(embedder.begun.wait, 30)
        await workbench.delete_document(ME, info.id)
        embedder.go_on.set()
        await working
        row.must(not await workbench.search(ME, QUESTION, collections=[collection]), "a deleted document is in an answer")
        await workbench.purge(older_than_seconds=0)
        report = await workbench.reconcile(ME, check=True, deep=True)
        row.must(report.clean, f"deleted while embedding: {told(report)}")


async def _asked_while_replaced(row: Row, ground: Ground) -> tuple[int, int]:
    mixed = asked = 0
    async with opened(ground.folder / "f9-replace") as (_, workbench):
        collection = (await workbench.create_collection(ME, "f9")).id

        async def replace(edition: int) -> None:
            text = "\n\n".join(f"Edition{edition} says that lamp {n} is in room {n}. " * 20 for n in range(12))
            await workbench.upload(ME, collection, "rooms.txt", text.encode())
            await workbench.process(ME, collection)

        await replace(0)
        done = asyncio.Event()

        async def ask() -> None:
            nonlocal mixed, asked
            while not done.is_set():
                hits = await workbench.search(ME, QUESTION, collections=[collection], k=20)
                editions = {hit.chunk.text.split("dition")[1].split()[0] for hit in hits if "dition" in hit.chunk.text}
                mixed += len({hit.chunk.version for hit in hits}) > 1 or len(editions) > 1
                asked += 1

        asking = [asyncio.create_task(ask()) for _ in range(2)]
        for edition in range(1, 11):
            await replace(edition)
        done.set()
        await asyncio.gather(*asking)
    row.must(not mixed, f"{mixed} of {asked} answers mix versions")
    row.must(asked >= 10, f"only {asked} questions were asked")
    return mixed, asked
