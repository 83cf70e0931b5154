"""A zip of documents through the whole workbench: what becomes of good, bad and hostile files in it."""

from __future__ import annotations

import bz2
import io
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from engine.errors import EngineError, FileTooLarge, QuotaExceeded, UnsupportedFile
from engine.ingestion_views import OnDuplicate
from engine.services import room
from engine.services.archives import _members, is_archive
from engine.services.library import Library, clean_file_name
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from engine.views import UploadVerdict
from tests.fixtures.loading.tiny_files import MARKDOWN, TINY
from tests.fixtures.loading.tiny_more import packed

GOOD = {"a.txt": b"The quokka sleeps.", "notes/b.md": MARKDOWN.encode(), "notes/a.txt": b"The wombat digs."}


async def opened(workbench) -> str:
    return (await workbench.create_collection(ADMIN, "docs")).id


async def test_every_file_of_an_archive_becomes_a_document(tmp_path):
    async with offline_workbench(tmp_path) as workbench:
        collection = await opened(workbench)
        (tmp_path / "all.zip").write_bytes(packed(GOOD))
        receipts = await workbench.upload_archive(ADMIN, collection, "all.zip", tmp_path / "all.zip")
        assert [one.name for one in receipts] == ["all.zip/a.txt", "all.zip/notes/b.md", "all.zip/notes/a.txt"]
        await workbench.process(ADMIN, collection)
        states = {info.id: info.state for info in await workbench.documents(ADMIN, collection)}
        assert [states[one.document_id] for one in receipts] == ["live"] * 3
        again = await workbench.upload_archive(ADMIN, collection, "all.zip", packed(GOOD), on_duplicate=OnDuplicate.SKIP)
        assert {one.document_id for one in again} == set(states)
        assert UploadVerdict.ACCEPTED not in {one.verdict for one in again}
        assert list(tmp_path.rglob("archive-*")) == []


async def test_a_bad_file_never_stops_the_rest_and_names_lead_nowhere(tmp_path):
    async with offline_workbench(tmp_path, limits={"max_file_mb": 20, "max_unpacked_mb": 30}) as workbench:
        collection = await opened(workbench)
        receipts = {one.name: one for one in await workbench.upload_archive(ADMIN, collection, "../z.zip", hostile())}
    assert set(receipts) == {
        "z.zip/evil.txt", "z.zip/evil (2).txt", "z.zip/inner.zip", "z.zip/zeros.txt", "z.zip/huge.bin", "z.zip/locked.txt",
        "z.zip/damaged.txt", "z.zip/last.txt",
    }  # fmt: skip
    taken = {name for name, one in receipts.items() if one.document_id}
    assert taken == {"z.zip/evil.txt", "z.zip/evil (2).txt", "z.zip/last.txt"}
    assert all(one.problem and one.hint for name, one in receipts.items() if name not in taken)
    assert "archive" in receipts["z.zip/inner.zip"].problem
    assert "times its size" in receipts["z.zip/zeros.txt"].problem
    assert "max_file_mb" in receipts["z.zip/huge.bin"].problem
    assert "encrypted" in receipts["z.zip/locked.txt"].problem
    assert "damaged" in receipts["z.zip/damaged.txt"].problem


def hostile() -> bytes:
    buffer = io.BytesIO()
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("../../evil.txt", "climbs out")
        archive.writestr("/evil.txt", "is absolute")
        archive.writestr(link, "/etc/passwd")
        archive.writestr(".hidden", "x")
        archive.writestr("__MACOSX/._a", "x")
        archive.writestr("empty/", "")
        archive.writestr("inner.zip", packed({"a.txt": b"x"}))
        archive.writestr("zeros.txt", bytes(18 << 20))
        archive.writestr("huge.bin", bytes(21 << 20))
        archive.writestr("locked.txt", "secret", zipfile.ZIP_STORED)
        archive.writestr("damaged.txt", "these bytes change", zipfile.ZIP_STORED)
        archive.writestr("last.txt", "comes last")
    data = bytearray(buffer.getvalue().replace(b"these bytes change", b"those bytes change"))
    entry = data.rindex(b"locked.txt") - 46  # the central directory: bit 0 of its flags says encrypted
    data[entry + 8] |= 1
    return bytes(data)


async def test_the_number_of_files_and_their_total_are_bounded(tmp_path):
    settings = {"limits": {"max_unpacked_mb": 1}, "ingestion": {"archive_files": 3}}
    async with offline_workbench(tmp_path, **settings) as workbench:
        collection = await opened(workbench)
        with pytest.raises(FileTooLarge, match="archive_files"):
            await workbench.upload_archive(ADMIN, collection, "a.zip", packed({f"{n}.txt": b"x" for n in range(4)}))
        assert await workbench.documents(ADMIN, collection) == []
        half = {f"{n}.txt": f"{n} ".encode() * 300_000 for n in range(3)}
        found = await workbench.upload_archive(ADMIN, collection, "a.zip", packed(half))
        assert [bool(one.document_id) for one in found] == [True, False, False]
        assert "max_unpacked_mb" in found[1].problem


def bomb(name: bytes, content: bytes, method: int) -> bytes:
    """A zip of one file that says it has 100 bytes, and has as many as `content` makes."""
    sizes = (0, 0, 0, len(content), 100, len(name), 0)
    head = struct.pack("<4s5H3I2H", b"PK\x03\x04", 46, 0, method, *sizes) + name + content
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 46, 46, 0, method, *sizes, *[0] * 5) + name
    return head + entry + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(head), 0)


@pytest.mark.parametrize("name", [b"mimetype", b"a.txt"])
async def test_what_could_unpack_to_a_terabyte_at_once_is_never_unpacked_here(tmp_path, monkeypatch, name):
    unpacked = []
    monkeypatch.setattr(zipfile, "_get_decompressor", lambda kind: unpacked.append(kind))
    async with offline_workbench(tmp_path) as workbench:
        collection = await opened(workbench)
        for method, content in (
            (zipfile.ZIP_BZIP2, bz2.compress(bytes(1 << 20))),
            (zipfile.ZIP_LZMA, b"\t\x04\x05" + b"\xff" * 99),
        ):
            data = bomb(name, content, method)
            with pytest.raises(UnsupportedFile):
                await workbench.upload(ADMIN, collection, "a.zip", data)
            (receipt,) = await workbench.upload_archive(ADMIN, collection, "a.zip", data)
            assert "compressed in a way" in receipt.problem
    assert unpacked == []


def test_a_directory_of_nothing_but_one_name_is_named_in_time_and_within_the_limit():
    long = "ä" * 500
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in [*["a.txt"] * 30_000, long + "1.txt", long + "2.txt"]:
            archive.writestr(name, b"")
        names = [shown for shown, _ in _members(archive, "z.zip")]
    assert len(set(names)) == len(names) == 30_002
    assert all(clean_file_name(name) == name for name in names[-2:])


async def test_once_the_quota_is_used_up_nothing_more_is_unpacked(tmp_path, monkeypatch):
    calls = []

    async def take(*arguments, **options):
        calls.append(arguments)
        raise QuotaExceeded("you may upload 0 files in an hour", retry_after_seconds=60)

    monkeypatch.setattr(Library, "upload", take)
    async with offline_workbench(tmp_path) as workbench:
        collection = await opened(workbench)
        found = await workbench.upload_archive(ADMIN, collection, "a.zip", packed(GOOD))
    assert len(calls) == 1
    assert [one.problem for one in found] == ["you may upload 0 files in an hour"] * 3


async def test_a_file_that_the_disk_has_no_room_for_is_not_unpacked_and_the_others_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda _: room.RESERVE_BYTES + 1000)
    async with offline_workbench(tmp_path) as workbench:
        collection = await opened(workbench)
        files = {"large.txt": b"The wombat digs. " * 100, "small.txt": b"The quokka sleeps."}
        large, small = await workbench.upload_archive(ADMIN, collection, "a.zip", packed(files))
        assert "no room for this file" in large.problem
        assert "operator" in large.hint
        assert small.document_id
        assert len([one for one in (tmp_path / "blobs").rglob("*") if one.is_file()]) == 1


async def test_a_plain_upload_of_an_archive_names_the_way_and_leaves_nothing(tmp_path):
    async with offline_workbench(tmp_path) as workbench:
        collection = await opened(workbench)
        with pytest.raises(UnsupportedFile) as raised:
            await workbench.upload(ADMIN, collection, "all.zip", packed(GOOD))
        assert "ingest" in raised.value.hint
        assert await workbench.documents(ADMIN, collection) == []
        with pytest.raises(UnsupportedFile, match="no zip archive"):
            await workbench.upload_archive(ADMIN, collection, "a.docx", TINY["application/epub+zip"][1])
        reader = Principal(user_id="b" * 32, name="bob", role=Role.ANALYST, session_id="s2")
        with pytest.raises(EngineError, match="no such collection"):
            await workbench.upload_archive(reader, collection, "all.zip", packed(GOOD))


def test_documents_that_are_packed_as_zip_are_no_archives(tmp_path: Path):
    for kind, (name, data) in TINY.items():
        assert not is_archive(data), kind
        (tmp_path / name).write_bytes(data)
        assert not is_archive(tmp_path / name)
    assert is_archive(packed(GOOD))
    assert not is_archive(packed(GOOD)[:-40])
