"""Groups: sharing with many at once, taken away at once."""

from __future__ import annotations

import pytest

from engine.errors import AccessDenied, InputError, NotFound
from engine.testing import ADMIN
from engine.types import Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import settled

TEXT = "The quokka project closes in May."
QUESTION = "When does the quokka project close?"


async def user(workbench: Workbench, name: str, role: Role = Role.ANALYST) -> Principal:
    info = await workbench.create_user(ADMIN, name, "a long enough password", role)
    return Principal(user_id=info.id, name=info.name, role=info.role)


@pytest.fixture
async def bob(workbench: Workbench) -> Principal:
    return await user(workbench, "bob")


@pytest.fixture
async def legal(workbench: Workbench, bob: Principal, handbook: str) -> str:
    """The id of a group of bob that may read the handbook."""
    await add(workbench, handbook, "board.txt", TEXT)
    group = await workbench.create_group(ADMIN, "Legal")
    await workbench.set_members(ADMIN, group.id, [bob.user_id])
    await workbench.grant_group(ADMIN, handbook, "legal", Right.READ)
    return group.id


async def test_names_of_groups_are_clean_and_unique_in_any_script_and_case(workbench: Workbench) -> None:
    first = await workbench.create_group(ADMIN, "  Ärzte   Nord ")
    assert first.name == "Ärzte Nord"
    for name in ("ärzte nord", "", "  ", "x" * 101, "bell\x07"):
        with pytest.raises(InputError):
            await workbench.create_group(ADMIN, name)
    await workbench.rename_group(ADMIN, first.id, "ärzte nord")
    assert [group.name for group in await workbench.groups(ADMIN)] == ["ärzte nord"]
    with pytest.raises(NotFound):
        await workbench.rename_group(ADMIN, "f" * 32, "x")


async def test_members_are_set_as_a_whole_and_unknown_ones_change_nothing(
    workbench: Workbench, bob: Principal, legal: str
) -> None:
    eve = await user(workbench, "eve")
    with pytest.raises(NotFound):
        await workbench.set_members(ADMIN, legal, [eve.user_id, "f" * 32])
    await workbench.set_members(ADMIN, legal, [eve.user_id, eve.user_id])
    [group] = await workbench.groups(ADMIN)
    assert group.members == ((eve.user_id, "eve"),)
    assert group.collections == (("handbook", Right.READ),)
    row = next(row for row in await workbench.audit(ADMIN) if row.action == "group.members")
    assert (row.details["added"], row.details["removed"]) == ([eve.user_id], [bob.user_id])


async def test_members_see_the_name_of_their_group_and_nothing_more(workbench: Workbench, bob: Principal, legal: str) -> None:
    [group] = await workbench.groups(bob)
    assert (group.name, group.members, group.collections) == ("Legal", (), ())
    assert await workbench.groups(await user(workbench, "eve")) == []
    for call in (
        workbench.create_group(bob, "mine"),
        workbench.rename_group(bob, legal, "mine"),
        workbench.delete_group(bob, legal),
        workbench.set_members(bob, legal, []),
        workbench.reach(bob, bob.user_id),
    ):
        with pytest.raises(AccessDenied):
            await call


async def test_the_higher_of_two_rights_counts(workbench: Workbench, bob: Principal, legal: str, handbook: str) -> None:
    await workbench.grant(ADMIN, handbook, "bob", Right.WRITE)
    [seen] = await workbench.collections(bob)
    assert seen.right is Right.WRITE
    await workbench.grant_group(ADMIN, handbook, "Legal", Right.OWNER)
    [seen] = await workbench.collections(bob)
    assert seen.right is Right.OWNER
    assert [(one.kind, one.name, one.right) for one in await workbench.grants(bob, handbook)] == [
        ("user", "bob", Right.WRITE),
        ("group", "Legal", Right.OWNER),
    ]


@pytest.mark.parametrize("how", ["member removed", "group deleted", "grant taken back"])
async def test_what_is_taken_away_is_gone_in_an_open_conversation(
    workbench: Workbench, bob: Principal, legal: str, handbook: str, how: str
) -> None:
    conversation = await workbench.create_conversation(bob, [handbook])
    reply = await settled(workbench, bob, (await workbench.send(bob, conversation.id, QUESTION)).id)
    assert "May" in reply.text
    assert set((await workbench.citation_states(bob, reply.id)).values()) == {"current"}
    if how == "member removed":
        await workbench.set_members(ADMIN, legal, [])
    elif how == "group deleted":
        await workbench.delete_group(ADMIN, legal)
    else:
        await workbench.grant_group(ADMIN, handbook, "Legal", None)
    assert set((await workbench.citation_states(bob, reply.id)).values()) == {"no access"}
    after = await settled(workbench, bob, (await workbench.send(bob, conversation.id, QUESTION)).id)
    assert (after.state, after.answer) == ("failed", None)
    assert "May" not in after.text + after.error
    for call in (
        workbench.search(bob, "quokka", collections=[handbook]),
        workbench.grants(bob, handbook),
        workbench.page(bob, (await workbench.documents(ADMIN))[0].id, 1),
    ):
        with pytest.raises(NotFound):
            await call
    assert await workbench.collections(bob) == []


async def test_sharing_is_for_owners_and_audited_with_before_and_after(
    workbench: Workbench, bob: Principal, legal: str, handbook: str
) -> None:
    for call in (
        workbench.grants(bob, handbook),
        workbench.shareable(bob, handbook),
        workbench.grant_group(bob, handbook, "Legal", Right.OWNER),
    ):
        with pytest.raises(AccessDenied):
            await call
    await workbench.grant_group(ADMIN, handbook, "LEGAL", Right.OWNER)
    assert await workbench.shareable(bob, handbook) == (["bob"], ["Legal"])
    with pytest.raises(NotFound, match="no group"):
        await workbench.grant_group(bob, handbook, "nobody", Right.READ)
    await workbench.grant_group(bob, handbook, "Legal", None)  # the last owner: admins still own it
    rows = [row.details for row in await workbench.audit(ADMIN) if row.action == "collection.grant"]
    assert [(row["before"], row["after"]) for row in reversed(rows)] == [("", "read"), ("read", "owner"), ("owner", "")]
    assert await workbench.grants(ADMIN, handbook) == []


async def test_reach_says_what_somebody_may_read_and_why(
    workbench: Workbench, bob: Principal, legal: str, handbook: str
) -> None:
    await workbench.grant(ADMIN, handbook, "bob", Right.WRITE)
    await workbench.create_collection(ADMIN, "secret")
    [one] = await workbench.reach(ADMIN, bob.user_id)
    assert (one.collection, one.right, one.via, one.documents) == ("handbook", Right.WRITE, ("granted", "group Legal"), 1)
    root = await user(workbench, "root", Role.ADMIN)
    assert {row.via for row in await workbench.reach(ADMIN, root.user_id)} == {("role admin",)}
    with pytest.raises(NotFound):
        await workbench.reach(ADMIN, "f" * 32)
