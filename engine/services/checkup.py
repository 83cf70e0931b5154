"""Is everything all right? One check a part, each with its effect on users and the next step when it is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from engine.database.blobs import Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Job
from engine.errors import EngineError
from engine.protocols import Embedder
from engine.views import Check

LIMIT_SECONDS = 30.0
LOW_DISK_BYTES = 2 << 30
OLD_JOB_SECONDS = 600

Outcome = tuple[str, str, str, str]  # state, detail, effect, hint


class Checkup:
    """The parts of this installation, tried for real."""

    def __init__(self, *, database: Database, blobs: Blobs, embedder: Embedder) -> None:
        self._database = database
        self._blobs = blobs
        self._embedder = embedder

    async def run(self) -> list[Check]:
        """Run all checks; a failed one is a result, not an error."""
        checks: dict[str, Callable[[], Awaitable[Outcome]]] = {
            "database": self._sql,
            "disk": self._disk,
            "embedder": self._embed,
            "ingestion": self._jobs,
        }
        return [await self._one(name, check) for name, check in checks.items()]

    async def _one(self, name: str, check: Callable[[], Awaitable[Outcome]]) -> Check:
        started = time.perf_counter()
        try:
            state, detail, effect, hint = await asyncio.wait_for(check(), LIMIT_SECONDS)
        except EngineError as error:
            state, detail, effect, hint = "failed", str(error), "What needs this part does not work now.", error.hint
        except TimeoutError:
            state, detail = "failed", f"no answer within {LIMIT_SECONDS:.0f} s"
            effect, hint = "What needs this part does not work now.", "Look at the server's log, then restart it."
        except OSError as error:
            state, detail = "failed", error.strerror or str(error)
            effect, hint = "What needs this part does not work now.", "Look at the data folder and its disk."
        elapsed = (time.perf_counter() - started) * 1000
        return Check(name=name, state=state, detail=detail, effect=effect, hint=hint, elapsed_ms=round(elapsed, 1))

    async def _sql(self) -> Outcome:
        await self._database.ping()
        return "ok", self._database.url.get_backend_name(), "", ""

    async def _disk(self) -> Outcome:
        free = await asyncio.to_thread(self._blobs.free_bytes)
        detail = f"{free / (1 << 30):.1f} GB free"
        if free > LOW_DISK_BYTES:
            return "ok", detail, "", ""
        return "degraded", detail, "Uploads will fail when the disk is full.", "Free space in the data folder's disk."

    async def _embed(self) -> Outcome:
        vector = await asyncio.to_thread(self._embedder.embed_query, "health check")
        return "ok", f"{self._embedder.model_id}, {vector.shape[0]} dimensions", "", ""

    async def _jobs(self) -> Outcome:
        async with self._database.read() as session:
            open_jobs = Job.state.in_(["queued", "running"])
            count, oldest = (await session.execute(select(func.count(), func.min(Job.created_at)).where(open_jobs))).one()
        age = (now() - oldest).total_seconds() if oldest else 0.0
        detail = f"{count} open jobs" + (f", the oldest for {age:.0f} s" if count else "")
        if age < OLD_JOB_SECONDS:
            return "ok", detail, "", ""
        return (
            "degraded",
            detail,
            "New documents are answered from later than usual.",
            "See which files wait on the documents page.",
        )
