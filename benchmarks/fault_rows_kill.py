"""F1, F2, F3, F5: processes that are killed or told to stop, and an embedder that fails."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks import fault_worker
from benchmarks.fault_ground import LIMIT_SECONDS, Ground, Process, Row, rows_of
from engine.services.cutting import EMBED_BATCH

# Where to kill, and how many times the point is passed before: those that are passed once in a process are tried with other files.
POINTS = {
    "blob.written": (1, 3, 6),
    "blob.renamed": (1, 3, 6),
    "original.stored": (1, 3, 6),
    "ingest.parsed": (1, 3, 6),
    "ingest.chunked": (1, 3, 6),
    "ingest.embedded": (1, 3, 6),
    "ingest.live": (1, 3, 6),
    "space.upserted": (1, 1, 1),
    "space.moved": (1, 1, 1),
    "snapshot.renamed": (1, 1, 1),
}
FILES = (6, 7, 8)
WHOLE_SECONDS = 900.0  # for what is left of 200 documents; the limit after a kill is LIMIT_SECONDS


def expected_chunks(ground: Ground, files: Path, store: str = "faiss") -> dict[str, int]:
    """Return what an undisturbed worker makes of these files."""
    data = ground.new(store=store)
    process = ground.start_worker(data, files)
    assert process.end() == 0, process.told("error")
    return dict(rows_of(data, "SELECT d.name, v.chunks FROM versions v JOIN documents d ON d.id = v.document_id"))


def f1(ground: Ground) -> Row:
    """SIGKILL at ten points, three times each."""
    row = Row("F1", "kill -9 at a point")
    expected = {count: expected_chunks(ground, ground.files(count)) for count in FILES}
    done, slowest, paid = 0, 0.0, 0
    for point, passes in POINTS.items():
        for count, nth in list(zip(FILES, passes, strict=True))[: 1 if ground.quick else 3]:
            what = f"{point} pass {nth} of {count} files"
            files, data = ground.files(count), ground.new(store="pgvector" if point.startswith("space") else "faiss")
            killed = ground.start_worker(data, files, fault=f"{point}:kill:{nth}")
            row.must(killed.end() == -signal.SIGKILL, f"{what}: the process was not killed: {killed.told('error')}")
            taken = {name for name, *_ in killed.told("taken")}
            there = {name for (name,) in rows_of(data, "SELECT name FROM documents")}
            row.must(taken <= there, f"{what}: taken and lost: {taken - there}")
            began = time.monotonic()
            again = ground.start_worker(data, files)
            row.must(again.end() == 0, f"{what}: the restart ended badly: {again.told('error')}")
            slowest = max(slowest, time.monotonic() - began)
            ground.checked(row, data, files, what, expected=expected[count])
            paid = max(paid, ground.upstream.twice())
            done += 1
    row.must(slowest <= LIMIT_SECONDS, f"a restart took {slowest:.0f} s")
    row.must(paid <= EMBED_BATCH, f"{paid} texts were embedded twice after one kill")
    row.tried = f"{done} kills at {len(POINTS)} points"
    row.figures = f"{len(row.problems)} violations; slowest restart {slowest:.1f} s; at most {paid} texts embedded twice"
    return row


def f2(ground: Ground) -> Row:
    """SIGKILL at random moments of one ingest."""
    row = Row("F2", "kill -9 at random in one ingest")
    kills, count = (5, 60) if ground.quick else (20, 200)
    files, data = ground.files(count, long_every=20), ground.new()  # the long ones take several batches of the embedder
    chance, done, dead, twice, most = random.Random(0), 0, 0, 0, 0
    while dead < kills and done < 200:
        done += 1
        process = ground.start_worker(data, files)
        process.wait_for("ready")
        time.sleep(chance.uniform(0.2, 2.5))
        process.kill()
        if process.end() == 0:
            break  # all was done before the kill
        dead += 1
        most, twice = max(most, ground.upstream.twice() - twice), ground.upstream.twice()
    last = ground.start_worker(data, files)
    row.must(last.end(WHOLE_SECONDS) == 0, f"the last start ended badly: {last.told('error')}")
    ground.checked(row, data, files, "after the kills")
    row.must(most <= EMBED_BATCH, f"{most} texts were embedded twice after one kill")
    row.must(dead == kills or ground.quick, f"only {dead} of {kills} kills hit: the ingest was over")
    row.tried = f"{dead} kills, {count} documents"
    row.figures = (
        f"{ground.upstream.twice()} of {sum(ground.upstream.texts.values())} texts embedded twice, at most {most} after one"
    )
    return row


def f3(ground: Ground) -> Row:
    """SIGTERM to `python -m engine worker` under load."""
    row = Row("F3", "SIGTERM under load")
    times, count, slowest = 2 if ground.quick else 5, 60 if ground.quick else 200, 0.0
    files, data = ground.files(count), ground.new()
    uploaded = Process(ground, fault_worker.upload, {"data": str(data), "files": str(files)})
    row.must(uploaded.end() == 0, f"the upload ended badly: {uploaded.told('error')}")
    command = [sys.executable, "-m", "engine", "worker"]
    environment = {**os.environ, "WORKBENCH_DATA_DIR": str(data)}
    with suppress(KeyError):
        del environment["WORKBENCH_FAULT"]
    for n in range(times):
        with (ground.folder / "ingest.log").open("ab") as log:
            child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + LIMIT_SECONDS
        while child.poll() is None and time.monotonic() < end and not _running(data):
            time.sleep(0.02)
        row.must(child.poll() is None, f"stop {n}: the worker was over")
        time.sleep(0.3 * n)
        child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            code = child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            row.must(False, f"stop {n}: not over after 30 s")
            continue
        slowest = max(slowest, time.monotonic() - began)
        row.must(code in (0, 1, 143), f"stop {n}: exit code {code}")
        row.must(not _running(data), f"stop {n}: leases were not given back")
    process = ground.start_worker(data, files)
    row.must(process.end(WHOLE_SECONDS) == 0, f"the last start ended badly: {process.told('error')}")
    ground.checked(row, data, files, "after the stops")
    twice = ground.upstream.twice()
    row.must(twice <= EMBED_BATCH * times, f"{twice} texts were embedded twice")
    row.tried, row.figures = f"{times} stops, {count} documents", f"slowest end {slowest:.1f} s, {twice} texts embedded twice"
    return row


def _running(data: Path) -> int:
    with suppress(Exception):  # the database is being made
        return int(rows_of(data, "SELECT count(*) FROM jobs WHERE state = 'running'")[0][0])
    return 0


def f5(ground: Ground) -> Row:
    """The embedder fails in the first, the third and the last batch."""
    row = Row("F5", "embedder 429, 500, hangs mid-batch")
    files = ground.files(1, sentences=2200, of="long")
    whole = ground.new()
    process = ground.start_worker(whole, files)
    assert process.end() == 0, process.told("error")
    batches = -(-len(ground.upstream.texts) // EMBED_BATCH)
    tried = 0
    for fault in ("429", "500", "hang")[:: 2 if ground.quick else 1]:
        for batch in (1, 3, batches):
            what, data = f"{fault} in batch {batch}", ground.new()
            process = _with_fault(ground, data, files, fault, batch)
            row.must(process.end() == 0, f"{what}: {process.told('error')}")
            ground.upstream.heal()
            row.must(ground.upstream.twice() == 0, f"{what}: {ground.upstream.twice()} texts were paid for twice")
            row.must(not rows_of(data, "SELECT 1 FROM audit WHERE action = 'document.fail'"), f"{what}: the document failed")
            ground.checked(row, data, files, what)
            tried += 1
    row.must(batches >= 4, f"only {batches} batches")
    row.tried, row.figures = f"{tried} faults, {batches} batches a document", "0 texts paid for twice, 0 documents failed"
    return row


def _with_fault(ground: Ground, data: Path, files: Path, fault: str, batch: int) -> Process:
    upstream, seen = ground.upstream, 0

    def next_fault() -> str:
        nonlocal seen
        call = upstream.calls[-1]
        texts = call.body.get("input", []) if isinstance(call.body, dict) else []
        if isinstance(texts, list) and len(texts) > 1:
            seen += 1
            if seen == batch:
                return fault
        return ""

    upstream.next_fault = next_fault  # type: ignore[method-assign]
    process = ground.start_worker(data, files)
    process.wait_for("done")
    del upstream.next_fault
    return process
