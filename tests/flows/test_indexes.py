"""Indexes are projections: whatever happens to their files, answers come from what SQL says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from engine.database.models import Snapshot
from engine.services import indexes
from engine.testing import ADMIN, HashedWords, offline_workbench
from engine.workbench import Workbench
from tests.flows.conftest import add

TEXTS = {f"note {n}.txt": f"The {word} is kept in room {n}. Ask at the desk." for n, word in enumerate(
    ["lamp", "ladder", "kettle", "printer", "projector", "umbrella"]
)}  # fmt: skip


@pytest.fixture(autouse=True)
def _save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "SAVE_AFTER_CHUNKS", 1)


async def filled(folder: Path) -> str:
    async with offline_workbench(folder) as workbench:
        collection = await workbench.create_collection(ADMIN, "notes")
        for name, text in TEXTS.items():
            await workbench.upload(ADMIN, collection.id, name, text.encode())
        await workbench.process(ADMIN, collection.id)
        await rooms(workbench, collection.id)
    return collection.id


async def rooms(workbench: Workbench, collection_id: str) -> list[str]:
    """For each note, who comes first for its own word."""
    queries = ["lamp", "ladder", "kettle", "printer", "projector", "umbrella"]
    firsts = []
    for query in queries:
        hits = await workbench.search(ADMIN, query, collections=[collection_id], k=1)
        firsts.append(hits[0].chunk.document_name if hits else "")
    return firsts


def snapshot(folder: Path, collection_id: str) -> Path:
    return next((folder / "indexes" / collection_id).iterdir())


def truncate(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file() and file.stat().st_size > 8:
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "harm", [lambda path: None, shutil.rmtree, truncate, flip], ids=["none", "deleted", "truncated", "bits"]
)
async def test_a_restart_answers_the_same_whatever_became_of_the_files(tmp_path: Path, harm) -> None:
    collection_id = await filled(tmp_path)
    harm(snapshot(tmp_path, collection_id))
    embedder = HashedWords()
    async with offline_workbench(tmp_path, embedder=embedder) as workbench:
        assert await rooms(workbench, collection_id) == list(TEXTS)
    assert embedder.embedded == 0  # a rebuild pays no provider


async def test_a_snapshot_that_knows_more_than_sql_is_not_believed(tmp_path: Path) -> None:
    collection_id = await filled(tmp_path)
    async with offline_workbench(tmp_path) as workbench:
        gone = next(one for one in await workbench.documents(ADMIN, collection_id) if one.name == "note 0.txt")
        async with workbench.database.write() as session:
            # As after restoring an older database beside newer index files.
            from engine.database.models import DocumentRow

            await session.delete(await session.get_one(DocumentRow, gone.id))
            row = (await session.scalars(select(Snapshot))).one()
            row.seq -= 2
    async with offline_workbench(tmp_path) as workbench:
        hits = await workbench.search(ADMIN, "lamp", collections=[collection_id], k=10)
        assert "note 0.txt" not in {hit.chunk.document_name for hit in hits}
        assert (await rooms(workbench, collection_id))[1:] == list(TEXTS)[1:]


async def test_two_processes_see_each_others_changes(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as one, offline_workbench(tmp_path) as two:
        collection = await one.create_collection(ADMIN, "notes")
        first = await add(one, collection.id, "a.txt", "The lamp is in room one.")
        assert [hit.chunk.document_name for hit in await two.search(ADMIN, "lamp", collections=[collection.id])] == ["a.txt"]
        await two.delete_document(ADMIN, first.id)
        assert await one.search(ADMIN, "lamp", collections=[collection.id]) == []
        await add(two, collection.id, "b.txt", "The lamp is in room two.")
        assert [hit.chunk.document_name for hit in await one.search(ADMIN, "lamp", collections=[collection.id])] == ["b.txt"]


async def test_a_deleted_collection_leaves_no_files(tmp_path: Path) -> None:
    collection_id = await filled(tmp_path)
    async with offline_workbench(tmp_path) as workbench:
        await workbench.delete_collection(ADMIN, collection_id)
    assert not (tmp_path / "indexes" / collection_id).exists()
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
