"""A worker whose database fails at the worst moment goes on, and what it had in hands is given back, not counted as a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.assembly import Assembly
from engine.database import content, documents, generations, jobs
from engine.database.models import Job
from engine.errors import StoreError
from engine.keeping_views import GenerationChange, GenerationState
from engine.testing import ADMIN, HashedWords, offline_settings
from tests.flows.conftest import add


def once(real: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """Return a function that fails the first time."""
    errors = [error]

    async def called(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return await real(*arguments, **options)

    return called


@pytest.mark.parametrize(
    ("module", "name", "error"),
    [(jobs, "claim", OSError("the connection is gone")), (documents, "fail", StoreError("the database is away"))],
)
async def test_a_slot_survives_whatever_its_database_does(module, name, error, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("engine.worker.IDLE_SECONDS", 0.05)
    monkeypatch.setattr(module, name, once(getattr(module, name), error))
    made = Assembly(offline_settings(tmp_path, ingest_workers=1, ingestion={"worker": "inside"}))
    made.use_embedder("local", HashedWords())
    async with made.opened(serve=True) as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        info, _ = await workbench.upload(ADMIN, shelf, "a.pdf", b"%PDF-1.4 nonsense")
        async with asyncio.timeout(20):
            while (await workbench.document(ADMIN, info.id)).state != "failed":
                await asyncio.sleep(0.05)
        assert "PDF" in (await workbench.document(ADMIN, info.id)).reason
        async with workbench.database.read() as session:
            assert (await session.scalars(select(Job.crashes))).one() == 0


async def test_a_generation_outlives_a_database_that_is_away_twice_in_a_row(tmp_path: Path, monkeypatch) -> None:
    made = Assembly(offline_settings(tmp_path))
    made.use_embedder("local", HashedWords())
    async with made.opened(serve=False) as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        await add(workbench, shelf, "a.txt", "The wombat digs.")
        info = await workbench.start_generation(ADMIN, shelf, GenerationChange(chunk_tokens=64))
        monkeypatch.setattr(made.generation_builder, "_sleep", lambda _: asyncio.sleep(0))
        monkeypatch.setattr(content, "save_chunks", once(content.save_chunks, StoreError("the database is away")))
        real = generations.hold
        holds = iter([None, StoreError("the database is still away")])

        async def hold(*arguments: Any, **values: Any) -> None:
            if error := next(holds, None):
                raise error
            await real(*arguments, **values)

        monkeypatch.setattr(generations, "hold", hold)
        assert (await workbench.build_generation(ADMIN, info.id)).state is GenerationState.LIVE
