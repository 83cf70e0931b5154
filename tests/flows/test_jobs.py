"""Files on their way: what people see of them, and that stopping, retrying and deleting work in every state."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from engine.assembly import Assembly
from engine.database import job_events, jobs
from engine.database.columns import now
from engine.database.models import ChunkRow, Job, PageRow, VectorRow, Version
from engine.errors import AccessDenied, InputError, NotFound
from engine.ingestion_views import JobState
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Principal, Right, Role
from engine.workbench import Workbench

TEXT = b"Holidays. Every employee has thirty days of paid leave a year."


class Held(HashedWords):
    """Embeds documents only once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.may = threading.Event(), threading.Event()

    def embed_documents(self, texts: Any) -> Any:
        self.reached.set()
        self.may.wait(30)
        return super().embed_documents(texts)


@pytest.fixture
def embedder() -> Held:
    return Held()


@pytest.fixture
async def assembly(tmp_path: Path, embedder: Held, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Assembly]:
    monkeypatch.setattr("engine.worker.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("engine.services.job_progress.EVERY_SECONDS", 0.0)
    made = Assembly(offline_settings(tmp_path))
    made.use_embedder("local", embedder)
    async with made.opened(serve=False):
        yield made
        embedder.may.set()


@pytest.fixture
def workbench(assembly: Assembly) -> Workbench:
    return assembly.workbench


@pytest.fixture
async def handbook(workbench: Workbench) -> str:
    return (await workbench.create_collection(ADMIN, "handbook")).id


async def embedding(
    workbench: Workbench, collection: str, embedder: Held, data: bytes = TEXT
) -> tuple[str, asyncio.Task[None]]:
    """Upload a file, and return its id and the work on it, which waits for its embedder."""
    embedder.reached.clear()
    embedder.may.clear()
    info, _ = await workbench.upload(ADMIN, collection, "leave.txt", data)
    working = asyncio.create_task(workbench.process(ADMIN, collection))
    assert await asyncio.to_thread(embedder.reached.wait, 30)
    return info.id, working


async def count(assembly: Assembly, table: Any) -> int:
    async with assembly.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def job_of(workbench: Workbench, document_id: str) -> Any:
    return next(job for job in await workbench.jobs(ADMIN) if job.document_id == document_id)


async def test_a_job_tells_its_stage_its_units_and_its_worker_and_leaves_a_log(
    assembly: Assembly, workbench: Workbench, handbook: str, embedder: Held
) -> None:
    document, working = await embedding(workbench, handbook, embedder)
    job = await job_of(workbench, document)
    assert (job.state, job.stage, job.done, job.total) == (JobState.RUNNING, "embed", 0, 1)
    assert job.worker == assembly.replica.process
    assert (await workbench.tray(ADMIN)).working == 1
    embedder.may.set()
    await working
    job = await job_of(workbench, document)
    assert (job.state, job.progress, job.eta_seconds) == (JobState.DONE, 1.0, None)
    log = await workbench.job_log(ADMIN, document)
    assert [event.stage for event in log if event.text == "began"] == ["parse", "chunk", "embed", "index"]
    assert sum(event.text.startswith("done: 1 in") for event in log) == 3
    assert "thirty" not in str(log)
    tray = await workbench.tray(ADMIN)
    assert (tray.working, tray.total, tray.failed) == (0, 1, 0)


async def test_the_tray_counts_all_there_is_and_shows_what_runs_first(
    assembly: Assembly, workbench: Workbench, handbook: str, embedder: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.services.job_desk.SHOWN", 3)
    document, working = await embedding(workbench, handbook, embedder)
    for n in range(5):
        await workbench.upload(ADMIN, handbook, f"{n}.txt", f"Number {n}.".encode())
    tray = await workbench.tray(ADMIN)
    assert (tray.working, tray.total) == (6, 6)
    assert [(one.state, one.document) for one in tray.jobs[:2]] == [(JobState.RUNNING, "leave.txt"), (JobState.QUEUED, "4.txt")]
    assert tray.jobs[0].document_id == document
    assert len(await workbench.jobs(ADMIN)) == 3
    await workbench.cancel(ADMIN, tray.jobs[1].document_id)
    assert (await workbench.tray(ADMIN)).working == 5
    embedder.may.set()
    await working


async def test_a_job_that_waits_is_stopped_at_once_and_can_be_tried_again(
    workbench: Workbench, handbook: str, embedder: Held
) -> None:
    embedder.may.set()
    info, _ = await workbench.upload(ADMIN, handbook, "leave.txt", TEXT)
    await workbench.cancel(ADMIN, info.id)
    shown = await workbench.document(ADMIN, info.id)
    assert (shown.state, shown.reason) == ("failed", "stopped by ada")
    assert shown.hint
    assert (await job_of(workbench, info.id)).state is JobState.CANCELLED
    await workbench.process(ADMIN, handbook)
    assert (await workbench.document(ADMIN, info.id)).state == "failed"
    await workbench.reprocess(ADMIN, info.id)
    await workbench.process(ADMIN, handbook)
    assert (await workbench.document(ADMIN, info.id)).state == "live"
    with pytest.raises(InputError, match="not being processed"):
        await workbench.cancel(ADMIN, info.id)


async def test_a_job_in_work_is_stopped_and_what_answers_beside_it_stays(
    workbench: Workbench, handbook: str, embedder: Held
) -> None:
    document, working = await embedding(workbench, handbook, embedder)
    embedder.may.set()
    await working
    document, working = await embedding(workbench, handbook, embedder, b"Holidays. Forty days of paid leave.")
    await workbench.cancel(ADMIN, document)
    await asyncio.wait_for(working, 20)  # though its embedder is still busy
    assert (await workbench.document(ADMIN, document)).reason == "stopped by ada"
    embedder.may.set()
    assert ["thirty" in hit.chunk.text for hit in await workbench.search(ADMIN, "paid leave", collections=[handbook])] == [True]
    await workbench.requeue(ADMIN, document)
    await workbench.process(ADMIN, handbook)
    assert ["Forty" in hit.chunk.text for hit in await workbench.search(ADMIN, "paid leave", collections=[handbook])] == [True]


async def test_deleting_a_document_stops_its_job_and_restoring_it_goes_on(
    workbench: Workbench, handbook: str, embedder: Held
) -> None:
    document, working = await embedding(workbench, handbook, embedder)
    await workbench.delete_document(ADMIN, document)
    await asyncio.wait_for(working, 20)
    assert (await workbench.tray(ADMIN)).total == 0
    await workbench.restore_document(ADMIN, document)
    assert (await job_of(workbench, document)).state is JobState.QUEUED
    embedder.may.set()
    await workbench.process(ADMIN, handbook)
    assert (await workbench.document(ADMIN, document)).state == "live"


async def test_purging_a_document_while_it_is_embedded_leaves_nothing_behind(
    assembly: Assembly, workbench: Workbench, handbook: str, embedder: Held, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("engine.worker.LOOK_SECONDS", 60.0)  # the worker does not notice by itself
    document, working = await embedding(workbench, handbook, embedder)
    await workbench.delete_document(ADMIN, document)
    assert await workbench.purge(older_than_seconds=0) == 1
    embedder.may.set()
    await asyncio.wait_for(working, 20)
    assert [await count(assembly, table) for table in (ChunkRow, PageRow, VectorRow, Job)] == [0, 0, 0, 0]
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_what_waits_is_stalled_only_when_nothing_moved_for_a_while(
    assembly: Assembly, workbench: Workbench, handbook: str, embedder: Held
) -> None:
    embedder.may.set()
    first, _ = await workbench.upload(ADMIN, handbook, "first.txt", TEXT)
    info, _ = await workbench.upload(ADMIN, handbook, "leave.txt", b"Other words about leave.")
    await workbench.cancel(ADMIN, first.id)
    long_ago = now() - timedelta(hours=1)
    async with assembly.database.write() as session:
        await session.execute(update(Job).where(Job.state == "queued").values(updated_at=long_ago))
    assert (await job_of(workbench, info.id)).state is JobState.QUEUED  # a slot is free, but only for a moment
    async with assembly.database.write() as session:
        await session.execute(update(Job).values(updated_at=long_ago))
    assert (await job_of(workbench, info.id)).state is JobState.STALLED


async def test_a_job_whose_worker_is_gone_is_noticed_told_and_queued_again(
    assembly: Assembly, workbench: Workbench, handbook: str, embedder: Held
) -> None:
    embedder.may.set()
    info, _ = await workbench.upload(ADMIN, handbook, "leave.txt", TEXT)
    async with assembly.database.write() as session:
        await jobs.claim(session, "gone", lease=timedelta(seconds=-1), worker="box-1")
    assert (await job_of(workbench, info.id)).state is JobState.STALLED
    assert (await workbench.tray(ADMIN)).stalled == 1
    assert len(await assembly.sweeper.sweep()) == 1
    assert await assembly.sweeper.sweep() == []
    assert (await job_of(workbench, info.id)).state is JobState.QUEUED
    assert [event.level for event in await workbench.job_log(ADMIN, info.id)] == ["warning"]
    async with assembly.database.write() as session:
        await session.execute(update(Job).values(crashes=assembly.settings.ingestion.attempts))
    await workbench.process(ADMIN, handbook)
    assert "3 times" in (await workbench.document(ADMIN, info.id)).reason
    await workbench.requeue(ADMIN, info.id)
    await workbench.process(ADMIN, handbook)
    assert (await workbench.document(ADMIN, info.id)).state == "live"


async def test_a_job_in_good_hands_is_not_queued_again(workbench: Workbench, handbook: str, embedder: Held) -> None:
    document, working = await embedding(workbench, handbook, embedder)
    with pytest.raises(InputError, match="being worked on"):
        await workbench.requeue(ADMIN, document)
    embedder.may.set()
    await working
    with pytest.raises(InputError, match="is done"):
        await workbench.requeue(ADMIN, document)


async def test_who_may_read_sees_jobs_and_only_who_may_write_stops_them(workbench: Workbench, handbook: str) -> None:
    info, _ = await workbench.upload(ADMIN, handbook, "leave.txt", TEXT)
    user = await workbench.create_user(ADMIN, "bob", "correct horse battery", Role.ANALYST)
    bob = Principal(user_id=user.id, name="bob", role=Role.ANALYST, session_id="s")
    assert (await workbench.tray(bob)).total == 0
    with pytest.raises(NotFound):
        await workbench.job_log(bob, info.id)
    await workbench.grant(ADMIN, handbook, "bob", Right.READ)
    assert [job.document for job in await workbench.jobs(bob, handbook)] == ["leave.txt"]
    for method in (workbench.cancel, workbench.requeue):
        with pytest.raises(AccessDenied):
            await method(bob, info.id)
    await workbench.grant(ADMIN, handbook, "bob", Right.WRITE)
    await workbench.cancel(bob, info.id)


async def test_the_log_of_a_job_stays_short(assembly: Assembly, workbench: Workbench, handbook: str) -> None:
    info, _ = await workbench.upload(ADMIN, handbook, "leave.txt", TEXT)
    async with assembly.database.write() as session:
        version = await session.scalar(select(Version.id))
        assert version
        for number in range(job_events.KEPT + 20):
            await job_events.add(session, version, str(number))
    log = await workbench.job_log(ADMIN, info.id)
    assert (len(log), log[-1].text) == (job_events.KEPT, str(job_events.KEPT + 19))
    assert log[0].at <= now()
