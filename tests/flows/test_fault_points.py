"""Processes killed for real at fault points, and index files damaged in every way: nothing lost, nothing doubled, nothing embedded again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from benchmarks.fault_rows_live import _damage
from engine import faults
from engine.assembly import Assembly
from engine.database.columns import now
from engine.database.models import Collection, Job, Snapshot, Version
from engine.errors import ConfigError, StoreError
from engine.services import indexes
from engine.settings import load_settings
from engine.testing import ADMIN, HashedWords, offline_settings
from tests.flows.conftest import add

ROOT = Path(__file__).resolve().parents[2]
WORK = """
import asyncio, sys
from pathlib import Path
from engine.testing import ADMIN, offline_workbench

async def main():
    async with offline_workbench(Path(sys.argv[1])) as workbench:
        collection = (await workbench.create_collection(ADMIN, "notes")).id
        for word in ("lamp", "kettle", "rope"):
            await workbench.upload(ADMIN, collection, f"{word}.txt", f"The {word} is kept in room 4.".encode())
            print(word, flush=True)
        await workbench.process(ADMIN, collection)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    faults.arm("")


@pytest.mark.parametrize(("fault", "told"), [("blob.renamed:kill:3", ["lamp", "kettle"]), ("ingest.embedded:kill:2", 3)])
async def test_a_process_killed_at_a_point_loses_nothing_that_it_told_of(
    tmp_path: Path, fault: str, told: list[str] | int
) -> None:
    environment = {**os.environ, "WORKBENCH_FAULT": fault, "PYTHONPATH": str(ROOT)}
    child = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", WORK, str(tmp_path)], env=environment,
                                    capture_output=True, text=True, cwd=ROOT)  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert "BREAKS ON PURPOSE" in child.stderr.upper()
    taken = child.stdout.split()
    assert (taken if isinstance(told, list) else len(taken)) == told
    embedder, assembly = HashedWords(), Assembly(offline_settings(tmp_path))
    assembly.use_embedder("local", embedder)
    async with assembly.opened(serve=False) as workbench:
        async with assembly.database.write() as session:  # as time does
            await session.execute(update(Job).where(Job.state == "running").values(lease_until=now() - timedelta(seconds=1)))
            collection = await session.scalar(select(Collection.id))
        await workbench.process(ADMIN, collection)
        infos = await workbench.documents(ADMIN)
        assert sorted(info.name for info in infos) == sorted(f"{word}.txt" for word in taken)
        assert {info.state for info in infos} == {"live"}
        assert embedder.embedded <= len(taken)
        for path in (tmp_path / "blobs").glob("*/*"):
            os.utime(path, (0, 0))
        await workbench.reconcile(ADMIN)
        assert (await workbench.reconcile(ADMIN, check=True, deep=True)).clean
    assert len(list((tmp_path / "blobs").glob("*/*"))) == len(taken)


POISONED = """
import asyncio, sys
from pathlib import Path
from engine.testing import ADMIN, offline_workbench

async def main():
    async with offline_workbench(Path(sys.argv[1])) as workbench:
        await workbench.process(ADMIN, sys.argv[2])

asyncio.run(main())
"""


async def test_a_file_that_kills_its_worker_every_time_fails_with_a_reason_and_holds_up_no_other(tmp_path: Path) -> None:
    async def lapsed(assembly: Assembly) -> None:  # as time does
        async with assembly.database.write() as session:
            await session.execute(update(Job).values(lease_until=now() - timedelta(seconds=1)))

    assembly = Assembly(offline_settings(tmp_path))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        collection = (await workbench.create_collection(ADMIN, "notes")).id
        poison, _ = await workbench.upload(ADMIN, collection, "poison.txt", b"The lamp is kept in room 4.")
        command = [sys.executable, "-c", POISONED, str(tmp_path), collection]
        environment = {**os.environ, "WORKBENCH_FAULT": "ingest.parsed:kill", "PYTHONPATH": str(ROOT)}
        for _ in range(assembly.settings.ingestion.attempts):
            child = await asyncio.to_thread(subprocess.run, command, env=environment, cwd=ROOT, capture_output=True)
            assert child.returncode == -signal.SIGKILL, child.stderr
            assert (await workbench.document(ADMIN, poison.id)).state != "failed"
            await lapsed(assembly)
            # What was parsed is kept, so the point would not be reached again: read it anew, as a crash while parsing would.
            async with assembly.database.write() as session:
                await session.execute(update(Version).values(state="stored"))
        await workbench.upload(ADMIN, collection, "good.txt", b"The rope is kept in room 9.")
        await workbench.process(ADMIN, collection)
        states = {info.name: (info.state, info.reason) for info in await workbench.documents(ADMIN)}
        assert states["good.txt"] == ("live", "")
        assert states["poison.txt"][0] == "failed"
        assert "3 times" in states["poison.txt"][1]


def test_only_the_variable_arms_a_fault_and_a_wrong_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_FAULT", "space.upsert:raise:StoreError:2")
    load_settings(data_dir=tmp_path)
    faults.point("space.upsert")
    faults.point("another")
    with pytest.raises(StoreError, match="provoked"):
        faults.point("space.upsert")
    faults.point("space.upsert")  # once
    faults.arm("blob.written:enospc")
    with pytest.raises(OSError, match="No space"):
        faults.point("blob.written")
    for wrong in (
        "nowhere:kill",
        "blob.written:burn",
        "blob.written:raise:ValueError",
        "blob.written:sleep",
        "blob.written:kill:x",
    ):
        with pytest.raises(ConfigError):
            faults.arm(wrong)


async def test_a_damaged_index_file_is_never_opened_and_the_index_is_rebuilt_without_embedding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "SAVE_AFTER_CHUNKS", 1)
    embedder, assembly = HashedWords(), Assembly(offline_settings(tmp_path))
    assembly.use_embedder("local", embedder)
    async with assembly.opened(serve=False) as workbench:
        collection_id = (await workbench.create_collection(ADMIN, "notes")).id
        await add(workbench, collection_id, "lamp.txt", "The lamp is kept in room 4.")
        async with assembly.database.read() as session:
            collection = await session.get_one(Collection, collection_id)
        await assembly.indexes.current(collection)
        paid, seen = embedder.embedded, 0
        for n in range(12):
            async with assembly.database.read() as session:
                saved = await session.get_one(Snapshot, collection_id)
            folder = tmp_path / "indexes" / collection_id / saved.folder
            _damage(folder, ["cut", "flipped"][n % 2] if n < 11 else "deleted", random.Random(n), folder)
            assembly.indexes._slots.clear()  # as a new process
            store, words = await assembly.indexes.current(collection)
            async with assembly.database.read() as session:
                again = await session.get_one(Snapshot, collection_id)
            seen += (len(store.ids()), words.count(), again.folder != saved.folder) == (1, 1, True)
        assert (seen, embedder.embedded) == (12, paid)


async def test_a_full_disk_is_told_in_words_and_two_who_make_one_collection_share_it(tmp_path: Path) -> None:
    assembly = Assembly(offline_settings(tmp_path))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        ids = await asyncio.gather(*(workbench.collection_id(ADMIN, "notes", create=True) for _ in range(4)))
        assert len(set(ids)) == 1
        faults.arm("blob.written:enospc")
        with pytest.raises(StoreError, match="No space") as refusal:
            await workbench.upload(ADMIN, ids[0], "lamp.txt", b"The lamp is kept in room 4.")
        assert "make room" in refusal.value.hint
        assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
