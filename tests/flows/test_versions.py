"""Duplicates at upload, versions and rollback, documents that are kept and not asked, moves, and many at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.database.models import ChunkRow, Collection, PageRow, VectorRow, Version
from engine.errors import AccessDenied, InputError, NotFound
from engine.ingestion_views import BulkAction, OnDuplicate, UploadCheck
from engine.testing import ADMIN, HashedWords, offline_workbench
from engine.types import Right, Role
from engine.views import UploadVerdict
from engine.workbench import Workbench
from tests.flows.conftest import add

ASK, SKIP, REPLACE, VERSION = OnDuplicate.ASK, OnDuplicate.SKIP, OnDuplicate.REPLACE, OnDuplicate.VERSION
THIRTY = "Holidays. Every employee has thirty days of paid leave a year."
FORTY = THIRTY.replace("thirty", "forty")
QUESTION = "How many days of paid leave does an employee have?"


async def found(workbench: Workbench, collection_id: str) -> str:
    """What a search for leave gives."""
    hits = await workbench.search(ADMIN, "days of paid leave", collections=[collection_id], k=5)
    return " | ".join(hit.chunk.text for hit in hits)


def originals(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "blobs").rglob("*"))


async def count(workbench: Workbench, table: type) -> int:
    async with workbench.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    ("name", "text", "choice", "verdict", "versions"),
    [
        ("leave.txt", THIRTY, ASK, UploadVerdict.DUPLICATE, 1),
        ("leave.txt", THIRTY, SKIP, UploadVerdict.DUPLICATE, 1),
        ("leave.txt", THIRTY, REPLACE, UploadVerdict.DUPLICATE, 1),
        ("leave.txt", THIRTY, VERSION, UploadVerdict.NEW_VERSION, 2),
        ("copy.txt", THIRTY, VERSION, UploadVerdict.DUPLICATE, 1),
        ("leave.txt", FORTY, ASK, UploadVerdict.NEW_VERSION, 2),
        ("leave.txt", FORTY, SKIP, UploadVerdict.SKIPPED, 1),
        ("leave.txt", FORTY, REPLACE, UploadVerdict.NEW_VERSION, 2),
        ("other.txt", FORTY, SKIP, UploadVerdict.ACCEPTED, 1),
    ],
)
async def test_an_upload_does_what_was_chosen_about_what_is_there(
    workbench: Workbench, handbook: str, embedder: HashedWords, tmp_path: Path, name, text, choice, verdict, versions
) -> None:
    first = await add(workbench, handbook, "leave.txt", THIRTY)
    embedded, kept = embedder.embedded, originals(tmp_path)
    info, said = await workbench.upload(ADMIN, handbook, name, text.encode(), on_duplicate=choice)
    assert (said, info.versions, info.id == first.id) == (verdict, versions, verdict is not UploadVerdict.ACCEPTED)
    added = verdict in (UploadVerdict.ACCEPTED, UploadVerdict.NEW_VERSION)
    assert originals(tmp_path) == kept + added
    await workbench.process(ADMIN, handbook)
    assert (embedder.embedded > embedded) == (added and text != THIRTY)


async def test_the_same_bytes_of_a_file_that_failed_are_tried_again(
    workbench: Workbench, handbook: str, tmp_path: Path
) -> None:
    failed = await add(workbench, handbook, "empty.txt", "")
    assert (failed.state, failed.error) == ("failed", "EmptyDocument")
    info, verdict = await workbench.upload(ADMIN, handbook, "empty.txt", b"", on_duplicate=SKIP)
    assert (verdict, info.id, info.state, info.version, originals(tmp_path)) == (UploadVerdict.AGAIN, failed.id, "stored", 1, 1)
    assert info.error == ""


async def test_replacing_removes_the_content_of_the_former_versions_once_the_new_one_is_live(
    workbench: Workbench, handbook: str, tmp_path: Path
) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    await workbench.upload(ADMIN, handbook, "leave.txt", FORTY.encode(), on_duplicate=REPLACE)
    assert "thirty" in await found(workbench, handbook)
    assert await workbench.original(ADMIN, info.id, 1) == THIRTY.encode()
    await workbench.process(ADMIN, handbook)
    assert "forty" in await found(workbench, handbook)
    new, old = await workbench.versions(ADMIN, info.id)
    assert (new.active, old.state, old.can_activate, old.reason) == (True, "deleted", False, "its content was removed")
    assert (originals(tmp_path), await count(workbench, PageRow), await count(workbench, VectorRow)) == (1, 1, 1)
    for call in (workbench.original(ADMIN, info.id, 1), workbench.page(ADMIN, info.id, 1, version=1)):
        with pytest.raises(NotFound, match="was removed"):
            await call
    with pytest.raises(InputError, match="was removed"):
        await workbench.activate_version(ADMIN, info.id, 1)


async def test_what_is_held_stays_until_it_is_released_and_a_shared_original_stays_for_good(
    workbench: Workbench, handbook: str, tmp_path: Path
) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    hold = await workbench.set_legal_hold(ADMIN, "document", info.id, reason="a lawsuit")
    await workbench.upload(ADMIN, handbook, "leave.txt", FORTY.encode(), on_duplicate=REPLACE)
    await workbench.process(ADMIN, handbook)
    assert await workbench.original(ADMIN, info.id, 1) == THIRTY.encode()
    await workbench.reprocess(ADMIN, info.id)  # a version that shares the original of the present one
    await workbench.process(ADMIN, handbook)
    async with workbench.database.write() as session:
        await session.execute(update(Version).where(Version.number == 3).values(replaces=True))
    await workbench.release_legal_hold(ADMIN, hold.id)
    await workbench.sweep_versions()
    assert [one.state for one in await workbench.versions(ADMIN, info.id)] == ["live", "deleted", "deleted"]
    assert await workbench.original(ADMIN, info.id) == FORTY.encode()
    assert originals(tmp_path) == 1


async def test_a_rollback_answers_at_once_without_embedding_and_a_later_version_still_goes_live(
    workbench: Workbench, handbook: str, embedder: HashedWords
) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    await add(workbench, handbook, "leave.txt", FORTY)
    embedded = embedder.embedded
    back = await workbench.activate_version(ADMIN, info.id, 1)
    assert (back.version, back.state, back.versions, (await workbench.collections(ADMIN))[0].chunks) == (1, "live", 2, 1)
    assert "forty" not in await found(workbench, handbook)
    assert "thirty" in await found(workbench, handbook)
    assert [(one.number, one.active, one.can_activate) for one in await workbench.versions(ADMIN, info.id)] == [
        (2, False, True),
        (1, True, False),
    ]
    assert embedder.embedded == embedded
    with pytest.raises(InputError, match="answers questions already"):
        await workbench.activate_version(ADMIN, info.id, 1)
    with pytest.raises(NotFound):
        await workbench.activate_version(ADMIN, info.id, 7)
    _, verdict = await workbench.upload(ADMIN, handbook, "leave.txt", THIRTY.encode())
    assert verdict is UploadVerdict.DUPLICATE  # of the version that answers, though it is not the newest
    third = await add(workbench, handbook, "leave.txt", FORTY)
    assert (third.version, third.state) == (3, "live")
    assert "forty" in await found(workbench, handbook)


async def test_a_version_of_another_generation_is_processed_again_beside_the_live_one(
    workbench: Workbench, handbook: str
) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    await add(workbench, handbook, "leave.txt", FORTY)
    async with workbench.database.write() as session:
        old = select(Version.id).where(Version.number == 1).scalar_subquery()
        await session.execute(update(ChunkRow).where(ChunkRow.version_id == old).values(generation="a former one"))
    queued = await workbench.activate_version(ADMIN, info.id, 1)
    assert (queued.version, queued.state) == (3, "stored")
    assert (queued.pages, queued.live_version, queued.live_pages, queued.pages_to_open) == (0, 2, 1, 1)
    assert "version 1 was cut or embedded" in queued.reason
    assert "forty" in await found(workbench, handbook)
    await workbench.process(ADMIN, handbook)
    assert "thirty" in await found(workbench, handbook)


async def test_only_passages_that_changed_are_embedded_again(
    workbench: Workbench, handbook: str, embedder: HashedWords
) -> None:
    parts = [f"# Part {n}\n\n" + f"Rule {n} says what holds in case {n}. " * 40 for n in range(8)]
    first = await add(workbench, handbook, "rules.md", "\n\n".join(parts))
    before = embedder.embedded
    parts[3] = parts[3].replace("Rule 3 says", "Rule 3 forbids", 1)
    second = await add(workbench, handbook, "rules.md", "\n\n".join(parts))
    assert first.chunks == second.chunks >= 8
    assert embedder.embedded - before == 1


async def test_a_citation_tells_what_became_of_its_source(workbench: Workbench, handbook: str) -> None:
    ann = await workbench.create_user(ADMIN, "ann", "a long enough password", Role.ANALYST)
    done = await workbench.sign_in("ann", "a long enough password", ip="127.0.0.1", user_agent="test")
    reader = await workbench.authenticate(done.token)
    assert reader is not None
    await workbench.grant(ADMIN, handbook, ann.name, Right.READ)
    other = (await workbench.create_collection(ADMIN, "secret")).id
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    talk = await workbench.create_conversation(reader, [handbook])
    reply = await workbench.send(reader, talk.id, QUESTION)
    while (await workbench.message(reader, reply.id)).state == "streaming":
        await asyncio.sleep(0.01)
    assert (await workbench.document(ADMIN, info.id)).last_used_at is not None

    async def upload(text: str, choice: OnDuplicate = ASK) -> None:
        await workbench.upload(ADMIN, handbook, "leave.txt", text.encode(), on_duplicate=choice)
        await workbench.process(ADMIN, handbook)

    steps = [
        (lambda: asyncio.sleep(0), "current"),
        (lambda: upload(FORTY), "changed"),
        (lambda: workbench.activate_version(ADMIN, info.id, 1), "current"),
        (lambda: upload(THIRTY, VERSION), "current"),  # the same bytes
        (lambda: workbench.disable_document(ADMIN, info.id), "current"),
        (lambda: workbench.enable_document(ADMIN, info.id), "current"),
        (lambda: workbench.grant(ADMIN, handbook, ann.name, None), "no access"),
        (lambda: workbench.grant(ADMIN, handbook, ann.name, Right.READ), "current"),
        (lambda: workbench.move_document(ADMIN, info.id, other), "no access"),
        (lambda: workbench.move_document(ADMIN, info.id, handbook), "current"),
        (lambda: upload(FORTY + " As of May.", REPLACE), "changed"),
        (lambda: workbench.delete_document(ADMIN, info.id), "removed"),
        (lambda: workbench.purge(older_than_seconds=0), "removed"),
        (lambda: workbench.delete_collection(ADMIN, handbook), "removed"),
    ]
    for number, (step, state) in enumerate(steps):
        await step()
        assert set((await workbench.citation_states(reader, reply.id)).values()) == {state}, number


async def test_a_passage_that_was_kept_out_of_answers_does_not_come_back_with_a_former_version(
    workbench: Workbench, handbook: str
) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    await workbench.upload(ADMIN, handbook, "leave.txt", THIRTY.encode(), on_duplicate=VERSION)
    await workbench.process(ADMIN, handbook)
    (passage,) = await workbench.chunks(ADMIN, info.id)
    await workbench.hold_passage(ADMIN, passage.id)
    await workbench.activate_version(ADMIN, info.id, 1)
    assert await found(workbench, handbook) == ""
    (passage,) = await workbench.chunks(ADMIN, info.id)
    await workbench.release_passage(ADMIN, passage.id)
    await workbench.activate_version(ADMIN, info.id, 2)  # what was decided last counts, not the higher number
    assert "thirty" in await found(workbench, handbook)


async def test_a_number_that_no_column_holds_is_no_version(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    for call in (workbench.original, workbench.activate_version):
        with pytest.raises(InputError):
            await call(ADMIN, info.id, 2**70)


async def test_a_disabled_document_stays_listed_and_out_of_answers_whatever_happens_to_it(
    workbench: Workbench, handbook: str
) -> None:
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    assert (await workbench.disable_document(ADMIN, info.id)).disabled
    assert await found(workbench, handbook) == ""
    assert [(one.disabled, one.state) for one in await workbench.documents(ADMIN, handbook)] == [(True, "live")]
    await add(workbench, handbook, "leave.txt", FORTY)
    await workbench.activate_version(ADMIN, info.id, 1)
    await workbench.delete_document(ADMIN, info.id)
    await workbench.restore_document(ADMIN, info.id)
    assert await found(workbench, handbook) == ""
    assert [one.active for one in await workbench.versions(ADMIN, info.id)] == [False, True]
    assert not (await workbench.enable_document(ADMIN, info.id)).disabled
    assert "thirty" in await found(workbench, handbook)


@pytest.mark.parametrize("alike", [True, False])
async def test_a_moved_document_leaves_one_index_enters_the_other_and_takes_its_history_along(
    workbench: Workbench, handbook: str, embedder: HashedWords, tmp_path: Path, alike: bool
) -> None:
    shelf = (await workbench.create_collection(ADMIN, "shelf", chunker="" if alike else "sentence")).id
    info = await add(workbench, handbook, "leave.txt", FORTY)
    await add(workbench, handbook, "leave.txt", THIRTY)
    assert "thirty" in await found(workbench, handbook)  # the index knows it
    assert await found(workbench, shelf) == ""
    embedded = embedder.embedded
    moved = await workbench.move_document(ADMIN, info.id, shelf)
    assert (moved.id, moved.collection, moved.state) == (info.id, "shelf", "live" if alike else "stored")
    assert (await workbench.documents(ADMIN, handbook), embedder.embedded) == ([], embedded)
    await workbench.process(ADMIN, shelf)
    assert await found(workbench, handbook) == ""
    assert "thirty" in await found(workbench, shelf)
    assert await workbench.original(ADMIN, info.id, 1) == FORTY.encode()
    assert (await workbench.page(ADMIN, info.id, 1, version=1)).text == FORTY
    await workbench.delete_collection(ADMIN, handbook)
    assert await workbench.original(ADMIN, info.id) == THIRTY.encode()
    assert originals(tmp_path) == 2
    await workbench.activate_version(ADMIN, info.id, 1)
    await workbench.process(ADMIN, shelf)
    assert "forty" in await found(workbench, shelf)


async def test_a_move_that_would_lose_or_mix_something_is_refused(workbench: Workbench, handbook: str) -> None:
    shelf = (await workbench.create_collection(ADMIN, "shelf")).id
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    twin = await add(workbench, shelf, "copy.txt", THIRTY)
    with pytest.raises(InputError, match="same content"):
        await workbench.move_document(ADMIN, info.id, shelf)
    await workbench.delete_document(ADMIN, twin.id)
    await add(workbench, shelf, "leave.txt", FORTY)
    with pytest.raises(InputError, match=r"another 'leave.txt'"):
        await workbench.move_document(ADMIN, info.id, shelf)
    waiting, _ = await workbench.upload(ADMIN, handbook, "new.txt", b"Something new.")
    with pytest.raises(InputError, match="being processed"):
        await workbench.move_document(ADMIN, waiting.id, shelf)


async def test_many_at_once_are_done_one_by_one_and_a_failure_stops_nothing(workbench: Workbench, handbook: str) -> None:
    ids = [(await add(workbench, handbook, f"{n}.txt", f"{THIRTY} Rule {n}.")).id for n in range(3)]
    results = await workbench.bulk(ADMIN, BulkAction.DISABLE, [ids[0], "0" * 32, *ids])
    assert [(one.document, bool(one.problem)) for one in results] == [
        ("0.txt", False),
        ("", True),
        ("1.txt", False),
        ("2.txt", False),
    ]
    assert all(one.disabled for one in await workbench.documents(ADMIN, handbook))
    for action, left in ((BulkAction.ENABLE, 3), (BulkAction.DELETE, 0), (BulkAction.RESTORE, 3), (BulkAction.RETRY, 3)):
        assert not any(one.problem for one in await workbench.bulk(ADMIN, action, ids))
        assert len(await workbench.documents(ADMIN, handbook)) == left
    assert all("being processed" in one.problem for one in await workbench.bulk(ADMIN, BulkAction.RETRY, ids))
    with pytest.raises(InputError, match="at most"):
        await workbench.bulk(ADMIN, BulkAction.DELETE, [str(n) for n in range(1001)])
    with pytest.raises(AccessDenied):
        await workbench.bulk(replace(ADMIN, preview=True), BulkAction.DELETE, ids)


async def test_a_check_tells_what_an_upload_would_find_and_take(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, limits={"max_file_mb": 1}, uploads={"files_per_hour": 3}) as workbench:
        handbook = (await workbench.create_collection(ADMIN, "handbook")).id
        info = await add(workbench, handbook, "leave.txt", THIRTY)
        files = [
            UploadCheck(name="copy.txt", sha256=sha256(THIRTY.encode()).hexdigest().upper(), size_bytes=len(THIRTY)),
            UploadCheck(name="leave.txt", sha256="1" * 64, size_bytes=10 * len(THIRTY)),
            UploadCheck(name="big.pdf", sha256="2" * 64, size_bytes=(1 << 20) + 1),
            UploadCheck(name="none.xyz", sha256="3" * 64, size_bytes=0),
        ]
        same, named, big, none = await workbench.check_upload(ADMIN, handbook, files)
        assert (same.same_as, same.same_as_id, same.same_name_id, same.chunks) == ("leave.txt", info.id, "", 0)
        assert (named.same_as, named.same_name_id, named.kind, named.chunks) == ("", info.id, "plain text", 10)
        assert (named.seconds or 0) > 0
        assert named.cost_usd == 0
        assert ("1 MB" in big.problem, big.kind, big.chunks, big.seconds) == (True, "PDF", None, None)
        assert (none.problem, none.kind) == ("the file is empty", "")

        ann = await workbench.create_user(ADMIN, "ann", "a long enough password", Role.ANALYST)
        await workbench.grant(ADMIN, handbook, ann.name, Right.WRITE)
        writer = replace(ADMIN, user_id=ann.id, name="ann", role=Role.ANALYST)
        small = [UploadCheck(name=f"{n}.txt", sha256=str(n) * 64, size_bytes=9) for n in range(4)]
        problems = [one.problem for one in await workbench.check_upload(writer, handbook, small)]
        assert problems == ["", "", "", "this is more than you may upload within an hour"]
        await workbench.grant(ADMIN, handbook, ann.name, Right.READ)
        with pytest.raises(AccessDenied):
            await workbench.check_upload(writer, handbook, small)


async def test_only_who_may_write_to_both_collections_moves_a_document(workbench: Workbench, handbook: str) -> None:
    shelf = (await workbench.create_collection(ADMIN, "shelf")).id
    info = await add(workbench, handbook, "leave.txt", THIRTY)
    ann = await workbench.create_user(ADMIN, "ann", "a long enough password", Role.ANALYST)
    writer = replace(ADMIN, user_id=ann.id, name="ann", role=Role.ANALYST)
    await workbench.grant(ADMIN, handbook, ann.name, Right.WRITE)
    with pytest.raises(NotFound):
        await workbench.move_document(writer, info.id, shelf)
    await workbench.grant(ADMIN, shelf, ann.name, Right.READ)
    with pytest.raises(AccessDenied):
        await workbench.move_document(writer, info.id, shelf)
    async with workbench.database.read() as session:
        assert await session.scalar(select(Collection.id).where(Collection.id == handbook)) is not None
    assert (await workbench.document(ADMIN, info.id)).collection == "handbook"
