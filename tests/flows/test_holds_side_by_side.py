"""A legal hold that is set at the very moment when what it is for is removed: one of the two comes first, and both know."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from engine.database import documents, holds
from engine.database.columns import now
from engine.database.ingestion_models import LegalHoldRow
from engine.database.models import DocumentRow, Version
from engine.errors import InputError
from engine.keeping_views import RetentionKind, RetentionRule
from engine.testing import ADMIN, offline_workbench
from tests.flows.conftest import add
from tests.servers.databases import SERVERS, database


@pytest.mark.parametrize("server", SERVERS)
async def test_nothing_is_removed_after_its_hold_was_set(server: str, tmp_path: Path) -> None:
    with database(server) as (url, _):
        async with offline_workbench(tmp_path, database_url=url) as workbench:
            shelf = (await workbench.create_collection(ADMIN, "shelf")).id
            ids = [(await add(workbench, shelf, f"{n}.txt", f"The wombat digs {n} holes.")).id for n in range(3)]

            async def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
                task = asyncio.create_task(work)
                await asyncio.wait([task], timeout=0.3)
                return task

            async with workbench.database.write() as session:  # who removes comes first
                await session.execute(update(DocumentRow).where(DocumentRow.id == ids[0]).values(deleted_at=now()))
                assert len(await documents.purgeable(session, before=now())) == 1
                setting = await begun(workbench.set_legal_hold(ADMIN, "document", ids[0], "case 7"))
                assert not setting.done()
            await setting

            async with workbench.database.write() as session:  # who holds comes first
                await holds.fence(session, setting=True)
                session.add(LegalHoldRow(kind="document", object_id=ids[1], reason="case 7", set_by="root"))
                await session.flush()
                removing = await begun(workbench.delete_document(ADMIN, ids[1]))
            with pytest.raises(InputError, match="legal hold"):
                await removing

            old = now().replace(year=2000)
            await workbench.save_retention_rule(ADMIN, RetentionRule(id="", kind=RetentionKind.FILES, days=1))
            async with workbench.database.write() as session:
                await session.execute(update(Version).values(created_at=old))
            async with workbench.database.write() as session:
                await holds.fence(session, setting=True)
                session.add(LegalHoldRow(kind="collection", object_id=shelf, reason="case 8", set_by="root"))
                await session.flush()
                applying = await begun(workbench.apply_retention(ADMIN))
            assert [one.count for one in await applying] == [0]
            assert {one.id for one in await workbench.documents(ADMIN, shelf)} == set(ids[1:])
