"""Workers that are processes of their own: killed, told to stop, left alone by their server, fed by Celery."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.assembly import Assembly
from engine.database.models import Job
from engine.database.operations_models import Heartbeat
from engine.errors import ConfigError
from engine.ingestion_views import JobState
from engine.services.server_lock import ServerLock
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.worker_child import WorkerChild
from tests.servers import redis
from tests.servers.databases import database
from tests.servers.postgres import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "fixtures" / "worker_process.py"
TEXT = b"Holidays. Every employee has thirty days of paid leave a year."
PATIENCE = 120


@asynccontextmanager
async def served(folder: Path, **changes: Any) -> AsyncIterator[Assembly]:
    assembly = Assembly(offline_settings(folder, **changes))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=True):
        yield assembly


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    try:
        yield running
    finally:
        running.kill()
        print(running.communicate()[0])  # noqa: T201 - pytest shows it beside a failure


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := await true()):
            await asyncio.sleep(0.1)
    return found


async def uploaded(assembly: Assembly) -> str:
    collection = (await assembly.workbench.create_collection(ADMIN, "handbook")).id
    return (await assembly.workbench.upload(ADMIN, collection, "leave.txt", TEXT))[0].id


async def live(assembly: Assembly, document_id: str) -> bool:
    return (await assembly.workbench.document(ADMIN, document_id)).state == "live"


async def embedding(assembly: Assembly) -> bool:
    async with assembly.database.read() as session:
        return (await session.scalar(select(Job.stage).where(Job.state == "running"))) == "embed"


async def workers(assembly: Assembly) -> list[str]:
    async with assembly.database.read() as session:
        return list(await session.scalars(select(Heartbeat.id).where(Heartbeat.kind == "worker")))


async def test_a_child_that_is_killed_in_the_middle_is_replaced_and_the_document_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.worker_child.COMMAND", (str(SCRIPT), "worker", "--beside-server"))
    monkeypatch.setattr("engine.worker_child.FIRST_PAUSE", 0.1)
    monkeypatch.setenv("EMBED_SECONDS", "2")
    async with served(tmp_path, ingestion={"worker": "child", "stalled_seconds": 3}) as assembly:
        document = await uploaded(assembly)
        await until(lambda: embedding(assembly))
        first = (await workers(assembly))[0]
        child = assembly.worker_child.process
        assert child is not None
        child.kill()
        await until(lambda: live(assembly, document))
        log = await assembly.workbench.job_log(ADMIN, document)
        assert [event.level for event in log].count("warning") == 1
        replacement = assembly.worker_child.process
        assert replacement is not None
        assert replacement.pid != child.pid
        assert [name for name in await workers(assembly) if name != first]
    assert replacement.returncode == 0  # ended in order with its server


async def test_a_child_that_cannot_be_started_for_want_of_memory_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = asyncio.Semaphore(0)

    async def full(*_: Any, **__: Any) -> None:
        tries.release()
        raise BlockingIOError(errno.EAGAIN, "no process is free")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    monkeypatch.setattr("engine.worker_child.FIRST_PAUSE", 0.0)
    running = asyncio.create_task(WorkerChild(offline_settings(tmp_path)).run())
    for _ in range(3):
        await asyncio.wait_for(tries.acquire(), PATIENCE)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_worker_that_is_told_to_stop_gives_its_job_back_at_once(tmp_path: Path) -> None:
    async with served(tmp_path, ingestion={"worker": "none"}) as assembly:
        document = await uploaded(assembly)
        with process("worker", WORKBENCH_DATA_DIR=str(tmp_path), EMBED_SECONDS="3") as worker:
            await until(lambda: embedding(assembly))
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait, 30) == 0
        job = next(iter(await assembly.workbench.jobs(ADMIN)))
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)
        assert await workers(assembly) == []
        await assembly.workbench.process(ADMIN, job.collection_id)
        log = await assembly.workbench.job_log(ADMIN, document)
        assert [event.stage for event in log if event.text == "began"] == ["parse", "chunk", "embed", "embed", "index"]


async def test_a_worker_ends_when_the_server_that_started_it_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "worker", "--beside-server"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"WORKBENCH_DATA_DIR": str(tmp_path)}, cwd=ROOT)
    assert worker.stdin is not None
    worker.stdin.write(b"{}\n")
    worker.stdin.close()  # as the kernel does for a process that is killed
    assert await asyncio.to_thread(worker.wait, PATIENCE) == 0


async def test_a_second_server_on_one_data_folder_refuses_and_names_the_first(tmp_path: Path) -> None:
    async with served(tmp_path) as assembly:
        with pytest.raises(ConfigError, match=f"process {os.getpid()} on ") as refused:
            async with served(tmp_path):
                pass
        assert "PostgreSQL" in refused.value.hint
        with process("serve", "--port", "1", WORKBENCH_DATA_DIR=str(tmp_path)) as second:
            assert await asyncio.to_thread(second.wait, PATIENCE) == 2
        async with Assembly(assembly.settings).opened(serve=False) as command:  # commands may run beside it
            assert await command.documents(ADMIN) == []
    async with served(tmp_path):
        pass


def test_a_lock_whose_holder_has_died_is_free(tmp_path: Path) -> None:
    code = f"import os; from engine.services.server_lock import ServerLock as L; from pathlib import Path; L(Path({str(tmp_path)!r})).take(); os._exit(9)"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 9
    with ServerLock(tmp_path):
        pass


async def test_celerys_workers_take_documents_over_postgresql_and_redis_and_stop_in_order_and_servers_may_be_several(
    tmp_path: Path,
) -> None:
    broker = redis.running().url
    with database("postgresql") as (url, _):
        ingestion = {"worker": "celery", "broker_url": broker}
        environment = {
            "WORKBENCH_DATA_DIR": str(tmp_path),
            "WORKBENCH_DATABASE_URL": url,
            "WORKBENCH_INGESTION__BROKER_URL": broker,
            "EMBED_SECONDS": "3",
        }
        async with served(tmp_path, database_url=url, ingestion=ingestion) as assembly:
            document = await uploaded(assembly)
            with process("worker", "--celery", **environment) as worker:
                await until(lambda: embedding(assembly))
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait, 30) == 0
            job = next(iter(await assembly.workbench.jobs(ADMIN)))
            assert (job.state, job.attempts) == (JobState.QUEUED, 0)
            assert await assembly.ringing._bell.waiting() == 1  # the message went back with the job
            with process("worker", "--celery", **environment):
                await until(lambda: live(assembly, document))
                assert len(await workers(assembly)) == 1
        address = url.replace("+asyncpg", "").replace(f":{PASSWORD}", "")
        for store, alone in (("vectors", False), ("embedded", True), ("faiss", True)):
            several = Assembly(offline_settings(tmp_path / store, database_url=url, store=store))
            async with several.opened(serve=False) as workbench:
                if store == "vectors":
                    await workbench.add_provider(ADMIN, "pgvector", name=store, base_url=address, key=PASSWORD)
                    await workbench.add_provider(ADMIN, "chroma", name="embedded")
                    await workbench.delete_collection(ADMIN, job.collection_id)
                assert await several.one_server_only() is alone, store


async def test_an_upload_is_taken_while_the_broker_is_away_and_rung_for_later(tmp_path: Path) -> None:
    server = redis.Redis()
    server.start()
    server.kill()
    try:
        async with served(tmp_path, ingestion={"worker": "celery", "broker_url": server.url}) as assembly:
            await uploaded(assembly)
            server.start()
            await assembly.ringing.ring(again=True)
            assert await assembly.ringing._bell.waiting() == 1
            await assembly.ringing.ring(again=True)  # it waits there still: nothing is sent twice
            assert await assembly.ringing._bell.waiting() == 1
            server.kill()
            server.start()  # it forgot everything
            await assembly.ringing.ring(again=True)
            assert await assembly.ringing._bell.waiting() == 1
    finally:
        server.remove()
