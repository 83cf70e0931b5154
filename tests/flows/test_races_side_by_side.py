"""Two processes at the same rows at the same moment, on the databases that let them: one comes first, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text, update

from engine.database import content, documents, generations
from engine.database.chat_models import Conversation
from engine.database.columns import now
from engine.database.ingestion_models import Generation
from engine.database.models import Collection, VectorRow, Version, VersionState
from engine.errors import NotFound
from engine.keeping_views import GenerationChange, RetentionKind, RetentionRule
from engine.services.passage_rows import vector_key
from engine.testing import ADMIN, offline_workbench
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.people import person, signed_in
from tests.servers.databases import SERVERS, database

LONG_AGO = now().replace(year=2000)


WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def begun(workbench: Workbench, work: Coroutine[Any, Any, Any], *, waiting: int = 1) -> asyncio.Task[Any]:
    """Start it, and go on when it waits for a lock, with so many others, or is over."""
    task = asyncio.create_task(work)
    if workbench.database.url.get_backend_name() == "mariadb":  # tells nobody but its administrator who waits
        await asyncio.wait([task], timeout=0.5)
        return task
    async with asyncio.timeout(30):
        while not task.done():
            async with workbench.database.read() as session:
                if (await session.scalar(text(WAITERS)) or 0) >= waiting:
                    break
            await asyncio.sleep(0.02)
    return task


async def states(workbench: Workbench, document_id: str) -> dict[int, str]:
    async with workbench.database.read() as session:
        rows = await session.execute(select(Version.number, Version.state).where(Version.document_id == document_id))
        return {number: state for number, state in rows}


@pytest.mark.parametrize("server", SERVERS)
async def test_whoever_comes_second_sees_what_the_first_did(server: str, tmp_path: Path) -> None:
    with database(server) as (url, _):
        async with offline_workbench(tmp_path, database_url=url) as workbench:
            shelf = (await workbench.create_collection(ADMIN, "shelf")).id
            await restored_while_it_is_purged(workbench, shelf)
            await gone_on_with_while_a_rule_looks(workbench)
            await activated_while_a_rule_empties_it(workbench, shelf)
            await taken_up_while_its_collection_switches(workbench, shelf)


async def restored_while_it_is_purged(workbench: Workbench, shelf: str) -> None:
    doomed = (await add(workbench, shelf, "doomed.txt", "The wombat digs.")).id
    await workbench.delete_document(ADMIN, doomed)
    async with workbench.database.write() as session:
        for row in await documents.purgeable(session, before=now()):
            await documents.purge(session, row)
        restoring = await begun(workbench, workbench.restore_document(ADMIN, doomed))
    with pytest.raises(NotFound, match="for good"):
        await restoring
    assert doomed not in {one.id for one in await workbench.documents(ADMIN, shelf)}


async def gone_on_with_while_a_rule_looks(workbench: Workbench) -> None:
    await person(workbench, "ada")
    ada = await signed_in(workbench, "ada")
    await workbench.create_conversation(ada, ())
    rule = await workbench.save_retention_rule(ADMIN, RetentionRule(id="", kind=RetentionKind.CHATS, days=1))
    async with workbench.database.write() as session:
        await session.execute(update(Conversation).values(updated_at=LONG_AGO))
    async with workbench.database.write() as session:
        await session.execute(update(Conversation).values(updated_at=now()))
        applying = await begun(workbench, workbench.apply_retention(ADMIN, rule.id))
    assert [one.count for one in await applying] == [0]
    assert len(await workbench.conversations(ada)) == 1


async def activated_while_a_rule_empties_it(workbench: Workbench, shelf: str) -> None:
    again = (await add(workbench, shelf, "again.txt", "The emu runs.")).id
    await add(workbench, shelf, "again.txt", "The emu sleeps.")
    await workbench.save_retention_rule(ADMIN, RetentionRule(id="", kind=RetentionKind.VERSIONS, days=1))
    async with workbench.database.write() as session:
        await session.execute(update(Version).where(Version.document_id == again).values(updated_at=LONG_AGO))
    async with workbench.database.write() as session:
        row = await documents.get(session, again, lock=True)
        first = await documents.version_of(session, again, 1)
        await documents.activate(session, row, first)
        applying = await begun(workbench, workbench.apply_retention(ADMIN))
    await applying
    assert await states(workbench, again) == {1: VersionState.LIVE, 2: VersionState.REPLACED}
    assert [one.text for one in await workbench.chunks(ADMIN, again)] == ["The emu runs."]


async def taken_up_while_its_collection_switches(workbench: Workbench, shelf: str) -> None:
    taken_up = (await add(workbench, shelf, "taken up.txt", "The quokka smiles.")).id
    await add(workbench, shelf, "taken up.txt", "The quokka frowns.")
    other = (await workbench.create_collection(ADMIN, "other")).id
    moved = (await add(workbench, other, "moved.txt", "The echidna naps.")).id
    started = await workbench.start_generation(ADMIN, shelf, GenerationChange(chunk_tokens=64), switch=False)
    await workbench.build_generation(ADMIN, started.id)
    async with workbench.database.write() as session:
        assert await generations.switch(session, await session.get_one(Generation, started.id))
        activating = await begun(workbench, workbench.activate_version(ADMIN, taken_up, 1))
        moving = await begun(workbench, workbench.move_document(ADMIN, moved, shelf), waiting=2)
    await asyncio.gather(activating, moving)
    await workbench.process(ADMIN, shelf)
    async with workbench.database.read() as session:
        collection = await session.get_one(Collection, shelf)
        for document_id in (taken_up, moved):
            live = await documents.version_of(session, document_id)
            assert live.state == VersionState.LIVE
            assert await content.chunks(session, live, collection.generation)  # else no index would ever hold it


@pytest.mark.parametrize("server", SERVERS)
async def test_a_text_that_two_processes_embed_at_once_fails_neither(server: str, tmp_path: Path) -> None:
    with database(server) as (url, _):
        async with offline_workbench(tmp_path, database_url=url) as workbench:
            shelf = (await workbench.create_collection(ADMIN, "shelf")).id
            document, _ = await workbench.upload(ADMIN, shelf, "same.txt", b"The wombat digs.")
            async with workbench.database.write() as session:
                collection = await session.get_one(Collection, shelf)
                vectors = np.zeros((1, collection.dimension), np.float32)
                await content.save_vectors(session, collection.model_id, [vector_key("same\nThe wombat digs.")], vectors)
                processing = await begun(workbench, workbench.process(ADMIN, shelf))
            await processing
            assert (await workbench.document(ADMIN, document.id)).reason == ""
            async with workbench.database.read() as session:
                assert len(list(await session.scalars(select(VectorRow.text_sha256)))) == 1
                assert (await documents.version_of(session, document.id)).state == VersionState.LIVE
