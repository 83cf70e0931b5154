"""Celery workers over PostgreSQL and Redis, all real processes: how fast, and what a worker that is killed half-way costs.

    python benchmarks/workers.py [--data FOLDER] [--documents N] [--workers 1 2 3] [--threads N] [--no-kill]

Ingests the PDFs with each number of workers (pages/s), then with the largest number and `kill -9` for one of them when half of
the chunks are embedded. Afterwards every document must be live once, with as many chunks as without the kill, each chunk with
its vector, no vector without a chunk, no job unfinished. Ends with 1 when something of that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sqlalchemy import func, select  # noqa: E402

from benchmarks.main_job import default_data  # noqa: E402
from engine.assembly import Assembly  # noqa: E402
from engine.database.models import ChunkRow, Job, VectorRow, Version  # noqa: E402
from engine.database.operations_models import Heartbeat  # noqa: E402
from engine.settings import load_settings  # noqa: E402
from engine.types import Principal, Role  # noqa: E402
from tests.servers import redis  # noqa: E402
from tests.servers.databases import database  # noqa: E402

ME = Principal(user_id="bench", name="benchmark", role=Role.ADMIN)
STALLED_SECONDS = 20.0


@dataclass(frozen=True)
class Outcome:
    workers: int
    seconds: float
    pages: int
    states: dict[str, int]
    chunks: dict[str, int]
    problems: list[str]
    taken_over: int


async def measure(files: list[Path], workers: int, *, threads: int, kill: bool) -> Outcome:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, _ = stack.enter_context(database("postgresql"))
        broker = redis.Redis()
        broker.start()
        stack.callback(broker.remove)
        ingestion = {"worker": "celery", "broker_url": broker.url, "stalled_seconds": STALLED_SECONDS}
        settings = load_settings(
            data_dir=folder / "data", database_url=url, ingestion=ingestion, threads=threads, limits={"parse_seconds": 600}
        )
        environment = os.environ | {
            "WORKBENCH_DATA_DIR": str(folder / "data"),
            "WORKBENCH_DATABASE_URL": url,
            "WORKBENCH_INGESTION__BROKER_URL": broker.url,
            "WORKBENCH_INGESTION__STALLED_SECONDS": str(STALLED_SECONDS),
            "WORKBENCH_THREADS": str(threads),
            "WORKBENCH_LIMITS__PARSE_SECONDS": "600",
            "OMP_NUM_THREADS": str(threads),
        }
        async with Assembly(settings).opened(serve=True) as workbench:
            command = [sys.executable, "-m", "engine", "worker", "--celery", "--slots", "1"]
            running = []
            for number in range(workers):
                log = stack.enter_context((folder / f"worker-{number}.log").open("wb"))
                running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
            stack.callback(lambda: [one.kill() or one.wait() for one in running])
            while await count(workbench, select(func.count()).where(Heartbeat.kind == "worker")) < workers:
                await asyncio.sleep(0.2)
            collection = await workbench.create_collection(ME, "filings")
            started = time.perf_counter()
            for file in files:
                await workbench.upload(ME, collection.id, file.name, file)
            killed = not kill
            while await count(workbench, select(func.count()).where(Job.state.in_(("queued", "running")))):
                if not killed and await half(workbench, len(files)):
                    running[0].kill()
                    killed = True
                    print(f"  killed worker {running[0].pid} after {time.perf_counter() - started:.0f} s", flush=True)
                await asyncio.sleep(0.2)
            seconds = time.perf_counter() - started
            return await outcome(workbench, collection.id, workers, seconds)


async def count(workbench, query) -> int:
    async with workbench.database.read() as session:
        return await session.scalar(query) or 0


async def half(workbench, files: int) -> bool:
    """Whether half of the files are done, and others in work."""
    done = await count(workbench, select(func.count()).where(Job.state == "done"))
    return done >= files // 2 and await count(workbench, select(func.count()).where(Job.state == "running")) > 0


async def outcome(workbench, collection_id: str, workers: int, seconds: float) -> Outcome:
    infos = await workbench.documents(ME, collection_id)
    logs = [event for info in infos for event in await workbench.job_log(ME, info.id)]
    async with workbench.database.read() as session:
        rows = (await session.execute(select(ChunkRow.version_id, func.count()).group_by(ChunkRow.version_id))).all()
        per_version = {version_id: number for version_id, number in rows}
        versions = list(await session.scalars(select(Version)))
        needed = set(await session.scalars(select(ChunkRow.vector_sha256)))
        kept = set(await session.scalars(select(VectorRow.text_sha256)))
    live = Counter(version.document_id for version in versions if version.state == "live")
    problems = [f"{info.name} is live {live[info.id]} times" for info in infos if live[info.id] != 1]
    problems += [f"version {v.id} has {per_version.get(v.id, 0)} of {v.chunks} chunks" for v in versions
                 if per_version.get(v.id, 0) != v.chunks]  # fmt: skip
    if needed != kept:
        problems.append(f"{len(needed - kept)} chunks without a vector, {len(kept - needed)} vectors without a chunk")
    return Outcome(
        workers=workers,
        seconds=seconds,
        pages=sum(info.pages for info in infos),
        states=dict(Counter(info.state for info in infos)),
        chunks={info.name: info.chunks for info in infos},
        problems=problems,
        taken_over=sum(event.level == "warning" for event in logs),
    )


def show(found: Outcome, what: str) -> None:
    print(
        f"{what}: {len(found.chunks)} files, {found.pages} pages, {sum(found.chunks.values())} chunks in {found.seconds:.0f} s"
        f" = {found.pages / found.seconds:.2f} pages/s; states {found.states}; taken over {found.taken_over};"
        f" problems {found.problems or 'none'}",
        flush=True,
    )


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data() / "pdfs")
    parser.add_argument("--documents", type=int, default=0, help="the N smallest only; 0 = all")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=1, help="of the embedder, in each worker")
    parser.add_argument("--no-kill", action="store_true")
    options = parser.parse_args()
    files = sorted(options.data.glob("*.pdf"), key=lambda file: file.stat().st_size)[: options.documents or None]
    if not files:
        parser.error(f"there are no PDFs in {options.data}")
    print(f"{len(files)} files, {os.cpu_count()} cores, {options.threads} thread(s) a worker, load {os.getloadavg()[0]:.1f}")
    found = []
    for workers in options.workers:
        found.append(await measure(files, workers, threads=options.threads, kill=False))
        show(found[-1], f"{workers} worker(s)")
    bad = [one for one in found if one.problems]
    if not options.no_kill:
        killed = await measure(files, max(options.workers), threads=options.threads, kill=True)
        show(killed, f"{killed.workers} workers, one killed half-way")
        same = killed.chunks == found[0].chunks
        print(f"the same chunks as undisturbed: {'yes' if same else 'NO'}")
        bad += [killed] if killed.problems or not same else []
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
