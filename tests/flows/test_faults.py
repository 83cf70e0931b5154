"""Things that go wrong at the worst moment: nothing is lost, nothing is doubled, the newest content answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.assembly import Assembly
from engine.commands.library import named_files
from engine.database import jobs
from engine.database.columns import now
from engine.database.jobs import JobLost
from engine.database.models import Job, Version
from engine.errors import AccessDenied, InputError, NotFound, ProviderUnavailable, StoreError
from engine.sections import AccountRules
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Role
from engine.views import UploadVerdict
from engine.workbench import Workbench
from tests.flows.conftest import add


@asynccontextmanager
async def opened(folder: Path, *, serve: bool = False) -> AsyncIterator[tuple[Assembly, Workbench]]:
    assembly = Assembly(offline_settings(folder))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=serve) as workbench:
        yield assembly, workbench


async def rates(workbench: Workbench, collection_id: str) -> set[str]:
    """The rates that searches find: "one", "two" or "three"."""
    hits = await workbench.search(ADMIN, "rate percent", collections=[collection_id])
    return {word for hit in hits for word in ("one", "two", "three") if word in hit.chunk.text}


def held_back(assembly: Assembly, word: str) -> threading.Event:
    """Make the parse of files with this word wait for the returned event."""
    parse, gate = assembly.ingest._parse, threading.Event()

    def slow(path: Path, **options: Any) -> Any:
        document = parse(path, **options)
        if word in document.pages[0].text:
            gate.wait(30)
        return document

    assembly.ingest._parse = slow
    return gate


async def test_the_newest_content_answers_in_whatever_order_versions_are_finished(tmp_path: Path) -> None:
    async with opened(tmp_path) as (assembly, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        info = await add(workbench, collection, "rate.txt", "The rate is one percent.")
        gate = held_back(assembly, "two")
        await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is two percent.")
        await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is three percent.")
        processing = asyncio.create_task(workbench.process(ADMIN, collection))
        async with asyncio.timeout(30):
            while (await workbench.document(ADMIN, info.id)).state != "live":
                await asyncio.sleep(0.02)
        gate.set()
        await processing
        shown = await workbench.document(ADMIN, info.id)
        assert (shown.version, shown.state) == (3, "live")
        assert await rates(workbench, collection) == {"three"}


async def test_old_content_can_be_brought_back_while_newer_is_in_work(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        await add(workbench, collection, "rate.txt", "The rate is one percent.")
        await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is two percent.")
        _, verdict = await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is one percent.")
        assert verdict is UploadVerdict.NEW_VERSION
        await workbench.process(ADMIN, collection)
        assert await rates(workbench, collection) == {"one"}


async def test_a_database_that_fails_for_a_moment_costs_a_try_not_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, calls = jobs.finish, []

    async def flaky(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise StoreError("the database is locked")
        await finish(*arguments)

    monkeypatch.setattr(jobs, "finish", flaky)
    async with opened(tmp_path) as (_, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        info = await add(workbench, collection, "rate.txt", "The rate is one percent.")
        assert info.state == "live"
        await add(workbench, collection, "rate.txt", "The rate is two percent.")
        assert await rates(workbench, collection) == {"two"}
    assert len(calls) > 1


async def test_the_background_worker_survives_a_database_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, failures = jobs.claim, iter(range(3))

    async def flaky(*arguments: Any, **options: Any) -> Any:
        if next(failures, None) is not None:
            raise StoreError("the database is locked")
        return await claim(*arguments, **options)

    monkeypatch.setattr(jobs, "claim", flaky)
    monkeypatch.setattr("engine.worker.IDLE_SECONDS", 0.05)
    async with opened(tmp_path, serve=True) as (_, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        info, _ = await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is one percent.")
        async with asyncio.timeout(30):
            while (await workbench.document(ADMIN, info.id)).state != "live":
                await asyncio.sleep(0.02)


async def test_a_lost_lease_is_noticed_and_writes_nothing_over_the_other_workers_result(tmp_path: Path) -> None:
    async with opened(tmp_path) as (slow, one), opened(tmp_path) as (_, two):
        collection = (await one.create_collection(ADMIN, "rates")).id
        info, _ = await one.upload(ADMIN, collection, "rate.txt", b"The rate is one percent.")
        gate = held_back(slow, "one")
        stalled = asyncio.create_task(one.process(ADMIN, collection))
        async with asyncio.timeout(30):
            while not (await claimed(slow)):
                await asyncio.sleep(0.02)
        async with slow.database.write() as session:
            await session.execute(update(Job).values(lease_until=now() - timedelta(seconds=1)))
        await two.process(ADMIN, collection)
        assert (await two.document(ADMIN, info.id)).state == "live"
        gate.set()
        await stalled
        assert (await two.document(ADMIN, info.id)).state == "live"
        assert await rates(two, collection) == {"one"}


async def claimed(assembly: Assembly) -> bool:
    async with assembly.database.read() as session:
        return (await session.scalar(update(Job).values(state=Job.state).returning(Job.state))) == "running"


async def test_a_file_that_takes_the_process_with_it_is_not_tried_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as (assembly, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        info, _ = await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is one percent.")
        async with assembly.database.write() as session:  # as three crashes leave it
            past = now() - timedelta(seconds=1)
            await session.execute(update(Job).values(state="running", crashes=2, lease_until=past))
        await workbench.process(ADMIN, collection)
        shown = await workbench.document(ADMIN, info.id)
        assert shown.state == "failed"
        assert "3 times" in shown.reason


async def test_an_index_that_lost_entries_is_rebuilt_when_it_is_opened_and_a_stop_does_not_leave_half(tmp_path: Path) -> None:
    async with opened(tmp_path) as (assembly, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        for word in ("one", "two", "three"):
            await add(workbench, collection, f"{word}.txt", f"The rate is {word} percent.")
        assert await rates(workbench, collection) == {"one", "two", "three"}
        index = assembly.indexes._slots[collection].index
        assert index is not None
        chunk_ids = [chunk.id for info in await workbench.documents(ADMIN) for chunk in await workbench.chunks(ADMIN, info.id)]
        index.vectors.delete(chunk_ids)
        index.words.delete(chunk_ids)
        index.checked = False
        apply, reached = assembly.indexes._apply, asyncio.Event()

        async def stalled(*arguments: Any) -> None:
            if arguments[3]:
                reached.set()
                await asyncio.sleep(60)
            await apply(*arguments)

        assembly.indexes._apply = stalled
        question = asyncio.create_task(rates(workbench, collection))
        await asyncio.wait_for(reached.wait(), 30)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
        assembly.indexes._apply = apply
        assert await rates(workbench, collection) == {"one", "two", "three"}


async def test_a_collection_deleted_while_a_file_is_processed_or_uploaded(tmp_path: Path) -> None:
    async with opened(tmp_path) as (assembly, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is one percent.")
        gate = held_back(assembly, "one")
        processing = asyncio.create_task(workbench.process(ADMIN, collection))
        async with asyncio.timeout(30):
            while not (await claimed(assembly)):
                await asyncio.sleep(0.02)
        await workbench.delete_collection(ADMIN, collection)
        gate.set()
        await processing
        with pytest.raises(NotFound):
            await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is two percent.")
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_a_collection_deleted_at_the_last_step_of_a_file_ends_the_work_on_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (assembly, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        await workbench.upload(ADMIN, collection, "rate.txt", b"The rate is one percent.")
        async with assembly.database.read() as session:
            version = await session.scalar(select(Version.id))

        async def report(stage: str, _done: int, _total: int) -> None:
            if stage == "index":
                await workbench.delete_collection(ADMIN, collection)

        with pytest.raises(JobLost):
            await assembly.ingest.run(version, report)
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_a_restored_document_does_not_double_a_name(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        old = await add(workbench, collection, "rate.txt", "The rate is one percent.")
        await workbench.delete_document(ADMIN, old.id)
        await add(workbench, collection, "rate.txt", "The rate is two percent.")
        with pytest.raises(InputError, match="another"):
            await workbench.restore_document(ADMIN, old.id)
        assert await rates(workbench, collection) == {"two"}


async def test_stopping_twice_and_failing_while_stopping_leave_no_endless_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (assembly, workbench):
        collection = (await workbench.create_collection(ADMIN, "rates")).id
        await add(workbench, collection, "rate.txt", "The rate is one percent.")
        searching = asyncio.Event()

        async def endless(*_: Any, **__: Any) -> None:
            searching.set()
            await asyncio.sleep(60)

        async def broken(*_: Any, **__: Any) -> None:
            await asyncio.sleep(0.05)
            raise ProviderUnavailable("the model is away")

        monkeypatch.setattr(assembly.retriever, "search", endless)
        monkeypatch.setattr(assembly.ask, "finish", broken)
        talk = await workbench.create_conversation(ADMIN, [collection])
        reply = await workbench.send(ADMIN, talk.id, "What is the rate?")
        await asyncio.wait_for(searching.wait(), 30)
        await asyncio.gather(workbench.stop(ADMIN, reply.id), workbench.stop(ADMIN, reply.id))
        assert (await workbench.message(ADMIN, reply.id)).state == "failed"


async def test_guesses_made_side_by_side_do_not_slip_under_the_limit(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, workbench):
        await workbench.create_user(ADMIN, "bob", "correct horse battery", Role.ANALYST)
        allowed = AccountRules().lock_after
        guesses = [
            workbench.sign_in("bob", f"wrong password {n}", ip="127.0.0.1", user_agent="test") for n in range(2 * allowed)
        ]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert all(isinstance(result, AccessDenied) for result in results)
        assert sum("too many" in str(result) for result in results) == allowed


def test_files_of_one_name_from_two_folders_keep_apart(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "readme.md").write_text(folder)
    names = [name for name, _ in named_files([tmp_path / "north", tmp_path / "south"])]
    assert names == ["north/readme.md", "south/readme.md"]
    assert [name for name, _ in named_files([tmp_path / "north"])] == ["readme.md"]
    with pytest.raises(InputError, match=r"readme\.md"):
        named_files([tmp_path / "north", tmp_path / "north"])
