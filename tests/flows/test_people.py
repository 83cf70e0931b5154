"""What admins do with users: invitations, roles, disabling, deleting, lists; and that an admin is always left."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.access_views import Step
from engine.database.access_models import ApiKey, Group, Member, Ticket
from engine.database.audit_models import Audit
from engine.database.chat_models import Conversation, MessageRow
from engine.database.columns import now
from engine.database.models import DocumentRow, Grant, Session, User
from engine.errors import AccessDenied, InputError, NotFound
from engine.testing import ADMIN
from engine.types import Right, Role
from engine.workbench import Workbench
from tests.flows.people import FROM, NEW, PASSWORD, audited, opened, person, signed_in, token_of, user


@pytest.fixture
async def workbench(tmp_path: Path):
    async with opened(tmp_path) as made:
        yield made


async def group(workbench: Workbench, name: str) -> str:
    async with workbench.database.write() as session:
        row = Group(name=name)
        session.add(row)
        await session.flush()
        return row.id


def ticket_of(path: str) -> str:
    assert path.startswith("/invite?token=")
    return path.removeprefix("/invite?token=")


# --- invitations and resets ------------------------------------------------------------------------------------------


async def test_an_invited_user_chooses_the_password_and_is_in(workbench: Workbench) -> None:
    team = await group(workbench, "Team")
    link = await workbench.invite_user(ADMIN, "Bob", Role.OPERATOR, groups=[team])
    assert (link.user.name, link.user.role, link.user.invited, link.user.groups) == ("bob", Role.OPERATOR, True, ("Team",))
    assert timedelta(hours=71) < link.expires_at - now() <= timedelta(hours=72)
    ticket = ticket_of(link.path)
    assert await workbench.invited(ticket) == "bob"
    for bad in ("short", "bob"):
        with pytest.raises(InputError):
            await workbench.choose_password(ticket, bad, **FROM)
    done = await workbench.choose_password(ticket, PASSWORD, **FROM)
    principal = await workbench.authenticate(done.token)
    assert principal is not None
    assert (principal.name, principal.role) == ("bob", Role.OPERATOR)
    for call in (workbench.invited(ticket), workbench.choose_password(ticket, NEW, **FROM), workbench.invited("nonsense")):
        with pytest.raises(AccessDenied):
            await call
    info = await user(workbench, "bob")
    assert (info.invited, info.sessions, info.last_seen_at is None) == (False, 1, False)
    rows = [row.action for row in await workbench.audit(ADMIN)]
    assert rows == ["auth.login", "user.accept", "user.invite", "audit.start"]
    assert ticket not in str(await workbench.audit(ADMIN))


async def test_an_invitation_ends_by_itself_and_for_who_is_disabled(workbench: Workbench) -> None:
    for name in ("late", "off"):
        ticket = ticket_of((await workbench.invite_user(ADMIN, name, Role.ANALYST)).path)
        if name == "late":
            async with workbench.database.write() as session:
                await session.execute(update(Ticket).values(expires_at=now()))
        else:
            info = await user(workbench, name)
            await workbench.disable_user(ADMIN, info.id)
            await workbench.enable_user(ADMIN, info.id)
        with pytest.raises(AccessDenied):
            await workbench.choose_password(ticket, PASSWORD, **FROM)


async def test_an_unknown_group_invites_nobody(workbench: Workbench) -> None:
    with pytest.raises(NotFound):
        await workbench.invite_user(ADMIN, "bob", Role.ANALYST, groups=["nowhere"])
    assert await workbench.users(ADMIN) == []


async def test_a_reset_ends_the_old_password_and_all_sessions_at_once(workbench: Workbench) -> None:
    info = await person(workbench, "bob")
    token = await token_of(workbench, "bob")
    first = await workbench.reset_password(ADMIN, info.id)
    assert await workbench.authenticate(token) is None
    with pytest.raises(AccessDenied):
        await workbench.sign_in("bob", PASSWORD, **FROM)
    second = await workbench.reset_password(ADMIN, info.id)
    with pytest.raises(AccessDenied):
        await workbench.invited(ticket_of(first.path))
    done = await workbench.choose_password(ticket_of(second.path), NEW, **FROM)
    assert done.step is Step.DONE
    await token_of(workbench, "bob", NEW)


async def test_the_tables_hold_no_ticket_that_could_be_used(workbench: Workbench, tmp_path: Path) -> None:
    ticket = ticket_of((await workbench.invite_user(ADMIN, "bob", Role.ANALYST)).path)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert ticket.encode() not in files


# --- roles, disabling, deleting --------------------------------------------------------------------------------------


async def test_a_role_bites_at_once_and_ends_other_sessions(workbench: Workbench) -> None:
    info = await person(workbench, "bob", Role.ADMIN)
    await person(workbench, "ada", Role.ADMIN)
    token = await token_of(workbench, "bob")
    ada = await signed_in(workbench, "ada")
    with pytest.raises(InputError, match="known roles|unknown role"):
        await workbench.set_role(ada, info.id, "king")
    await workbench.set_role(ada, info.id, Role.ANALYST)
    assert await workbench.authenticate(token) is None
    bob = await signed_in(workbench, "bob")
    assert bob.role is Role.ANALYST
    with pytest.raises(AccessDenied):
        await workbench.users(bob)
    await workbench.set_role(ada, info.id, Role.ANALYST)  # nothing new: nothing ends
    assert len(await workbench.sessions(bob)) == 1
    rows = await audited(workbench, "user.role")
    assert [(row.actor, row.object, row.details["before"], row.details["after"]) for row in rows] == [
        ("ada", "bob", "admin", "analyst")
    ]
    own = await workbench.sessions(ada)
    await person(workbench, "eve", Role.ADMIN)
    await workbench.set_role(ada, ada.user_id, Role.OPERATOR)
    assert (await workbench.sessions(ada)) == own  # the session that asked goes on, with the new role


async def test_a_disabled_user_is_out_until_enabled(workbench: Workbench) -> None:
    info = await person(workbench, "bob")
    token = await token_of(workbench, "bob")
    await workbench.disable_user(ADMIN, info.id)
    assert await workbench.authenticate(token) is None
    assert (await user(workbench, "bob")).disabled
    with pytest.raises(AccessDenied):
        await workbench.sign_in("bob", PASSWORD, **FROM)
    await workbench.enable_user(ADMIN, info.id)
    assert await workbench.authenticate(token) is None
    await token_of(workbench, "bob")


async def test_deleting_a_user_takes_what_is_theirs_and_leaves_documents_and_audit(workbench: Workbench) -> None:
    await person(workbench, "bob")
    bob = await signed_in(workbench, "bob")
    collection = await workbench.create_collection(bob, "notes")
    document, _ = await workbench.upload(bob, collection.id, "a.txt", b"Some words about something.")
    await workbench.process(bob, collection.id)
    talk = await workbench.create_conversation(bob, [collection.id])
    await workbench.send(bob, talk.id, "What is it about?")
    team = await group(workbench, "Team")
    async with workbench.database.write() as session:
        session.add(Member(group_id=team, user_id=bob.user_id))
        session.add(ApiKey(id="k" * 12, user_id=bob.user_id, name="key", secret_sha256="0" * 64, scopes=["read"]))
    info = await user(workbench, "bob")
    assert (info.keys, info.groups, info.sessions) == (1, ("Team",), 1)
    await workbench.delete_user(ADMIN, info.id)
    async with workbench.database.read() as session:
        for table in (User, Session, Grant, Member, ApiKey, Conversation, MessageRow, Ticket):
            assert await session.scalar(select(func.count()).select_from(table)) == 0, table
        assert await session.scalar(select(func.count()).select_from(DocumentRow)) == 1
        assert await session.scalar(select(func.count()).select_from(Audit).where(Audit.actor == "bob")) >= 3
    assert (await workbench.document(ADMIN, document.id)).name == "a.txt"
    with pytest.raises(NotFound):
        await workbench.delete_user(ADMIN, info.id)
    again = await person(workbench, "bob")
    await workbench.grant(ADMIN, collection.id, "bob", Right.READ)
    assert again.id != info.id


async def test_the_last_admin_stays(workbench: Workbench) -> None:
    info = await person(workbench, "ada", Role.ADMIN)
    ada = await signed_in(workbench, "ada")
    off = await person(workbench, "off", Role.ADMIN)
    await workbench.disable_user(ada, off.id)
    invited = await workbench.invite_user(ada, "soon", Role.ADMIN)  # who has no password yet cannot help
    for call in (
        workbench.set_role(ada, info.id, Role.OPERATOR),
        workbench.disable_user(ada, info.id),
        workbench.delete_user(ada, info.id),
    ):
        with pytest.raises(InputError, match="last admin"):
            await call
    assert await workbench.authenticate(await token_of(workbench, "ada")) is not None
    await workbench.set_role(ada, info.id, Role.ADMIN)  # no change
    await workbench.delete_user(ada, off.id)
    await workbench.choose_password(ticket_of(invited.path), NEW, **FROM)
    await workbench.delete_user(ada, info.id)
    assert [one.name for one in await workbench.users(ADMIN)] == ["soon"]


@pytest.mark.parametrize("what", ["set_role", "disable_user", "delete_user"])
async def test_of_two_admins_who_remove_each_other_at_once_one_stays(workbench: Workbench, what: str) -> None:
    for name in ("ada", "eve"):
        await person(workbench, name, Role.ADMIN)
    ada, eve = await signed_in(workbench, "ada"), await signed_in(workbench, "eve")
    role = [Role.ANALYST] if what == "set_role" else []
    change = getattr(workbench, what)
    results = await asyncio.gather(change(ada, eve.user_id, *role), change(eve, ada.user_id, *role), return_exceptions=True)
    assert sorted(str(result) for result in results) == ["None", next(str(r) for r in results if isinstance(r, InputError))]
    left = [one for one in await workbench.users(ADMIN) if one.role is Role.ADMIN and not one.disabled]
    assert len(left) == 1


async def test_only_admins_may_do_any_of_it(workbench: Workbench) -> None:
    info = await person(workbench, "bob")
    for role in (Role.ANALYST, Role.OPERATOR):
        name = f"somebody.{role.value}"
        await person(workbench, name, role)
        who = await signed_in(workbench, name)
        for call in (
            workbench.users(who),
            workbench.create_user(who, "eve", PASSWORD, Role.ADMIN),
            workbench.invite_user(who, "eve", Role.ADMIN),
            workbench.reset_password(who, info.id),
            workbench.set_role(who, who.user_id, Role.ADMIN),
            workbench.disable_user(who, info.id),
            workbench.enable_user(who, info.id),
            workbench.delete_user(who, info.id),
            workbench.reset_second_factor(who, info.id),
            workbench.unlock_user(who, info.id),
            workbench.import_users(who, "eve,admin", apply=True),
        ):
            with pytest.raises(AccessDenied):
                await call
    assert len(await workbench.users(ADMIN)) == 3


# --- lists -----------------------------------------------------------------------------------------------------------


async def test_a_list_is_tried_first_and_bad_lines_stop_nothing(workbench: Workbench) -> None:
    await group(workbench, "Team A")
    await group(workbench, "Team B")
    await person(workbench, "here")
    text = (
        "\ufeffName,Role,Groups\r\n"
        "anna,analyst,Team A; team b\r\n"
        "\r\n"
        "HERE,analyst,\r\n"
        "bob,king,\r\n"
        "two words,analyst,\r\n"
        "Anna,operator,\r\n"
        'carl,operator,"Team A"\r\n'
        "dora,analyst,Team C\r\n"
        "emil\r\n"
    )
    tried = await workbench.import_users(ADMIN, text, apply=False)
    assert [(row.line, row.name, row.outcome) for row in tried] == [
        (2, "anna", "new"), (4, "here", "exists"), (5, "bob", "refused"), (6, "two words", "refused"),
        (7, "anna", "refused"), (8, "carl", "new"), (9, "dora", "refused"), (10, "emil", "new"),
    ]  # fmt: skip
    reasons = {row.line: row.reason for row in tried}
    assert "known: analyst, operator, admin" in reasons[5]
    assert "line 2" in reasons[7]
    assert "'Team C'" in reasons[9]
    assert not any(row.path for row in tried)
    assert len(await workbench.users(ADMIN)) == 1

    done = await workbench.import_users(ADMIN, text, apply=True)
    assert [row.outcome for row in done] == [row.outcome for row in tried]
    links = {row.name: row.path for row in done if row.path}
    assert list(links) == ["anna", "carl", "emil"]
    assert await workbench.invited(ticket_of(links["emil"])) == "emil"
    assert (await user(workbench, "anna")).groups == ("Team A", "Team B")
    assert (await user(workbench, "emil")).role is Role.ANALYST
    assert [row.object for row in await audited(workbench, "user.import")] == ["anna", "carl", "emil"]
    again = await workbench.import_users(ADMIN, text, apply=True)
    assert [row.name for row in again if row.outcome == "exists"] == ["anna", "here", "carl", "emil"]
    assert not any(row.path for row in again)


@pytest.mark.parametrize(
    "text",
    ["bob;analyst;A;B\n", 'bob;analyst;"A;B"\n', "bob\tanalyst\tA;B\n", '"bob","analyst","A;B"', "groups,name\nA;B,bob\n",
     "user;role;groups\r\nbob;;A;B\r\n"],
)  # fmt: skip
async def test_lists_of_every_spreadsheet_are_read(workbench: Workbench, text: str) -> None:
    for name in ("A", "B"):
        await group(workbench, name)
    (row,) = await workbench.import_users(ADMIN, text, apply=True)
    assert (row.name, row.role, row.outcome, row.reason) == ("bob", "analyst", "new", "")
    assert (await user(workbench, "bob")).groups == ("A", "B")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("name,role\n", "empty"),
        ("name,colour\nbob,red\n", "unknown column"),
        ("bob,analyst\n" * 2001, "2,000 lines"),
        ("x" * 1_000_001, "1,000,000"),
        ('bob,"analyst', "no CSV"),
    ],
)
async def test_what_is_no_list_is_refused_whole(workbench: Workbench, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        await workbench.import_users(ADMIN, text, apply=True)
    assert await workbench.users(ADMIN) == []


async def test_a_formula_or_a_nul_in_a_list_becomes_no_user(workbench: Workbench) -> None:
    rows = await workbench.import_users(ADMIN, "bo\0b,analyst\n", apply=True)
    assert [row.outcome for row in rows] == ["refused"]
