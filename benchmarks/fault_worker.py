"""What the processes do that benchmarks/faults.py kills: take documents in, ask, compare. Each function runs in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.assembly import Assembly
from engine.database import columns, jobs
from engine.errors import EngineError, StoreError
from engine.provider_views import Choice
from engine.services import space_leases
from engine.settings import load_settings
from engine.types import Principal, Role
from engine.workbench import Workbench

ME = Principal(user_id="local", name="command line", role=Role.ADMIN)
COLLECTION = "faults"
QUESTION = "Where is the lamp kept?"
LEASE = timedelta(seconds=3)  # in the product 60 (jobs) and 45 (spaces): what a restart waits for is shortened, nothing else


def run(options: dict[str, Any], work: Callable[[Assembly, Workbench, Tell], Awaitable[None]]) -> None:
    """Open the workbench of this process and do the work; what happens is told in lines of JSON."""
    os.environ["WORKBENCH_FAULT"] = options.get("fault", "")
    skew = timedelta(hours=options.get("hours", 0))
    space_leases.LEASE_SECONDS = LEASE.total_seconds()
    if skew:
        for module in (columns, jobs):
            module.now = lambda: datetime.now(UTC) + skew  # type: ignore[attr-defined]
    file = Path(options["log"]).open("a")  # noqa: SIM115 - open until the process ends, or is killed

    def tell(what: str, value: Any = None) -> None:
        file.write(json.dumps({what: value}, default=str) + "\n")
        file.flush()

    async def whole() -> None:
        ingestion = {"stalled_seconds": LEASE.total_seconds(), "worker": "inside"}
        assembly = Assembly(load_settings(data_dir=Path(options["data"]), ingestion=ingestion))
        async with assembly.opened(serve=False) as workbench:
            await work(assembly, workbench, tell)

    try:
        asyncio.run(whole())
    except EngineError as error:
        tell("error", f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None


Tell = Callable[..., None]


async def taken(workbench: Workbench, files: Path, tell: Tell) -> str:
    """Upload every file of a folder; each is told when the workbench says that it has it."""
    collection_id = await workbench.collection_id(ME, COLLECTION, create=True)
    for path in sorted(files.iterdir()):
        info, verdict = await workbench.upload(ME, collection_id, path.name, path)
        tell("taken", [path.name, info.id, verdict.value])
    return collection_id


def work(options: dict[str, Any]) -> None:
    """Upload, process, ask: the worker of the matrix."""

    async def story(_: Assembly, workbench: Workbench, tell: Tell) -> None:
        tell("ready")
        collection_id = await taken(workbench, Path(options["files"]), tell)
        await workbench.process(ME, collection_id)
        tell("processed")
        while True:  # a killed process may hold the lease of a space for a moment; questions are answered by words meanwhile
            try:
                hits = await workbench.search(ME, QUESTION, collections=[collection_id], mode="dense", k=10)
                break
            except StoreError:
                await asyncio.sleep(0.2)
        tell("done", len(hits))

    run(options, story)


def upload(options: dict[str, Any]) -> None:
    """Upload, and leave the work to others."""

    async def story(_: Assembly, workbench: Workbench, tell: Tell) -> None:
        await taken(workbench, Path(options["files"]), tell)

    run(options, story)


def check(options: dict[str, Any]) -> None:
    """Sweep what is old, then compare everything and tell what there is."""

    async def story(_: Assembly, workbench: Workbench, tell: Tell) -> None:
        started = time.perf_counter()
        swept = await workbench.reconcile(ME)
        again = await workbench.reconcile(ME, check=True, deep=True)
        infos = await workbench.documents(ME)
        tell("documents", [[info.name, info.state, info.chunks, info.version] for info in infos])
        tell("swept", [asdict(one) for one in swept.differences])
        tell("checked", [asdict(one) for one in again.differences])
        tell("seconds", time.perf_counter() - started)

    run(options, story)


def prepare(options: dict[str, Any]) -> None:
    """Make a data folder whose new collections use the given embedder and store."""

    async def story(_: Assembly, workbench: Workbench, tell: Tell) -> None:
        await workbench.add_provider(
            ME, "openai", name="counting", base_url=options["url"], key=options["key"], timeout_seconds=3.0
        )
        embedding = Choice(provider="counting", model="text-embedding-3-small")
        if options.get("store_url"):
            await workbench.add_provider(
                ME, "pgvector", name="pgvector", base_url=options["store_url"], key=options["store_key"]
            )
        now = await workbench.choices(ME)
        await workbench.choose(ME, expected_version=now.version, embedding=embedding, store=options["store"])
        tell("done")

    run(options, story)
