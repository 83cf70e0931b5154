"""Collections in stores that keep their vectors themselves, and moves between stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from engine.assembly import Assembly
from engine.database.models import Collection
from engine.database.provider_models import SpaceRow
from engine.errors import AccessDenied, InputError, StoreError
from engine.stores.qdrant import QdrantStore
from engine.testing import ADMIN, HashedWords, offline_settings, offline_workbench
from engine.types import Entry, Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import LEAVE
from tests.servers import server_of

QUESTION = "How many days of paid leave does an employee have?"
OTHER = "The canteen serves lunch from noon. Soup is free on Mondays for every employee."


@pytest.fixture
async def assembly(tmp_path: Path) -> AsyncIterator[Assembly]:
    made = Assembly(offline_settings(tmp_path))
    made.use_embedder("local", HashedWords())
    async with made.opened(serve=False):
        yield made


@pytest.fixture
def workbench(assembly: Assembly) -> Workbench:
    return assembly.workbench


@pytest.fixture
async def stores(workbench: Workbench) -> list[str]:
    for kind in ("chroma", "qdrant"):
        await workbench.add_provider(ADMIN, kind, name=kind)
    return ["chroma", "qdrant"]


async def dense(workbench: Workbench, collection_id: str) -> set[str]:
    hits = await workbench.search(ADMIN, QUESTION, collections=[collection_id], mode="dense", k=20)
    return {hit.chunk.document_name for hit in hits}


async def test_a_collection_moves_and_its_answers_stay(workbench: Workbench, handbook: str, stores: list[str]) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    for to in (*stores, "memory", "faiss", "qdrant"):
        report = await workbench.move_store(ADMIN, handbook, to)
        assert report.after == to
        assert report.entries == report.entries_there > 0
        assert report.overlap == 1.0
        assert report.checksum == report.checksum_there
        assert "thirty days" in (await workbench.ask(ADMIN, QUESTION, collections=[handbook])).text
        assert await dense(workbench, handbook) == {"leave.txt"}
    with pytest.raises(InputError, match="already"):
        await workbench.move_store(ADMIN, handbook, "qdrant")
    with pytest.raises(InputError, match="no provider"):
        await workbench.move_store(ADMIN, handbook, "pinecone")


async def test_what_changes_after_a_move_follows_and_revert_knows_it_too(
    workbench: Workbench, handbook: str, stores: list[str]
) -> None:
    first = await add(workbench, handbook, "leave.txt", LEAVE)
    await workbench.move_store(ADMIN, handbook, "qdrant")
    await add(workbench, handbook, "food.txt", OTHER)
    assert await dense(workbench, handbook) == {"leave.txt", "food.txt"}
    await workbench.delete_document(ADMIN, first.id)
    assert await dense(workbench, handbook) == {"food.txt"}
    await workbench.move_store(ADMIN, handbook, "chroma")
    await workbench.restore_document(ADMIN, first.id)
    assert await workbench.revert_store(ADMIN, handbook) == "qdrant"
    assert await dense(workbench, handbook) == {"leave.txt", "food.txt"}
    assert await workbench.revert_store(ADMIN, handbook) == "chroma"
    assert await dense(workbench, handbook) == {"leave.txt", "food.txt"}


async def test_a_failed_move_changes_nothing_and_leaves_nothing(
    assembly: Assembly, handbook: str, stores: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench = assembly.workbench
    await add(workbench, handbook, "leave.txt", LEAVE)
    monkeypatch.setattr(QdrantStore, "fetch", lambda self, ids: np.zeros((len(ids), 128), dtype=np.float32))
    with pytest.raises(StoreError, match="other vectors") as caught:
        await workbench.move_store(ADMIN, handbook, "qdrant")
    assert caught.value.hint
    async with workbench.database.read() as session:
        row = await session.get_one(Collection, handbook)
        assert (row.store, row.space, row.previous_store) == ("faiss", "", "")
        assert list(await session.scalars(select(SpaceRow))) == []
    assert await dense(workbench, handbook) == {"leave.txt"}


async def test_a_store_that_lost_its_volume_is_filled_again_without_embedding(tmp_path: Path) -> None:
    embedder = HashedWords()
    async with offline_workbench(tmp_path, embedder=embedder) as workbench:
        await workbench.add_provider(ADMIN, "qdrant", name="qdrant")
        collection = await workbench.create_collection(ADMIN, "handbook")
        await add(workbench, collection.id, "leave.txt", LEAVE)
        await workbench.move_store(ADMIN, collection.id, "qdrant")
        space = workbench._collections._spaces
        [(_, store)] = [await _opened(workbench, collection.id, space)]
        store.drop()
        store.upsert([Entry(id="of another world")], np.eye(128, dtype=np.float32)[:1])
        before = embedder.embedded
    async with offline_workbench(tmp_path, embedder=embedder) as workbench:
        assert await dense(workbench, collection.id) == {"leave.txt"}
        assert embedder.embedded == before


async def _opened(workbench: Workbench, collection_id: str, spaces) -> tuple[str, object]:
    async with workbench.database.read() as session:
        row = await session.get_one(Collection, collection_id)
    return row.space, await spaces.current(row)


async def test_a_new_collection_begins_in_the_chosen_store_and_takes_its_space_along(
    assembly: Assembly, stores: list[str]
) -> None:
    workbench = assembly.workbench
    await workbench.choose(ADMIN, expected_version=(await workbench.choices(ADMIN)).version, store="chroma")
    info = await workbench.create_collection(ADMIN, "fresh")
    await add(workbench, info.id, "leave.txt", LEAVE)
    assert await dense(workbench, info.id) == {"leave.txt"}
    with pytest.raises(InputError, match="in use"):
        await workbench.remove_provider(ADMIN, "chroma")
    async with workbench.database.read() as session:
        space = (await session.get_one(Collection, info.id)).space
    await workbench.delete_collection(ADMIN, info.id)
    store = await assembly.parts.store("chroma", dimension=128, space=space)
    assert store.count() == 0
    store.close()
    async with workbench.database.read() as session:
        assert list(await session.scalars(select(SpaceRow))) == []


async def test_retired_spaces_go_after_a_while_and_with_them_the_way_back(
    assembly: Assembly, handbook: str, stores: list[str]
) -> None:
    workbench = assembly.workbench
    await add(workbench, handbook, "leave.txt", LEAVE)
    await workbench.move_store(ADMIN, handbook, "qdrant")
    await workbench.move_store(ADMIN, handbook, "chroma")
    await assembly.spaces.sweep(older_than=timedelta(days=7))
    async with workbench.database.read() as session:
        assert len(list(await session.scalars(select(SpaceRow)))) == 2
    await assembly.spaces.sweep(older_than=timedelta(0))
    async with workbench.database.read() as session:
        assert [row.store for row in await session.scalars(select(SpaceRow))] == ["chroma"]
    with pytest.raises(InputError, match="no former store"):
        await workbench.revert_store(ADMIN, handbook)
    assert await dense(workbench, handbook) == {"leave.txt"}


async def test_only_admins_move_collections(workbench: Workbench, handbook: str, stores: list[str]) -> None:
    await workbench.create_user(ADMIN, "bo", "a long enough password", Role.ANALYST)
    user = next(one for one in await workbench.users(ADMIN) if one.name == "bo")
    reader = Principal(user_id=user.id, name="bo", role=Role.ANALYST)
    await workbench.grant(ADMIN, handbook, "bo", Right.WRITE)
    with pytest.raises(AccessDenied):
        await workbench.move_store(reader, handbook, "qdrant")
    with pytest.raises(AccessDenied):
        await workbench.revert_store(reader, handbook)
    await workbench.grant(ADMIN, handbook, "bo", Right.OWNER)
    with pytest.raises(AccessDenied):  # vectors may leave for a service that somebody pays for
        await workbench.move_store(reader, handbook, "qdrant")


async def test_a_store_that_is_down_costs_the_dense_half_and_says_so(
    workbench: Workbench, handbook: str, tmp_path: Path
) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    with server_of("chroma_server") as endpoint:
        await workbench.add_provider(ADMIN, "chroma", name="chroma-server", base_url=endpoint.base_url, timeout_seconds=3)
        await workbench.move_store(ADMIN, handbook, "chroma-server")
        assert (await workbench.ask(ADMIN, QUESTION, collections=[handbook])).serving.notes == ()
    answer = await workbench.ask(ADMIN, QUESTION, collections=[handbook], fresh=True)  # the one before was kept
    assert "thirty days" in answer.text
    [note] = answer.serving.notes
    assert "searched by words only" in note
    with pytest.raises(StoreError):
        await workbench.search(ADMIN, QUESTION, collections=[handbook], mode="dense")


async def test_two_replicas_over_one_store_behave_as_one(tmp_path: Path) -> None:
    with server_of("pgvector") as endpoint:
        async with offline_workbench(tmp_path) as one, offline_workbench(tmp_path) as two:
            await one.add_provider(ADMIN, "pgvector", name="pg", base_url=endpoint.base_url, key=endpoint.api_key)
            await one.choose(ADMIN, expected_version=(await one.choices(ADMIN)).version, store="pg")
            collection = (await one.create_collection(ADMIN, "shared")).id
            for n in range(4):
                await add(one if n % 2 else two, collection, f"{n}.txt", f"{LEAVE} Number {n}.")
            found = await asyncio.gather(*(dense(one if n % 2 else two, collection) for n in range(6)))
            assert all(names == {f"{n}.txt" for n in range(4)} for names in found)
