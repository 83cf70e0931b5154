"""The first admin, signing in and out, and what keeps others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from engine.access_views import Step
from engine.database.access_models import Ticket
from engine.database.columns import now
from engine.database.models import Session, User
from engine.errors import AccessDenied, InputError, NotFound
from engine.testing import ADMIN, offline_workbench
from engine.types import Role
from engine.workbench import Workbench
from tests.fixtures.old_hashes import HASHES_OF_OTHERS
from tests.flows.people import FROM, NEW, PASSWORD, audited, opened, person, signed_in, token_of, user


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Workbench]:
    async with offline_workbench(tmp_path, serve=True) as workbench:
        yield workbench


async def test_the_first_admin_is_made_once_with_the_printed_token(fresh: Workbench) -> None:
    assert await fresh.setup_needed()
    token = fresh.setup_token
    with pytest.raises(AccessDenied, match="set-up token"):
        await fresh.set_up("guess", "ada", PASSWORD, **FROM)
    session_token = await fresh.set_up(token, "Ada", PASSWORD, **FROM)
    principal = await fresh.authenticate(session_token)
    assert principal is not None
    assert (principal.name, principal.role) == ("ada", Role.ADMIN)
    assert not await fresh.setup_needed()
    assert fresh.setup_token == ""
    with pytest.raises(AccessDenied):
        await fresh.set_up(token, "eve", PASSWORD, **FROM)


async def test_a_bad_password_costs_the_set_up_nothing(fresh: Workbench) -> None:
    token = fresh.setup_token
    for password in ("short", "x" * 73):
        with pytest.raises(InputError):
            await fresh.set_up(token, "ada", password, **FROM)
    assert fresh.setup_token == token


async def test_sign_in_and_out(fresh: Workbench) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST)
    token = (await fresh.sign_in(" BOB ", PASSWORD, **FROM)).token
    principal = await fresh.authenticate(token)
    assert principal is not None
    assert principal.role is Role.ANALYST
    await fresh.sign_out(token)
    assert await fresh.authenticate(token) is None
    assert await fresh.authenticate("nonsense") is None


async def test_wrong_name_and_wrong_password_read_the_same_and_lock_after_ten(fresh: Workbench) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST)
    texts = set()
    for name in ("bob", "nobody"):
        with pytest.raises(AccessDenied) as refusal:
            await fresh.sign_in(name, "wrong password", **FROM)
        texts.add(str(refusal.value))
    assert len(texts) == 1
    for _ in range(9):
        with pytest.raises(AccessDenied):
            await fresh.sign_in("bob", "wrong password", **FROM)
    with pytest.raises(AccessDenied, match="too many"):
        await fresh.sign_in("bob", PASSWORD, **FROM)


@pytest.mark.parametrize(
    "change",
    [
        {"last_seen_at": now() - timedelta(minutes=31)},
        {"expires_at": now() - timedelta(seconds=1)},
        {"revoked_at": now()},
    ],
    ids=["idle", "over", "revoked"],
)
async def test_a_session_ends(fresh: Workbench, change: dict[str, object]) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST)
    token = (await fresh.sign_in("bob", PASSWORD, **FROM)).token
    async with fresh.database.write() as session:
        await session.execute(update(Session).values(**change))
    assert await fresh.authenticate(token) is None


async def test_role_and_lock_bite_at_once(fresh: Workbench) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ADMIN)
    token = (await fresh.sign_in("bob", PASSWORD, **FROM)).token
    async with fresh.database.write() as session:
        await session.execute(update(User).values(role=Role.ANALYST.value))
    principal = await fresh.authenticate(token)
    assert principal is not None
    assert principal.role is Role.ANALYST
    async with fresh.database.write() as session:
        await session.execute(update(User).values(disabled_at=now()))
    assert await fresh.authenticate(token) is None


async def test_a_sixth_sign_in_ends_the_oldest(fresh: Workbench) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST)
    tokens = [(await fresh.sign_in("bob", PASSWORD, **FROM)).token for _ in range(6)]
    alive = [await fresh.authenticate(token) is not None for token in tokens]
    assert alive == [False, *[True] * 5]


async def test_only_hashes_are_stored(fresh: Workbench, tmp_path: Path) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST)
    token = (await fresh.sign_in("bob", PASSWORD, **FROM)).token
    async with fresh.database.read() as session:
        assert (await session.scalars(select(User))).one().password_hash.startswith("$2b$12$")
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert token.encode() not in files
    assert PASSWORD.encode() not in files


async def test_names_are_unique_and_clean(fresh: Workbench) -> None:
    await fresh.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST)
    for name in ("BOB", "", "two words", "line\nbreak", "x" * 101):
        with pytest.raises(InputError):
            await fresh.create_user(ADMIN, name, PASSWORD, Role.ANALYST)


async def test_names_that_look_like_others_or_hide_something_are_refused(fresh: Workbench) -> None:
    for name in ("аnna", "an\u200bna", "anna\ufe0f", "ａnna", "an\u00adna", "ﬁona", "x\u115fy", "αnna"):
        with pytest.raises(InputError):
            await fresh.create_user(ADMIN, name, PASSWORD, Role.ANALYST)
    for name in ("анна", "änna.berg@example.org", "안나", "アンナ", "o'neil-2"):
        assert (await fresh.create_user(ADMIN, name, PASSWORD, Role.ANALYST)).name == name


async def test_disabled_and_invited_users_are_refused_like_everybody(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await workbench.disable_user(ADMIN, (await person(workbench, "off")).id)
        await workbench.invite_user(ADMIN, "soon", Role.ANALYST)
        texts = set()
        for name, password in (("off", PASSWORD), ("soon", ""), ("soon", PASSWORD), ("nobody", PASSWORD)):
            with pytest.raises(AccessDenied) as refusal:
                await workbench.sign_in(name, password, **FROM)
            texts.add((str(refusal.value), refusal.value.hint))
        assert len(texts) == 1


async def test_signing_in_and_out_is_audited_with_who_did_it_and_never_what_nobody_typed(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        token = await token_of(workbench, "bob")
        await workbench.sign_out(token)
        for name in ("bob", "a-password-typed-as-the-name"):
            with pytest.raises(AccessDenied):
                await workbench.sign_in(name, "wrong", **FROM)
        logins = [(row.actor, row.object, row.outcome, row.ip) for row in await audited(workbench, "auth.login")]
        assert logins == [
            ("bob", "bob", "success", "10.0.0.1"),
            ("", "bob", "failure", "10.0.0.1"),
            ("", "", "failure", "10.0.0.1"),
        ]
        assert [(row.actor, row.ip) for row in await audited(workbench, "auth.logout")] == [("bob", "10.0.0.1")]
        assert "a-password-typed" not in str(await workbench.audit(ADMIN))


@pytest.mark.parametrize("stored", list(HASHES_OF_OTHERS))
async def test_an_account_of_an_older_system_signs_in_and_has_a_bcrypt_hash_then(tmp_path: Path, stored: str) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "old")
        async with workbench.database.write() as session:
            await session.execute(update(User).values(password_hash=stored))
        with pytest.raises(AccessDenied):
            await workbench.sign_in("old", "wrong password", **FROM)
        async with workbench.database.read() as session:
            assert (await session.scalars(select(User.password_hash))).one() == stored
        for _ in range(2):
            await token_of(workbench, "old", HASHES_OF_OTHERS[stored])
            async with workbench.database.read() as session:
                assert (await session.scalars(select(User.password_hash))).one().startswith("$2b$04$")


async def test_a_plain_text_row_signs_nobody_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        async with workbench.database.write() as session:
            await session.execute(update(User).values(password_hash=PASSWORD))
        with pytest.raises(AccessDenied):
            await workbench.sign_in("bob", PASSWORD, **FROM)


async def test_a_changed_password_ends_all_other_sessions_and_the_old_one_is_worth_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        other = await token_of(workbench, "bob")
        bob = await signed_in(workbench, "bob")
        with pytest.raises(AccessDenied, match="password is wrong"):
            await workbench.change_password(bob, "not the old one", NEW)
        for bad in ("short", "password123", PASSWORD):
            with pytest.raises(InputError):
                await workbench.change_password(bob, PASSWORD, bad)
        await workbench.change_password(bob, PASSWORD, NEW)
        assert await workbench.authenticate(other) is None
        assert [one.current for one in await workbench.sessions(bob)] == [True]
        with pytest.raises(AccessDenied):
            await workbench.sign_in("bob", PASSWORD, **FROM)
        await token_of(workbench, "bob", NEW)
        outcomes = [row.outcome for row in await audited(workbench, "user.password")]
        assert outcomes == ["failure", "success"]


async def test_a_password_given_by_an_admin_is_good_for_one_sign_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await workbench.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST, must_change=True)
        asked = await workbench.sign_in("bob", PASSWORD, **FROM)
        assert (asked.step, asked.token) == (Step.PASSWORD, "")
        for bad in ("short", PASSWORD):
            with pytest.raises(InputError):
                await workbench.choose_password(asked.ticket, bad, **FROM)
        done = await workbench.choose_password(asked.ticket, NEW, **FROM)
        assert (done.step, done.name) == (Step.DONE, "bob")
        assert await workbench.authenticate(done.token) is not None
        with pytest.raises(AccessDenied):
            await workbench.choose_password(asked.ticket, "a third long password", **FROM)
        assert not (await user(workbench, "bob")).must_change
        await token_of(workbench, "bob", NEW)


async def test_a_newer_ticket_replaces_the_older_and_an_old_one_expires(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await workbench.create_user(ADMIN, "bob", PASSWORD, Role.ANALYST, must_change=True)
        first = await workbench.sign_in("bob", PASSWORD, **FROM)
        second = await workbench.sign_in("bob", PASSWORD, **FROM)
        with pytest.raises(AccessDenied):
            await workbench.choose_password(first.ticket, NEW, **FROM)
        async with workbench.database.write() as session:
            row = (await session.scalars(select(Ticket))).one()
            assert timedelta(minutes=9) < row.expires_at - now() <= timedelta(minutes=10)
            row.expires_at = now() - timedelta(seconds=1)
        with pytest.raises(AccessDenied):
            await workbench.choose_password(second.ticket, NEW, **FROM)


async def test_of_two_uses_of_a_ticket_at_once_one_wins(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        link = await workbench.invite_user(ADMIN, "bob", Role.ANALYST)
        ticket = link.path.removeprefix("/invite?token=")
        words = [f"a long password {n}" for n in range(6)]
        results = await asyncio.gather(
            *(workbench.choose_password(ticket, one, **FROM) for one in words), return_exceptions=True
        )
        winners = [one for one, result in zip(words, results, strict=True) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert all(isinstance(result, AccessDenied) for result in results if isinstance(result, BaseException))
        await token_of(workbench, "bob", winners[0])


async def test_sessions_are_listed_and_ended_by_their_user_or_an_admin(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        await person(workbench, "eve")
        await person(workbench, "ada", Role.ADMIN)
        first = await token_of(workbench, "bob", user_agent="Firefox")
        bob, eve, ada = [await signed_in(workbench, name) for name in ("bob", "eve", "ada")]
        mine = await workbench.sessions(bob)
        assert sorted((one.user_agent, one.current) for one in mine) == [("Firefox", False), ("test", True)]
        other = next(one.id for one in mine if not one.current)
        with pytest.raises(NotFound):
            await workbench.revoke_session(eve, other)
        for wanted in (bob.user_id, "*"):
            with pytest.raises(AccessDenied):
                await workbench.sessions(eve, wanted)
        assert len(await workbench.sessions(ada, "*")) == 4
        await workbench.revoke_session(bob, other)
        assert await workbench.authenticate(first) is None
        await workbench.revoke_session(ada, bob.session_id)
        assert await workbench.sessions(ada, bob.user_id) == []
        async with workbench.database.read() as session:
            row = await session.get(Session, bob.session_id)
            assert row is not None
            assert (row.revoked_by, row.reason) == (ada.user_id, "ended by an admin")
        assert [row.actor for row in await audited(workbench, "session.revoke")] == ["bob", "ada"]


async def test_signing_out_everywhere_ends_this_session_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        tokens = [await token_of(workbench, "bob") for _ in range(3)]
        bob = await workbench.authenticate(tokens[0])
        assert bob is not None
        assert await workbench.sign_out_everywhere(bob) == 3
        assert [await workbench.authenticate(token) for token in tokens] == [None] * 3


async def test_a_preview_and_a_key_are_not_their_user(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        bob = await signed_in(workbench, "bob")
        for mask in (replace(bob, preview=True), replace(bob, scopes=frozenset({"read", "admin"}))):
            for call in (
                workbench.my_account(mask),
                workbench.change_password(mask, PASSWORD, NEW),
                workbench.start_second_factor(mask),
                workbench.confirm_second_factor(mask, "000000"),
                workbench.remove_second_factor(mask, PASSWORD),
                workbench.sessions(mask),
                workbench.revoke_session(mask, bob.session_id),
                workbench.sign_out_everywhere(mask),
            ):
                with pytest.raises(AccessDenied):
                    await call
        assert (await workbench.my_account(bob)).sessions == 1
