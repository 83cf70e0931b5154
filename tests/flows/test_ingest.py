"""Files in: what becomes of them, what survives, what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from engine.database.models import ChunkRow, PageRow, VectorRow
from engine.errors import FileTooLarge, InputError, NotFound, ProviderRejected, ProviderUnavailable
from engine.testing import ADMIN, HashedWords, offline_workbench
from engine.views import UploadVerdict
from engine.workbench import Workbench
from tests.flows.conftest import add

LEAVE = "Holidays. Every employee has thirty days of paid leave a year.\n\nSickness. Call before nine in the morning."


async def found(workbench: Workbench, collection_id: str, query: str) -> list[str]:
    return [hit.chunk.text for hit in await workbench.search(ADMIN, query, collections=[collection_id], k=5)]


async def test_an_upload_becomes_live_and_each_chunk_is_an_exact_slice(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "leave.txt", LEAVE)
    assert (info.state, info.pages, info.text_coverage, info.progress) == ("live", 1, 1.0, 1.0)
    chunks = await workbench.chunks(ADMIN, info.id)
    assert len(chunks) == info.chunks > 0
    for chunk in chunks:
        page = await workbench.page(ADMIN, info.id, chunk.page)
        assert page.text[chunk.start : chunk.end] == chunk.text


async def test_the_same_bytes_again_are_a_duplicate_and_cost_nothing(
    workbench: Workbench, handbook: str, embedder: HashedWords
) -> None:
    first = await add(workbench, handbook, "leave.txt", LEAVE)
    before = embedder.embedded
    info, verdict = await workbench.upload(ADMIN, handbook, "copy of leave.txt", LEAVE.encode())
    await workbench.process(ADMIN, handbook)
    assert verdict is UploadVerdict.DUPLICATE
    assert info.id == first.id
    assert embedder.embedded == before
    assert len(await workbench.documents(ADMIN, handbook)) == 1


async def test_other_bytes_under_the_same_name_replace_the_old_text_in_answers(workbench: Workbench, handbook: str) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    assert any("thirty" in text for text in await found(workbench, handbook, "thirty days of paid leave"))
    info = await add(workbench, handbook, "leave.txt", LEAVE.replace("thirty", "forty"))
    assert info.version == 2
    texts = await found(workbench, handbook, "days of paid leave")
    assert any("forty" in text for text in texts)
    assert not any("thirty" in text for text in texts)


async def test_one_bad_file_does_not_stop_the_others_and_says_why(workbench: Workbench, handbook: str) -> None:
    await workbench.upload(ADMIN, handbook, "broken.pdf", b"%PDF-1.7\n" + b"\x00\xff" * 500)
    await workbench.upload(ADMIN, handbook, "empty.txt", b"")
    await workbench.upload(ADMIN, handbook, "leave.txt", LEAVE.encode())
    await workbench.process(ADMIN, handbook)
    infos = {info.name: info for info in await workbench.documents(ADMIN, handbook)}
    assert infos["leave.txt"].state == "live"
    for name in ("broken.pdf", "empty.txt"):
        assert infos[name].state == "failed"
        assert infos[name].reason
        assert infos[name].hint


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, limits={"max_file_mb": 1}) as workbench:
        collection = await workbench.create_collection(ADMIN, "small")
        with pytest.raises(FileTooLarge, match="1 MB"):
            await workbench.upload(ADMIN, collection.id, "big.txt", b"x" * (1 << 20) + b"y")
        assert await workbench.documents(ADMIN, collection.id) == []
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..\\..\\evil.exe", "a\0b.txt", "x" * 4000, "\u202etxt.exe", ""]
)
async def test_a_file_name_is_only_ever_shown(workbench: Workbench, handbook: str, tmp_path: Path, name: str) -> None:
    info = await add(workbench, handbook, name, LEAVE + name[:5])
    assert info.state == "live"
    assert ".." not in info.name.split("/")
    assert info.name.isprintable()
    outside = [path for path in tmp_path.rglob("*") if path.name in {"passwd", "evil.exe"}]
    assert outside == []


async def test_delete_hides_at_once_undo_brings_back_and_purge_removes_every_trace(
    workbench: Workbench, handbook: str, tmp_path: Path
) -> None:
    info = await add(workbench, handbook, "leave.txt", LEAVE)
    await workbench.delete_document(ADMIN, info.id)
    assert await found(workbench, handbook, "paid leave") == []
    with pytest.raises(NotFound):
        await workbench.document(ADMIN, info.id)
    await workbench.restore_document(ADMIN, info.id)
    assert await found(workbench, handbook, "paid leave")

    await workbench.delete_document(ADMIN, info.id)
    assert await workbench.purge(older_than_seconds=0) == 1
    with pytest.raises(NotFound, match="for good"):
        await workbench.restore_document(ADMIN, info.id)
    assert await found(workbench, handbook, "paid leave") == []
    async with workbench.database.read() as session:
        for table in (PageRow, ChunkRow, VectorRow):
            assert await session.scalar(select(func.count()).select_from(table)) == 0, table
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_processing_again_keeps_the_old_version_serving_and_embeds_nothing_twice(
    workbench: Workbench, handbook: str, embedder: HashedWords
) -> None:
    info = await add(workbench, handbook, "leave.txt", LEAVE)
    before = embedder.embedded
    again = await workbench.reprocess(ADMIN, info.id)
    assert again.state == "stored"
    assert await found(workbench, handbook, "paid leave")
    with pytest.raises(InputError, match="already"):
        await workbench.reprocess(ADMIN, info.id)
    await workbench.process(ADMIN, handbook)
    assert (await workbench.document(ADMIN, info.id)).version == 2
    assert embedder.embedded == before


class Failing(HashedWords):
    """An embedder whose provider is away for its first calls."""

    def __init__(self, failures: int, error=ProviderRejected) -> None:
        super().__init__()
        self.failures = failures
        self.error = error

    def embed_documents(self, texts):
        if self.failures:
            self.failures -= 1
            raise self.error("the embedder is away", hint="Wait a moment.")
        return super().embed_documents(texts)


async def test_a_failure_while_embedding_is_shown_and_can_be_tried_again(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, embedder=Failing(1)) as workbench:
        collection = await workbench.create_collection(ADMIN, "handbook")
        info = await add(workbench, collection.id, "leave.txt", LEAVE)
        assert (info.state, info.reason) == ("failed", "the embedder is away")
        await workbench.reprocess(ADMIN, info.id)
        await workbench.process(ADMIN, collection.id)
        assert (await workbench.document(ADMIN, info.id)).state == "live"


async def test_an_outage_of_the_embedder_makes_a_document_wait_and_not_fail(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, embedder=Failing(2, ProviderUnavailable)) as workbench:
        collection = await workbench.create_collection(ADMIN, "handbook")
        info = await add(workbench, collection.id, "leave.txt", LEAVE)
        assert (info.state, info.reason) == ("live", "")


async def test_work_that_was_interrupted_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        collection = await workbench.create_collection(ADMIN, "handbook")
        info, _ = await workbench.upload(ADMIN, collection.id, "leave.txt", LEAVE.encode())
    async with offline_workbench(tmp_path, serve=True) as workbench:
        async with asyncio.timeout(60):
            while (await workbench.document(ADMIN, info.id)).state != "live":
                await asyncio.sleep(0.05)
        assert await found(workbench, collection.id, "paid leave")


async def test_partial_text_coverage_is_a_visible_warning(workbench: Workbench, handbook: str, two_page_pdf: bytes) -> None:
    info = await add(workbench, handbook, "half.pdf", two_page_pdf)
    assert (info.state, info.pages, info.pages_with_text) == ("live", 2, 1)
    assert "1 of 2 pages" in info.warnings[0]


async def test_many_uploads_at_once_lose_nothing(workbench: Workbench, handbook: str) -> None:
    names = [f"note {number}.txt" for number in range(20)]
    await asyncio.gather(*(workbench.upload(ADMIN, handbook, name, f"{LEAVE} {name}".encode()) for name in names))
    await workbench.process(ADMIN, handbook)
    infos = await workbench.documents(ADMIN, handbook)
    assert sorted(info.name for info in infos) == sorted(names)
    assert {info.state for info in infos} == {"live"}
