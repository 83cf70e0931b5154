"""Is everything all right? One check a part, each with its effect on users and the next step when it is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from engine import registry
from engine.database.blobs import Blobs
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection, Job
from engine.errors import EngineError
from engine.services.configuration import Configured
from engine.services.parts import Parts
from engine.services.provider_tests import Tests
from engine.views import Check

LIMIT_SECONDS = 30.0
LOW_DISK_BYTES = 2 << 30
OLD_JOB_SECONDS = 600

Outcome = tuple[str, str, str, str]  # state, detail, effect, hint


class Checkup:
    """The parts of this installation, tried for real."""

    def __init__(self, *, database: Database, blobs: Blobs, configured: Configured, parts: Parts, tests: Tests) -> None:
        self._database = database
        self._blobs = blobs
        self._configured = configured
        self._parts = parts
        self._tests = tests

    async def run(self) -> list[Check]:
        """Run all checks; a failed one is a result, not an error."""
        checks: dict[str, Callable[[], Awaitable[Outcome]]] = {
            "database": self._sql,
            "disk": self._disk,
            "embedder": self._embed,
            "answers": self._chain,
            "vector stores": self._stores,
            "parts": self._packages,
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
        embedder = self._parts.local()
        vector = await asyncio.to_thread(embedder.embed_query, "health check")
        return "ok", f"{embedder.model_id}, {vector.shape[0]} dimensions", "", ""

    async def _packages(self) -> Outcome:
        parts = [(role, name, spec) for role, table in registry.ROLES.items() for name, spec in table.items()]
        missing = sorted({f"{name} ({spec.needs})" for _, name, spec in parts if not spec.installed})
        named = "; ".join(f"{role}: {', '.join(table)}" for role, table in registry.ROLES.items())
        if not missing:
            return "ok", f"{len(parts)} parts can be used: {named}", "", ""
        effect = "These parts cannot be chosen."
        return (
            "degraded",
            f"not installed: {', '.join(missing)}; known parts: {named}",
            effect,
            "pip install what is in brackets.",
        )

    async def _stores(self) -> Outcome:
        async with self._database.read() as session:
            used = list(await session.scalars(select(Collection).where(Collection.space != "").order_by(Collection.store)))
        counts: dict[str, int] = {}
        for row in used:
            store = await self._parts.store(row.store, dimension=row.dimension, space=row.space)
            try:
                counts[row.store] = counts.get(row.store, 0) + await asyncio.to_thread(store.count)
            finally:
                await asyncio.to_thread(store.close)
        told = ", ".join(f"{name}: {count} vectors" for name, count in counts.items())
        return "ok", told or "all collections are kept in this process", "", ""

    async def _chain(self) -> Outcome:
        live = await self._configured.current(fresh=True)
        tests = await self._tests.latest()
        failed = [
            f"{link} ({test.detail})"
            for link in live.choices.chain
            for test in tests.get(link.provider, [])
            if test.role == "chat" and not test.ok
        ]
        told = ", then ".join(str(link) for link in live.choices.chain)
        if not failed:
            return "ok", told, "", ""
        effect = "The next link of the chain answers; answers say so."
        return (
            "degraded",
            f"{told}; the last test failed: {'; '.join(failed)}",
            effect,
            "Look at the providers page and test again.",
        )

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
