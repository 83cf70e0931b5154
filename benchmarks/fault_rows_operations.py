"""F4, F10: a full disk; models, clocks and restoring."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from benchmarks.fault_ground import Ground, Process, Row, rows_of
from benchmarks.fault_rows_live import QUESTION, filled, opened, told
from benchmarks.fault_worker import ME
from engine.errors import EngineError
from engine.services import indexes
from engine.testing import HashedWords

DISK = "24m"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system in memory, of a few MB. Needs root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Filler:
    """A file that takes all the room there is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "filler"

    def fill(self, *, leave: int = 0) -> None:
        """Take everything but `leave` bytes."""
        free = os.statvfs(self._file.parent)
        with self._file.open("ab") as file:
            if (size := free.f_bavail * free.f_frsize - leave) > 0:
                os.posix_fallocate(file.fileno(), file.tell(), size)

    def free(self) -> None:
        """Give it back."""
        self._file.unlink(missing_ok=True)


async def f4(ground: Ground) -> Row:
    """A disk that is really full, at four writes."""
    row, refused = Row("F4", "disk full"), 0
    if os.geteuid() != 0:
        row.missing = "mounting a small disk needs root"
        return row
    indexes.SAVE_AFTER_CHUNKS = 1
    with small_disk(ground.folder / "disk") as data:
        filler = Filler(data)
        async with opened(data / "data") as (assembly, workbench):
            file, clock = data / "data" / "workbench.db", [0.0]
            assembly.readiness._clock = lambda: clock[0]
            collection = (await workbench.create_collection(ME, "f4")).id
            await filled(workbench, collection, range(10))
            await workbench.search(ME, QUESTION, collections=[collection])

            async def full(what: str, leave: int, write: object) -> None:
                nonlocal refused
                filler.fill(leave=leave)
                try:
                    await write()  # type: ignore[operator]
                except (EngineError, OSError) as error:
                    refused += 1
                    row.must(isinstance(error, EngineError), f"{what}: {type(error).__name__} is no error of ours: {error}")
                hits = await workbench.search(ME, QUESTION, collections=[collection], k=20)
                row.must(len(hits) >= 10, f"{what}: {len(hits)} hits while the disk is full")
                row.must(_whole(file), f"{what}: integrity_check")
                clock[0] += 10
                state = (await assembly.readiness.readiness()).state
                row.must(leave >= 1 << 20 or state == "unready", f"{what}: readiness is {state}")
                filler.free()
                clock[0] += 10
                row.must((await assembly.readiness.readiness()).state != "unready", f"{what}: not ready after room was made")
                await filled(workbench, collection, range(10, 14))
                await workbench.search(ME, QUESTION, collections=[collection])
                report = await workbench.reconcile(ME, check=True, deep=True)
                row.must(report.clean, f"{what}: {told(report)}")

            async def blob() -> None:
                await workbench.upload(ME, collection, "large.txt", os.urandom(3 << 20))

            async def commit() -> None:
                for _ in range(400):
                    await workbench.create_conversation(ME, [collection])

            async def checkpoint() -> None:
                for _ in range(50):
                    await workbench.create_conversation(ME, [collection])
                filler.fill()
                with closing(sqlite3.connect(file, timeout=5)) as connection, suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # fails, as it must
                await commit()

            async def index() -> None:
                held = assembly.indexes._slots[collection].index
                await assembly.indexes._save(collection, collection, held)  # the first generation is called like its collection
                row.must(held.unsaved >= 0, "index: it was not tried")

            await full("blob", 2 << 20, blob)
            await full("commit", 0, commit)
            await full("checkpoint", 1 << 19, checkpoint)
            await full("index file", 1 << 12, index)
            await filled(workbench, collection, range(14))
            row.must(all(one.state == "live" for one in await workbench.documents(ME, collection)), "a document is not live")
        async with opened(data / "data") as (_, workbench):
            hits = await workbench.search(ME, QUESTION, collections=[collection], k=20)
            row.must(len(hits) >= 14, f"after a new start: {len(hits)} hits")
    row.must(refused >= 3, f"only {refused} writes were refused")
    row.tried = f"a tmpfs of {DISK}: blob, commit, WAL checkpoint, index file"
    row.figures = f"{refused} writes refused in words, integrity ok, not ready while full, all well after"
    return row


def _whole(file: Path) -> bool:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class _Other(HashedWords):
    model_id = "hashed-words-2"


class _Wider(HashedWords):
    model_id = "hashed-words-3"
    dimension = 64


async def f10(ground: Ground) -> Row:
    """Another model, a clock that is wrong, a restore."""
    row = Row("F10", "model changed, clock wrong, restore")
    data = ground.folder / "f10"
    async with opened(data) as (_, workbench):
        collection = (await workbench.create_collection(ME, "f10")).id
        await filled(workbench, collection, range(5))
    before = rows_of(data, "SELECT count(*) FROM vectors")
    for other in (_Other, _Wider):
        async with opened(data, other()) as (_, workbench):
            await workbench.upload(ME, collection, f"{other.__name__}.txt", b"The rope is kept in room 9.")
            await workbench.process(ME, collection)
            hits = await workbench.search(ME, QUESTION, collections=[collection])
            row.must(all(hit.dense_score is None for hit in hits if hasattr(hit, "dense_score")), "vectors of two models met")
            states = {one.name: one.state for one in await workbench.documents(ME, collection)}
            row.must(states[f"{other.__name__}.txt"] != "live", "a document of another model went live")
            row.must(sum(state == "live" for state in states.values()) == 5, f"{states}")
    row.must(rows_of(data, "SELECT count(*) FROM vectors") == before, "vectors of another model were kept")
    await _clocks(row, ground)
    await _restores(row, ground)
    row.tried = "2 other models, clocks +1 h and -1 h" + ("" if row.missing else ", restore, a crash in it")
    row.figures += "mixed 0, " + ("nothing waits for a clock" if not row.problems else f"{len(row.problems)} violations")
    return row


async def _clocks(row: Row, ground: Ground) -> None:
    """A process whose clock is an hour ahead is killed at work; one whose clock is right, or an hour behind, takes over."""
    for hours in (0, -1):
        files, data = ground.files(6), ground.new()
        ahead = ground.start_worker(data, files, hours=1, fault="ingest.chunked:kill:2")
        row.must(await asyncio.to_thread(ahead.end) == -signal.SIGKILL, "the clock: the process was not killed")
        again = ground.start_worker(data, files, hours=hours)
        code = await asyncio.to_thread(again.end)
        row.must(code == 0, f"the clock {hours:+} h after +1 h: not done in 120 s {again.told('error')}")
        ground.checked(row, data, files, f"the clock {hours:+} h after +1 h")


async def _restores(row: Row, ground: Ground) -> None:
    """Back a folder up, restore it elsewhere, and again after a restore that was killed."""
    help_ = _engine(ground, ["--help"], ground.folder).stdout
    if "restore" not in help_ or "backup" not in help_:
        row.missing = "restore (there is no such command yet)"
        return
    files, data, file = ground.files(6), ground.new(), ground.folder / "f10.backup"
    process: Process = ground.start_worker(data, files)
    row.must(await asyncio.to_thread(process.end) == 0, f"restore: {process.told('error')}")
    done = _engine(ground, ["backup", str(file)], data)
    row.must(done.returncode == 0, f"backup: {done.stderr[-300:]}")
    hits = 0
    for wait in (0.0, 0.1, 0.2, 0.4, None):
        empty = ground.folder / f"restored-{wait}"
        if wait is not None:
            hits += await _killed_at_work(file, empty, wait)
        done = _engine(ground, ["restore", str(file)], empty)
        if done.returncode and rows_exist(empty):
            continue  # it was over before the kill, so there is nothing to repeat
        row.must(done.returncode == 0, f"restore after {wait}: {done.stdout[-200:]} {done.stderr[-300:]}")
        for command in (["reconcile"], ["reconcile", "--check"], ["audit", "verify"]):
            checked = _engine(ground, command, empty)
            row.must(checked.returncode == 0, f"restore after {wait}: {command}: {checked.stdout[-400:]}")
    row.must(hits > 0, "no restore was killed at work")
    row.figures = f"{hits} of 4 restores killed half-way and repeated, chain verifies, differences 0; "


async def _killed_at_work(file: Path, empty: Path, wait: float) -> bool:
    """Kill a restore so long after it began to write; return whether that was before its end."""
    child = subprocess.Popen([sys.executable, "-m", "engine", "restore", str(file)], env=_environment(empty),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while child.poll() is None and not (empty.exists() and any(empty.iterdir())):
        await asyncio.sleep(0.005)
    await asyncio.sleep(wait)
    hit = child.poll() is None
    child.kill()
    child.wait()
    return hit and not rows_exist(empty)


def rows_exist(data: Path) -> bool:
    """Whether there is a whole database."""
    try:
        return bool(rows_of(data, "SELECT count(*) FROM documents")[0][0])
    except sqlite3.Error:
        return False


def _environment(data: Path) -> dict[str, str]:
    return {**os.environ, "WORKBENCH_DATA_DIR": str(data), "WORKBENCH_FAULT": ""}


def _engine(ground: Ground, arguments: list[str], data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "engine", *arguments], env=_environment(data), capture_output=True, text=True,
                          timeout=180)  # fmt: skip
