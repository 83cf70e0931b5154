"""What is kept, compared with SQL: each kind of difference is found, told and mended, and nothing is embedded again."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from engine.assembly import Assembly
from engine.database import leases
from engine.database.columns import now
from engine.database.models import ChunkRow, Collection, Job, Snapshot, VectorRow, Version
from engine.database.provider_models import SpaceRow
from engine.errors import AccessDenied, NotFound, StoreError
from engine.keeping_views import Difference, ReconcileReport
from engine.services import indexes
from engine.services.backlog import Follower
from engine.services.checks.backlog import backlog_check
from engine.services.unfinished import unfinished
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Entry, Principal, Role
from tests.flows.conftest import add

TEXTS = {
    f"note {n}.txt": f"The {word} is kept in room {n}. Ask at the desk." for n, word in enumerate(("lamp", "kettle", "rope"))
}
OPERATOR = Principal(user_id="o" * 32, name="otto", role=Role.OPERATOR, session_id="s2")


@pytest.fixture
async def assembly(tmp_path: Path, embedder: HashedWords, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Assembly]:
    monkeypatch.setattr(indexes, "SAVE_AFTER_CHUNKS", 1)
    made = Assembly(offline_settings(tmp_path))
    made.use_embedder("local", embedder)
    async with made.opened(serve=False):
        yield made


async def filled(assembly: Assembly, store: str = "faiss") -> Collection:
    workbench = assembly.workbench
    if store not in ("faiss", "memory"):
        await workbench.add_provider(ADMIN, store, name=store)
    collection = (await workbench.create_collection(ADMIN, "notes")).id
    for name, text in TEXTS.items():
        await add(workbench, collection, name, text)
    if store != "faiss":
        await workbench.move_store(ADMIN, collection, store)
    await found(assembly, collection)
    async with assembly.database.read() as session:
        return await session.get_one(Collection, collection)


async def found(assembly: Assembly, collection_id: str) -> set[str]:
    hits = await assembly.workbench.search(ADMIN, "the lamp in the room", collections=[collection_id], mode="dense", k=20)
    return {hit.chunk.document_name for hit in hits}


async def one_difference(assembly: Assembly, place: str, *, mended: bool = True) -> Difference:
    """Look, mend, and look again; nothing is embedded and the second look finds nothing."""
    embedder = assembly.parts.local()
    before = embedder.embedded
    looked = await assembly.workbench.reconcile(ADMIN, check=True)
    assert [(one.place, one.mended) for one in looked.differences] == [(place, False)], looked
    assert not looked.clean
    done = await assembly.workbench.reconcile(ADMIN)
    assert done.clean == mended, done
    if mended:
        assert (await assembly.workbench.reconcile(ADMIN, check=True, deep=True)).differences == ()
    assert (embedder.embedded, done.embedded) == (before, 0)
    return looked.differences[0]


async def test_what_agrees_is_called_clean_and_only_operators_may_ask(assembly: Assembly) -> None:
    collection = await filled(assembly)
    report = await assembly.workbench.reconcile(OPERATOR, check=True, collection_id=collection.id, deep=True)
    assert (report.clean, report.differences, report.collections, report.entries) == (True, (), 1, 3)
    with pytest.raises(AccessDenied):
        await assembly.workbench.reconcile(Principal(user_id="x", name="x", role=Role.ANALYST))
    with pytest.raises(NotFound):
        await assembly.workbench.reconcile(OPERATOR, collection_id="none")


@pytest.mark.parametrize("store", ["qdrant", "memory"])
@pytest.mark.parametrize("harm", ["missing", "orphan", "altered"])
async def test_a_store_that_lost_gained_or_altered_vectors_is_mended_from_sql(
    assembly: Assembly, store: str, harm: str
) -> None:
    collection = await filled(assembly, store)
    if collection.space:
        vectors = await assembly.parts.store(store, dimension=collection.dimension, space=collection.space)
    else:
        vectors = assembly.indexes._slots[collection.id].index.vectors
    first = vectors.ids()[0]
    other = np.eye(1, collection.dimension, dtype=np.float32)
    if harm == "missing":
        vectors.delete([first])
    else:
        vectors.upsert([Entry(id=first if harm == "altered" else str(uuid.uuid4()), metadata={})], other)
    if collection.space:
        vectors.close()
    told = await one_difference(assembly, "vectors")
    assert (told.missing, told.orphans) == {"missing": (1, 0), "orphan": (0, 1), "altered": (1, 0)}[harm]
    assert await found(assembly, collection.id) == set(TEXTS)


async def test_a_word_index_that_lost_an_entry_is_mended(assembly: Assembly) -> None:
    collection = await filled(assembly)
    words = assembly.indexes._slots[collection.id].index.words
    words.delete(words.ids()[:1])
    assert (await one_difference(assembly, "words")).missing == 1


async def test_a_saved_index_that_is_not_the_one_sql_knows_is_told_and_replaced(assembly: Assembly, tmp_path: Path) -> None:
    collection = await filled(assembly)
    async with assembly.database.read() as session:
        saved = await session.get_one(Snapshot, collection.id)
    [file] = (tmp_path / "indexes" / collection.id / saved.folder / "vectors").glob("index.faiss.*")
    file.write_bytes(file.read_bytes()[:-9])
    assert "built again from SQL" in (await one_difference(assembly, "vectors")).detail


async def test_a_lost_original_is_told_by_name_and_nothing_of_the_document_is_deleted(assembly: Assembly) -> None:
    collection = await filled(assembly)
    async with assembly.database.read() as session:
        version = await session.scalar(select(Version).limit(1))
    path = assembly.blobs.path(version.blob)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"!")  # the same size: only its SHA-256 tells
    told = await one_difference(assembly, "originals", mended=False)
    path.unlink()
    assert (await one_difference(assembly, "originals", mended=False)).missing == told.missing == 1
    assert "note" in told.detail
    assert "upload these files again" in told.detail
    (told,) = (await assembly.workbench.reconcile(OPERATOR, check=True, collection_id=collection.id)).differences
    assert "note" not in told.detail  # names are for those who may read the documents
    assert "1 document." in told.detail
    assert await found(assembly, collection.id) == set(TEXTS)
    path.write_bytes(content)
    assert (await assembly.workbench.reconcile(ADMIN, check=True)).clean


async def test_files_that_nobody_names_go_when_they_are_a_day_old(assembly: Assembly, tmp_path: Path) -> None:
    await filled(assembly)
    old, young = tmp_path / "blobs" / "aa" / ("a" * 32 + ".part"), tmp_path / "blobs" / "aa" / ("b" * 32)
    for path in (old, young):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert (await one_difference(assembly, "originals")).orphans == 1
    assert (old.exists(), young.exists()) == (False, True)


def left_by_a_killed_server(folder: Path) -> list[Path]:
    """One file of each kind that is being made somewhere in the data folder."""
    found = [
        folder / "incoming" / "tmpk2x0v9",
        folder / "incoming" / "archive-x1" / "file",
        folder / "incoming" / f"{'c' * 32}.tar.part",
        folder / ".backup-x2" / "originals" / "000001",
        folder / "backups" / "monday.tar.part",
        folder / ".health-x3",
        folder / ".secrets.json.4711",
    ]
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return found


def aged(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - 90_000,) * 2)


async def test_what_a_killed_server_was_receiving_or_writing_goes_after_a_day(assembly: Assembly, tmp_path: Path) -> None:
    await filled(assembly)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    left = left_by_a_killed_server(tmp_path)
    assert (await assembly.workbench.reconcile(ADMIN)).differences == ()  # an upload may be under way
    aged(*left, tmp_path / "incoming" / "archive-x1", tmp_path / ".backup-x2" / "originals", tmp_path / ".backup-x2")
    working = tmp_path / ".backup-x2" / "originals" / "000002"
    working.write_bytes(b"x")  # a long import that is still being unpacked
    os.utime(working.parent, (time.time() - 90_000,) * 2)
    (tmp_path / "backups" / "monday.tar").write_bytes(b"a whole one")
    aged(tmp_path / "backups" / "monday.tar")
    told = await one_difference(assembly, "unfinished")
    assert (told.orphans, told.missing) == (6, 0)
    kept = {left[3], working, tmp_path / "backups" / "monday.tar"}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} >= before | kept
    assert [path for path in left if path.exists()] == [left[3]]


async def test_only_backups_of_our_own_are_removed_from_a_folder_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "volume"
    elsewhere.mkdir()
    ours, theirs = elsewhere / "workbench-20260101-000000-ab12.tar.part", elsewhere / "holidays.zip.part"
    for path in (ours, theirs):
        path.write_bytes(b"x")
    settings = offline_settings(tmp_path / "data")
    assert unfinished(settings, elsewhere, before=time.time() + 60) == [ours]


async def test_vectors_of_no_passage_go_and_a_document_without_its_vectors_is_told_by_name(assembly: Assembly) -> None:
    await filled(assembly)
    async with assembly.database.write() as session:
        session.add(VectorRow(model_id="m", text_sha256="f" * 64, data=b"1234"))
    assert (await one_difference(assembly, "rows")).orphans == 1
    async with assembly.database.write() as session:
        key = await session.scalar(select(ChunkRow.vector_sha256).limit(1))
        await session.execute(delete(VectorRow).where(VectorRow.text_sha256 == key))
    told = await one_difference(assembly, "rows", mended=False)
    assert (told.missing, told.expected) == (1, 3)
    assert "Process these documents again" in told.detail


async def test_a_file_that_was_taken_and_has_no_job_is_queued_only_when_a_person_asks(assembly: Assembly) -> None:
    collection = await filled(assembly)
    await assembly.workbench.upload(ADMIN, collection.id, "late.txt", b"The anchor is in room 9.")
    async with assembly.database.write() as session:
        await session.execute(delete(Job).where(Job.state == "queued"))
    alone = await assembly.reconciler.round()
    assert isinstance(alone, ReconcileReport)
    assert not alone.clean
    assert "1 document." in alone.differences[0].detail  # nobody asked, so nobody may read its name
    assert "late.txt" in (await one_difference(assembly, "rows")).detail
    await assembly.workbench.process(ADMIN, collection.id)
    assert "late.txt" in await found(assembly, collection.id)


async def test_one_process_at_a_time_compares_and_another_takes_over(assembly: Assembly) -> None:
    async with assembly.database.write() as session:
        assert await leases.take(session, "lease:reconcile", "another", seconds=60)
    assert await assembly.reconciler.round() is None
    async with assembly.database.write() as session:
        assert not await leases.take(session, "lease:reconcile", "a third", seconds=60)
        assert await leases.take(session, "lease:reconcile", "a third", seconds=-1)


async def backlog_of(assembly: Assembly, store: str) -> tuple[float, float]:
    """Return what Prometheus gets of a store: documents, seconds."""
    await assembly.history._minute()
    lines = dict(line.rsplit(" ", 1) for line in assembly.meter.exposition().decode().splitlines() if line[:1] != "#")
    documents, seconds = (f'workbench_store_backlog_{what}{{store="{store}"}}' for what in ("documents", "oldest_seconds"))
    return float(lines[documents]), float(lines[seconds])


async def test_stores_of_one_name_are_counted_together_and_one_out_of_use_is_told_as_empty(assembly: Assembly) -> None:
    workbench = assembly.workbench
    collection = await filled(assembly, "qdrant")
    other = (await workbench.create_collection(ADMIN, "other")).id
    await add(workbench, other, "a.txt", "The kettle is in the kitchen.")
    await workbench.move_store(ADMIN, other, "qdrant")
    for info in await workbench.documents(ADMIN):
        await workbench.delete_document(ADMIN, info.id)
    async with assembly.database.write() as session:
        old = now() - timedelta(minutes=10)
        await session.execute(update(Version).where(Version.collection_id == collection.id).values(updated_at=old))
    assert await backlog_of(assembly, "qdrant") == (4.0, pytest.approx(600, abs=60))
    async with assembly.database.write() as session:
        await session.execute(update(Collection).values(store="faiss", space=""))
    assert await backlog_of(assembly, "qdrant") == (0.0, 0.0)


async def test_a_store_that_was_away_follows_by_itself_and_its_backlog_is_told(
    assembly: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = await filled(assembly, "qdrant")
    follower = Follower(database=assembly.database, spaces=assembly.spaces)
    info = next(one for one in await assembly.workbench.documents(ADMIN) if one.name == "note 0.txt")
    await assembly.workbench.delete_document(ADMIN, info.id)
    check = backlog_check(assembly.database, wall=lambda: now() + timedelta(minutes=5))
    late = await check.run(True)
    assert late.state == "degraded"
    assert "1 document of 1 of 1 collections" in late.detail
    documents, seconds = await backlog_of(assembly, "qdrant")
    assert (documents, seconds) == (1.0, pytest.approx(0, abs=60))
    store = assembly.spaces._open[collection.space][1]

    def away(_ids: object) -> None:
        raise StoreError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "delete", lambda _self, ids: away(ids))
        await follower.look()
        assert (await check.run(True)).state == "degraded"
    assembly.spaces._failed.clear()
    await follower.look()
    assert (await check.run(True)).state == "ok"
    assert await backlog_of(assembly, "qdrant") == (0.0, 0.0)
    async with assembly.database.read() as session:
        assert len(store.ids()) == 2
        assert (await session.get_one(SpaceRow, collection.space)).seq > 0


async def test_a_store_that_lost_everything_is_filled_again_without_a_question(assembly: Assembly) -> None:
    collection = await filled(assembly, "qdrant")
    async with assembly.database.write() as session:
        await session.execute(update(Version).values(updated_at=now() - timedelta(minutes=2)))
    emptied = await assembly.parts.store("qdrant", dimension=collection.dimension, space=collection.space)
    emptied.drop()
    await Follower(database=assembly.database, spaces=assembly.spaces).look()
    assert len(emptied.ids()) == 3
    emptied.close()
