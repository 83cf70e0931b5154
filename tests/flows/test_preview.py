"""Seeing what somebody else may see; refusals in the audit; limits on uploads."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.database.access_models import Upload
from engine.database.columns import now
from engine.database.models import User
from engine.errors import AccessDenied, InputError, NotFound, QuotaExceeded
from engine.services import denials
from engine.services.denials import Denials
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_groups import user
from tests.flows.test_tokens import signed_in


async def test_a_preview_reads_as_the_user_and_is_audited(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "board.txt", "The quokka project closes in May.")
    bob = await user(workbench, "bob")
    seen = await workbench.view_as(ADMIN, bob.user_id)
    assert (seen.user_id, seen.name, seen.preview, seen.session_id) == (bob.user_id, "bob", True, ADMIN.session_id)
    assert await workbench.collections(seen) == []
    with pytest.raises(NotFound):
        await workbench.page(seen, info.id, 1)
    await workbench.grant(ADMIN, handbook, "bob", Right.OWNER)
    assert "quokka" in (await workbench.page(seen, info.id, 1)).text
    assert await workbench.search(seen, "quokka", collections=[handbook])
    for call in (
        workbench.original(seen, info.id),
        workbench.conversations(seen),
        workbench.ask(seen, "When?", collections=[handbook]),
        workbench.collection_id(seen, "new", create=True),
        workbench.create_collection(seen, "new"),
        workbench.delete_document(seen, info.id),
        workbench.view_as(seen, bob.user_id),
    ):
        with pytest.raises(AccessDenied):
            await call
    rows = [row for row in await workbench.audit(ADMIN) if row.action == "user.view_as"]
    assert [(row.actor, row.object) for row in rows] == [("ada", bob.user_id)]


async def test_a_preview_of_an_admin_administers_nothing_and_of_a_disabled_one_there_is_none(workbench: Workbench) -> None:
    root = await user(workbench, "root", Role.ADMIN)
    seen = await workbench.view_as(ADMIN, root.user_id)
    for call in (workbench.users(seen), workbench.audit(seen), workbench.health(seen)):
        with pytest.raises(AccessDenied):
            await call
    async with workbench.database.write() as session:
        await session.execute(update(User).values(disabled_at=now()))
    with pytest.raises(InputError, match="disabled"):
        await workbench.view_as(ADMIN, root.user_id)


async def denied(workbench: Workbench) -> list[tuple[str, str]]:
    return [(row.actor, row.object) for row in await workbench.audit(ADMIN, limit=1000) if row.action == "permission.denied"]


async def test_a_refusal_is_audited_by_itself_and_names_the_admin_behind_a_preview(workbench: Workbench) -> None:
    root = await signed_in(workbench, "root", Role.ADMIN)
    bob = await user(workbench, "bob")
    for _ in range(3):
        with pytest.raises(AccessDenied):
            await workbench.users(bob)
    with pytest.raises(AccessDenied):
        await workbench.conversations(await workbench.view_as(root, bob.user_id))
    assert await denied(workbench) == [("root", "conversations"), ("bob", "users")]


async def test_refusals_are_noted_once_a_minute_in_bounded_memory(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [1000.0]
    monkeypatch.setattr(denials, "REMEMBERED", 3)
    noted = Denials(workbench.database, clock=lambda: at[0])
    bob = Principal(user_id="b" * 32, name="bob", role=Role.ANALYST)
    for seconds, rows in ((0, 1), (59, 1), (1, 2)):
        at[0] += seconds
        await noted.note(bob, "a page\n")
        assert len(await denied(workbench)) == rows
    for number in range(5):
        await noted.note(bob, f"page {number}")
    assert len(noted._noted) == 3
    await workbench.database.close()
    monkeypatch.setattr(workbench.database, "write", lambda: 1 / 0)
    await noted.note(bob, "what cannot be written")  # quiet for the caller


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "blobs").rglob("*") if path.is_file())


@pytest.mark.parametrize("limits", [{"files_per_hour": 2}, {"mb_per_hour": 1}])
async def test_uploads_are_limited_by_files_and_bytes_and_a_refused_file_leaves_nothing(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    async with offline_workbench(tmp_path, uploads=limits) as workbench:
        bob = await user(workbench, "bob")
        mine = (await workbench.create_collection(bob, "mine")).id
        half = b"x" * (500 << 10)
        await workbench.upload(bob, mine, "1.txt", half)
        await workbench.upload(bob, mine, "1.txt", half)  # there already, and it cost its transfer all the same
        blobs = files(tmp_path)
        with pytest.raises(QuotaExceeded) as refusal:
            await workbench.upload(bob, mine, "2.txt", half + b"y")
        assert 3500 < refusal.value.retry_after_seconds <= 3600
        assert files(tmp_path) == blobs
        row = next(row for row in await workbench.audit(ADMIN) if row.action == "upload.refused")
        assert (row.outcome, row.actor, row.object) == ("denied", "bob", mine)
        await workbench.upload(ADMIN, mine, "3.txt", half + b"z")  # no user in SQL, as the command line
        async with workbench.database.write() as session:
            await session.execute(update(Upload).values(at=now() - timedelta(minutes=61)))
        await workbench.upload(bob, mine, "2.txt", half + b"y")
