"""Nobody sees what was not granted: every read of the facade, as somebody without a grant."""

from __future__ import annotations

import pytest

from engine.database.models import Grant
from engine.errors import AccessDenied, NotFound
from engine.testing import ADMIN
from engine.types import Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.conftest import add

SECRET = "The quokka project closes in May. Nobody outside the board may know of the quokka project."


@pytest.fixture
async def bob(workbench: Workbench) -> Principal:
    info = await workbench.create_user(ADMIN, "bob", "a long enough password", Role.ANALYST)
    return Principal(user_id=info.id, name=info.name, role=info.role)


async def grant(workbench: Workbench, collection_id: str, principal: Principal, right: Right) -> None:
    async with workbench.database.write() as session:
        await session.merge(Grant(collection_id=collection_id, user_id=principal.user_id, right=right))


async def test_without_a_grant_nothing_exists(workbench: Workbench, handbook: str, bob: Principal) -> None:
    info = await add(workbench, handbook, "board.txt", SECRET)
    assert await workbench.collections(bob) == []
    assert await workbench.documents(bob) == []
    for call in (
        workbench.documents(bob, handbook),
        workbench.document(bob, info.id),
        workbench.page(bob, info.id, 1),
        workbench.chunks(bob, info.id),
        workbench.page_image(bob, info.id, 1),
        workbench.original(bob, info.id),
        workbench.search(bob, "quokka", collections=[handbook]),
        workbench.ask(bob, "What is the quokka project?", collections=[handbook]),
        workbench.create_conversation(bob, [handbook]),
        workbench.upload(bob, handbook, "mine.txt", b"mine"),
        workbench.delete_document(bob, info.id),
        workbench.restore_document(bob, info.id),
        workbench.reprocess(bob, info.id),
        workbench.delete_collection(bob, handbook),
        workbench.process(bob, handbook),
        workbench.collection_id(bob, "handbook"),
    ):
        with pytest.raises(NotFound) as refusal:
            await call
        assert "board" not in str(refusal.value)


async def test_a_right_to_read_is_not_a_right_to_write(workbench: Workbench, handbook: str, bob: Principal) -> None:
    info = await add(workbench, handbook, "board.txt", SECRET)
    await grant(workbench, handbook, bob, Right.READ)
    assert await workbench.search(bob, "quokka", collections=[handbook])
    assert (await workbench.document(bob, info.id)).name == "board.txt"
    for call in (
        workbench.upload(bob, handbook, "mine.txt", b"mine"),
        workbench.delete_document(bob, info.id),
        workbench.reprocess(bob, info.id),
        workbench.delete_collection(bob, handbook),
    ):
        with pytest.raises(AccessDenied):
            await call


async def test_a_revoked_grant_bites_in_an_open_conversation(workbench: Workbench, handbook: str, bob: Principal) -> None:
    await add(workbench, handbook, "board.txt", SECRET)
    await grant(workbench, handbook, bob, Right.READ)
    assert await workbench.search(bob, "quokka", collections=[handbook])
    async with workbench.database.write() as session:
        await session.delete(await session.get_one(Grant, (handbook, bob.user_id)))
    with pytest.raises(NotFound):
        await workbench.search(bob, "quokka", collections=[handbook])


async def test_sharing_and_unsharing_bite_at_once_and_are_audited(workbench: Workbench, handbook: str, bob: Principal) -> None:
    await add(workbench, handbook, "board.txt", SECRET)
    await workbench.grant(ADMIN, handbook, "bob", Right.READ)
    assert await workbench.search(bob, "quokka", collections=[handbook])
    with pytest.raises(AccessDenied):
        await workbench.grant(bob, handbook, "bob", Right.OWNER)
    await workbench.grant(ADMIN, handbook, "bob", None)
    with pytest.raises(NotFound):
        await workbench.search(bob, "quokka", collections=[handbook])
    shared = [row.details for row in await workbench.audit(ADMIN) if row.action == "collection.grant"]
    assert [(row["before"], row["after"]) for row in reversed(shared)] == [("", "read"), ("read", "")]
    with pytest.raises(NotFound, match="no user"):
        await workbench.grant(ADMIN, handbook, "nobody", Right.READ)


async def test_who_makes_a_collection_owns_it(workbench: Workbench, bob: Principal) -> None:
    mine = await workbench.create_collection(bob, "bob's own")
    assert mine.right is Right.OWNER
    await workbench.delete_collection(bob, mine.id)
    assert await workbench.collections(bob) == []


@pytest.mark.parametrize("role", [Role.ANALYST, Role.OPERATOR])
async def test_users_and_audit_are_for_admins(workbench: Workbench, role: Role) -> None:
    somebody = Principal(user_id="d" * 32, name="dora", role=role)
    for call in (
        workbench.users(somebody),
        workbench.create_user(somebody, "eve", "a long enough password", Role.ADMIN),
        workbench.audit(somebody),
    ):
        with pytest.raises(AccessDenied):
            await call


async def test_health_is_for_operators_and_admins(workbench: Workbench) -> None:
    analyst = Principal(user_id="d" * 32, name="dora", role=Role.ANALYST)
    with pytest.raises(AccessDenied):
        await workbench.health(analyst)
    operator = Principal(user_id="e" * 32, name="olaf", role=Role.OPERATOR)
    assert {check.state for check in await workbench.health(operator)} <= {"ok", "degraded"}


async def test_what_matters_is_audited_without_document_text(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "board.txt", SECRET)
    await workbench.ask(ADMIN, "When does the quokka project close?", collections=[handbook])
    await workbench.delete_document(ADMIN, info.id)
    rows = await workbench.audit(ADMIN)
    actions = [row.action for row in rows]
    assert {"collection.create", "document.upload", "document.live", "question.ask", "document.delete"} <= set(actions)
    asked = next(row for row in rows if row.action == "question.ask")
    assert asked.details["documents"] == [info.id]
    assert "quokka" not in repr(rows)
