"""A backup while others work, restored elsewhere: what is lost, how long it takes, and whether everything is the same.

    python -m benchmarks.backup [--data FOLDER] [--files 6] [--stand-in] [--kinds sqlite postgresql mariadb]

Some filings are ingested and 20 fixed questions asked about them. Then the backup is made while another collection is being
ingested and three clients keep asking. It is restored into an empty folder and, for servers, another empty database; counts
of every table, the audit and the citations of the 20 questions are compared. RPO is the age of the restored state at the
moment when the backup was done; RTO is from the command to the first answer. With `--stand-in` the embedder costs no time;
then nearly every question is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.main_job import ME, default_data
from engine.assembly import Assembly
from engine.database.columns import Base
from engine.services.backup_reading import check_backup
from engine.services.restore import restore
from engine.settings import load_settings
from engine.testing import HashedWords
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.servers.databases import database

LOCAL = Principal(user_id="local", name="command line", role=Role.ADMIN)
CLIENTS, QUESTIONS = 3, 20
RENEWED = {"audit", "backups", "snapshots", "heartbeats", "tickets"}
"""Tables in which a restore changes the number of rows, as docs/backup.md says."""


def assembly_of(folder: Path, url: str, *, model: bool) -> Assembly:
    made = Assembly(
        load_settings(data_dir=folder, database_url=url, caching={"answers": False}, limits={"questions_per_minute": 10**6})
    )
    if not model:
        made.use_embedder("local", HashedWords())
    return made


async def shown(workbench: Workbench, collection: str, questions: list[str]) -> list[tuple[list[Any], list[Any]]]:
    """Return the citations of each answer, and the nearest passages of those that were refused."""
    answers = [await workbench.ask(ME, question, collections=[collection]) for question in questions]
    return [
        (
            [(one.chunk_id, one.document, one.page, one.start, one.end, one.text) for one in answer.citations],
            [(hit.chunk.id, hit.chunk.start, hit.chunk.end) for hit in answer.nearest],
        )
        for answer in answers
    ]


def fixed_questions(data: Path, files: list[Path]) -> list[str]:
    """Return 20 questions, those about `files` first."""
    rows = [json.loads(line) for line in (data / "qa.jsonl").read_text().splitlines()]
    names = {file.stem for file in files}
    rows.sort(key=lambda row: not names & {evidence["doc"] for evidence in row["evidence"]})
    return [row["question"] for row in rows[:QUESTIONS]]


async def ingest(workbench: Workbench, name: str, files: list[Path]) -> str:
    collection = (await workbench.create_collection(ME, name)).id
    for file in files:
        await workbench.upload(ME, collection, file.name, file)
    await workbench.process(ME, collection)
    return collection


async def under_load(workbench: Workbench, collection: str, rest: list[Path], questions: list[str], target: Path) -> datetime:
    """Back up while others work; returns when it was done."""
    asked: list[float] = []
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            for question in questions:
                started = time.perf_counter()
                await workbench.ask(ME, question, collections=[collection])
                asked.append(time.perf_counter() - started)
                if stop.is_set():
                    return

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    ingesting = asyncio.create_task(ingest(workbench, "meanwhile", rest))
    await asyncio.sleep(3)
    running, before = not ingesting.done(), len(asked)
    report = await workbench.backup(LOCAL, target)
    done = datetime.now(UTC)
    megabytes = report.size_bytes / 1e6
    print(f"  backup: {report.rows:,} rows, {report.files} originals, {megabytes:.1f} MB in {report.seconds:.1f} s")
    print(f"  meanwhile: ingest {'running' if running else 'OVER'}, {len(asked) - before} questions answered, all of them")
    stop.set()
    await asyncio.gather(*clients)
    ingesting.cancel()
    await asyncio.gather(ingesting, return_exceptions=True)
    return done


async def measure(kind: str, data: Path, files: int, *, model: bool) -> bool:
    pdfs = sorted((data / "pdfs").glob("*.pdf"))
    questions = fixed_questions(data, pdfs[:files])
    with ExitStack() as stack, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        old, new = (stack.enter_context(nullcontext(("", "")) if kind == "sqlite" else database(kind))[0] for _ in range(2))
        print(f"{kind}:")
        async with assembly_of(folder / "old", old, model=model).opened(serve=False) as workbench:
            collection = await ingest(workbench, "fixed", pdfs[:files])
            before = await shown(workbench, collection, questions)
            done = await under_load(workbench, collection, pdfs[files:], questions, folder / "x.tar")
        checked = await check_backup(folder / "x.tar", folder)
        print(f"  verify: {'ok' if not checked.problems else checked.problems}")
        started = time.perf_counter()
        there = load_settings(data_dir=folder / "new", database_url=new)
        report = await restore(there, folder / "x.tar", principal=LOCAL)
        async with assembly_of(there.data_dir, new, model=model).opened(serve=False) as workbench:
            await workbench.ask(ME, questions[0], collections=[collection])
            rto = time.perf_counter() - started
            async with workbench.database.read() as session:
                tables = {one.name: one for one in Base.metadata.sorted_tables}
                counts = {name: await session.scalar(select(func.count()).select_from(one)) for name, one in tables.items()}
            compared = {name: (checked.rows[name], counts[name]) for name in set(tables) - RENEWED}
            different = {name: both for name, both in compared.items() if both[0] != both[1]}
            different.pop("calls", None)  # the question above was billed
            after = await shown(workbench, collection, questions)
            audit = await workbench.audit_verify(ME)
        same = sum(one == other for one, other in zip(before, after, strict=True))
        print(f"  restored: {report.seconds:.1f} s; counts of {len(tables) - len(RENEWED)} tables equal: {different or 'yes'}")
        print(f"  audit: {'verifies' if audit.ok else audit.problem}, {audit.rows} rows")
        cited, near = (sum(len(one[n]) for one in before) for n in range(2))
        print(
            f"  {same} of {len(questions)} questions have the same {cited} citations, and {near} passages where it was refused"
        )
        print(f"  RPO {(done - report.as_of).total_seconds():.1f} s, RTO {rto:.1f} s")
        return not different and audit.ok and same == len(questions) and cited > 0 and not checked.problems


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--files", type=int, default=6, help="filings that are there before")
    parser.add_argument("--stand-in", action="store_true", help="an embedder that costs no time")
    parser.add_argument("--kinds", nargs="*", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    results = [await measure(kind, options.data, options.files, model=not options.stand_in) for kind in options.kinds]
    raise SystemExit(not all(results))


if __name__ == "__main__":
    asyncio.run(main())
