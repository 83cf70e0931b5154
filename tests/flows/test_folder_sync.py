"""A collection follows a folder: only what changed is read, and nothing is deleted unless somebody says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.commands.console import LOCAL
from engine.errors import AccessDenied, InputError
from engine.services import folder_sync
from engine.testing import ADMIN, HashedWords, offline_workbench
from engine.views import UploadVerdict


@pytest.fixture(autouse=True)
def _settled(monkeypatch) -> None:
    monkeypatch.setattr(folder_sync, "SETTLED_SECONDS", -1.0)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def test_a_folder_is_followed_through_its_life(tmp_path: Path) -> None:
    folder, embedder = tmp_path / "papers", HashedWords()
    write(folder / "a.txt", "The wombat digs.")
    write(folder / "deep" / "b.txt", "The quokka smiles.")
    write(folder / ".hidden" / "c.txt", "Nobody sees this.")
    (folder / "link.txt").symlink_to("/etc/hostname")
    async with offline_workbench(tmp_path / "data", embedder=embedder) as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)

        async def sync(**options):
            report = await workbench.sync_folder(LOCAL, collection, folder, **options)
            await workbench.process(LOCAL, collection)
            names = sorted(one.name for one in await workbench.documents(LOCAL, collection))
            return report, names

        report, names = await sync()
        assert names == ["a.txt", "deep/b.txt"]
        assert {one.verdict for one in report.receipts} == {UploadVerdict.ACCEPTED}

        embedded, read = embedder.embedded, []
        report, _ = await sync(note=read.append)
        assert (report.unchanged, report.receipts, read, embedder.embedded) == (2, (), [], embedded)

        os.utime(folder / "a.txt", (1, 1))  # touched, but the same bytes
        report, _ = await sync(note=read.append)
        assert (report.unchanged, report.receipts, read) == (2, (), ["a.txt"])

        write(folder / "a.txt", "The wombat sleeps all day.")
        report, _ = await sync()
        assert [(one.name, one.verdict) for one in report.receipts] == [("a.txt", UploadVerdict.NEW_VERSION)]

        (folder / "deep" / "b.txt").rename(folder / "moved.txt")
        report, names = await sync(delete=True)
        assert (report.gone, names) == ((), ["a.txt", "deep/b.txt"])  # it only moved: the document stays, under its first name

        (folder / "a.txt").unlink()
        report, names = await sync()
        assert ([one.name for one in report.gone], "a.txt" in names) == (["a.txt"], True)
        report, names = await sync(delete=True)
        assert ([one.name for one in report.gone], names) == (["a.txt"], ["deep/b.txt"])
        report, names = await sync(delete=True)
        assert (report.gone, report.changed) == ((), False)

        (folder / "moved.txt").unlink()
        with pytest.raises(InputError, match="empty, although 1"):  # a volume that is not mounted
            await sync(delete=True)


async def test_what_somebody_uploaded_is_not_deleted_with_a_file_of_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    write(folder / "mine.txt", "The wombat digs.")
    write(folder / "other.txt", "The quokka smiles.")
    async with offline_workbench(tmp_path / "data") as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)
        await workbench.upload(ADMIN, collection, "uploaded.txt", b"The wombat digs.")
        await workbench.sync_folder(LOCAL, collection, folder)
        (folder / "mine.txt").unlink()
        report = await workbench.sync_folder(LOCAL, collection, folder, delete=True)
        assert report.gone == ()
        assert "uploaded.txt" in {one.name for one in await workbench.documents(ADMIN, collection)}


async def test_what_goes_after_the_question_was_asked_is_not_deleted_with_what_was_agreed_on(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    for name in ("a.txt", "b.txt", "c.txt"):
        write(folder / name, f"The wombat of {name} digs.")
    async with offline_workbench(tmp_path / "data") as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)
        await workbench.sync_folder(LOCAL, collection, folder)
        (folder / "a.txt").unlink()
        asked = await workbench.sync_folder(LOCAL, collection, folder)
        (folder / "b.txt").unlink()  # while the question waits for its answer
        await workbench.sync_folder(LOCAL, collection, folder, delete={one.name for one in asked.gone})
        assert {one.name for one in await workbench.documents(ADMIN, collection)} == {"b.txt", "c.txt"}
        assert [one.name for one in (await workbench.sync_folder(LOCAL, collection, folder)).gone] == ["b.txt"]


async def test_a_file_that_is_still_being_written_waits(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(folder_sync, "SETTLED_SECONDS", 60.0)
    write(tmp_path / "papers" / "a.txt", "half of a sen")
    async with offline_workbench(tmp_path / "data") as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)
        report = await workbench.sync_folder(LOCAL, collection, tmp_path / "papers")
        assert (report.waiting, report.receipts) == (("a.txt",), ())


async def test_one_file_that_cannot_be_read_never_stops_the_rest(tmp_path: Path) -> None:
    write(tmp_path / "papers" / "a.txt", "The wombat digs.")
    write(tmp_path / "papers" / "b.txt", "x" * 2_000_000)
    async with offline_workbench(tmp_path / "data", limits={"max_file_mb": 1}) as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)
        report = await workbench.sync_folder(LOCAL, collection, tmp_path / "papers")
        assert {one.name: bool(one.problem) for one in report.receipts} == {"a.txt": False, "b.txt": True}
        again = await workbench.sync_folder(LOCAL, collection, tmp_path / "papers")
        assert [one.name for one in again.receipts] == ["b.txt"]  # told again until it is mended


async def test_a_signed_in_admin_cannot_name_folders_of_the_server(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        collection = await workbench.collection_id(ADMIN, "papers", create=True)
        with pytest.raises(AccessDenied, match="command line"):
            await workbench.sync_folder(ADMIN, collection, Path("/etc"))


async def test_a_copy_that_changes_leaves_nothing_behind_that_answers_for_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    async with offline_workbench(tmp_path / "data") as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)

        async def texts() -> dict[str, str]:
            await workbench.sync_folder(LOCAL, collection, folder, delete=True)
            await workbench.process(LOCAL, collection)
            found = await workbench.documents(LOCAL, collection)
            return {one.name: (await workbench.chunks(LOCAL, one.id))[0].text for one in found}

        write(folder / "a.txt", "The wombat digs.")
        write(folder / "b.txt", "The quokka smiles.")
        assert await texts() == {"a.txt": "The wombat digs.", "b.txt": "The quokka smiles."}

        write(folder / "a.txt", "The quokka smiles.")  # now the same as the other
        assert set((await texts()).values()) == {"The quokka smiles."}

        (folder / "b.txt").rename(folder / "c.txt")
        await texts()
        write(folder / "c.txt", "The emu runs.")  # moved, then changed
        assert sorted((await texts()).values()) == ["The emu runs.", "The quokka smiles."]

        write(folder / "d.txt", "The emu runs.")  # a copy that stays as it is
        await texts()
        write(folder / "c.txt", "The emu sleeps.")
        assert sorted((await texts()).values()) == ["The emu runs.", "The emu sleeps.", "The quokka smiles."]

        write(folder / "e.txt", "The emu sleeps.")
        await texts()
        write(folder / "c.txt", "The emu hides.")  # whose document the copy's bytes were found in
        four = ["The emu hides.", "The emu runs.", "The emu sleeps.", "The quokka smiles."]
        assert sorted((await texts()).values()) == four
        report = await workbench.sync_folder(LOCAL, collection, folder, delete=True)
        assert (report.unchanged, report.receipts, report.gone) == (4, (), ())


async def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "papers"
    write(folder / "a.txt", "The wombat digs.")
    write(folder / "deep" / "b.txt", "The quokka smiles.")
    async with offline_workbench(tmp_path / "data") as workbench:
        collection = await workbench.collection_id(LOCAL, "papers", create=True)
        await workbench.sync_folder(LOCAL, collection, folder)
        scandir = os.scandir

        def away(path):
            if str(path).endswith("deep"):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", away)
        with pytest.raises(InputError, match="deep"):
            await workbench.sync_folder(LOCAL, collection, folder, delete=True)
        monkeypatch.undo()
        assert len(await workbench.documents(LOCAL, collection)) == 2
