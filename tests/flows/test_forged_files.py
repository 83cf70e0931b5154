"""Files that nobody's `backup` or `export` wrote are refused in words, and a restore never takes what is precious for its own."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from engine.database.operations_models import Heartbeat
from engine.errors import BrokenFile
from engine.services.backup_archive import DIGEST, MANIFEST, _header
from engine.services.restore import STAGING, restore
from engine.testing import ADMIN, offline_settings, offline_workbench
from engine.types import Principal, Role

LOCAL = Principal(user_id="local", name="command line", role=Role.ADMIN)
BACKUP = {"format": "rag-workbench-backup", "format_version": 1, "tables": [], "as_of": "2026-01-01T00:00:00+00:00"}
USERS = {**BACKUP, "missing_files": [], "revision": "1", "files": 0, "tables": [{"name": "users", "columns": {}, "rows": 0}]}
SECRET = ("secrets.json", b"{}")
LINE = ("documents.jsonl", b"{}")


def forge(path: Path, members: list[tuple[str, bytes]], manifest: dict[str, Any]) -> Path:
    """Write a file whose every checksum is right."""
    data = b""
    told = [{"path": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()} for name, body in members]
    for name, body in [*members, (MANIFEST, json.dumps({"members": told, **manifest}).encode())]:
        data += _header(name, len(body), 1) + body + bytes(-len(body) % 512)
    digest = hashlib.sha256(data).hexdigest().encode() + b"\n"
    path.write_bytes(data + _header(DIGEST, len(digest), 1) + digest + bytes(-len(digest) % 512) + bytes(1024))
    return path


@pytest.mark.parametrize(
    ("members", "manifest", "why"),
    [
        ([SECRET, SECRET], BACKUP, "twice"),
        ([SECRET], {**BACKUP, "missing_files": [], "revision": "1"}, "cannot be understood"),  # not how many files
        ([SECRET], {**BACKUP, "missing_files": [1], "revision": "1", "files": 0}, "cannot be understood"),
        (
            [("tables/users.jsonl.gz", gzip.compress(b"") + gzip.compress(b"[]"))],
            USERS,
            "cannot be unpacked",
        ),  # one in the other
        ([SECRET], {**BACKUP, "members": [{"path": ["a"]}]}, "cannot be understood"),
    ],
)
async def test_a_forged_backup_is_refused(members, manifest, why: str, tmp_path: Path) -> None:
    settings = offline_settings(tmp_path / "new")
    with pytest.raises(BrokenFile, match=why):
        await restore(settings, forge(tmp_path / "x.tar", members, manifest))
    assert not (settings.data_dir / STAGING).exists()


async def test_a_forged_collection_is_refused(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path / "data") as workbench:
        for members, manifest, why in (
            ([LINE, LINE], {}, "twice"),
            ([LINE], {"members": [{"path": ["a"]}]}, "damaged"),
        ):
            with pytest.raises(BrokenFile, match=why):
                await workbench.import_collection(ADMIN, forge(tmp_path / "x.tar", members, manifest))
        assert await workbench.collections(ADMIN) == []


async def test_a_folder_that_unpacking_left_makes_nothing_disposable_that_came_since(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path / "new")
    (settings.data_dir / STAGING).mkdir(parents=True)  # a restore was killed while it unpacked
    async with offline_workbench(tmp_path / "new") as workbench:
        await workbench.create_collection(ADMIN, "precious")
        await workbench.backup(LOCAL, tmp_path / "x.tar")
        async with workbench.database.write() as session:
            await session.execute(delete(Heartbeat))  # it was stopped a while ago
    cut = tmp_path / "cut.tar"
    cut.write_bytes((tmp_path / "x.tar").read_bytes()[:-3000])
    with pytest.raises(BrokenFile):
        await restore(settings, cut, force=True)
    async with offline_workbench(tmp_path / "new") as workbench:
        assert [one.name for one in await workbench.collections(ADMIN)] == ["precious"]
        async with workbench.database.write() as session:
            await session.execute(delete(Heartbeat))
    await restore(settings, tmp_path / "x.tar", force=True)
    assert list(settings.data_dir.glob("replaced-*/blobs")) or list(settings.data_dir.glob("replaced-*/secrets.json"))
