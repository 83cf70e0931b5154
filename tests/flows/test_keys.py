"""API keys: shown once, narrowed by scopes and by what their user may do now, gone at once."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.access_views import Scope
from engine.database.access_models import ApiKey, SignInFailure
from engine.database.columns import now
from engine.database.models import User
from engine.errors import AccessDenied, InputError, NotFound
from engine.testing import ADMIN
from engine.types import Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.test_groups import user

IP = "192.0.2.7"


@pytest.fixture
async def bob(workbench: Workbench) -> Principal:
    return await user(workbench, "bob")


@pytest.fixture
async def root(workbench: Workbench) -> Principal:
    return await user(workbench, "root", Role.ADMIN)


async def bearer(workbench: Workbench, text: str, ip: str = IP) -> Principal | None:
    return await workbench.authenticate_bearer(text, ip=ip)


async def test_a_key_is_its_user_narrowed_to_its_scopes(workbench: Workbench, bob: Principal, handbook: str) -> None:
    made = await workbench.create_api_key(bob, " nightly  job ", [Scope.READ])
    assert (made.info.name, made.info.state, made.info.scopes) == ("nightly job", "active", (Scope.READ,))
    who = await bearer(workbench, made.text)
    assert who is not None
    assert (who.user_id, who.role, who.scopes) == (bob.user_id, Role.ANALYST, frozenset({"read"}))
    assert who.session_id == f"key:{made.info.id}"
    await workbench.grant(ADMIN, handbook, "bob", Right.OWNER)
    assert await workbench.search(who, "quokka", collections=[handbook]) == []
    for call in (
        workbench.upload(who, handbook, "a.txt", b"text"),
        workbench.ask(who, "Why?", collections=[handbook]),
        workbench.conversations(who),
        workbench.create_api_key(who, "another", [Scope.READ]),
        workbench.users(who),
    ):
        with pytest.raises(AccessDenied):
            await call


async def test_only_a_hash_is_stored_and_the_text_is_nowhere_else(workbench: Workbench, bob: Principal, tmp_path: Path) -> None:
    made = await workbench.create_api_key(bob, "ci", [Scope.READ])
    await bearer(workbench, made.text)
    secret = made.text.split("_", 2)[2]
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert made.info.id.encode() in files
    assert secret.encode() not in files
    assert secret not in json.dumps([row.details for row in await workbench.audit(ADMIN)])


async def test_what_an_analyst_may_not_give_to_a_key(workbench: Workbench, bob: Principal, root: Principal) -> None:
    for scopes, days in (([Scope.ADMIN], 90), ([Scope.READ, Scope.ADMIN], 1), ([Scope.READ], None)):
        with pytest.raises(AccessDenied):
            await workbench.create_api_key(bob, "ci", scopes, days=days)
    for name, scopes, days in (
        ("", [Scope.READ], 90),
        ("x" * 101, [Scope.READ], 90),
        ("a\x07", [Scope.READ], 90),
        ("ci", [], 90),
        ("ci", ["everything"], 90),
        ("ci", [Scope.READ], 0),
        ("ci", [Scope.READ], 366),
    ):
        with pytest.raises(InputError):
            await workbench.create_api_key(root, name, scopes, days=days)
    assert (await workbench.create_api_key(root, "ci", [Scope.ADMIN], days=None)).info.expires_at is None
    with pytest.raises(AccessDenied):
        await workbench.create_api_key(ADMIN, "nobody's", [Scope.READ])  # not a user in SQL


@pytest.mark.parametrize("change", ["revoked", "expired", "disabled"])
async def test_a_key_ends_at_once(workbench: Workbench, bob: Principal, change: str) -> None:
    made = await workbench.create_api_key(bob, "ci", [Scope.READ])
    assert await bearer(workbench, made.text)
    if change == "revoked":
        await workbench.revoke_api_key(bob, made.info.id)
        await workbench.revoke_api_key(bob, made.info.id)  # quiet, and audited once
    async with workbench.database.write() as session:
        if change == "expired":
            await session.execute(update(ApiKey).values(expires_at=now()))
        if change == "disabled":
            await session.execute(update(User).where(User.id == bob.user_id).values(disabled_at=now()))
    assert await bearer(workbench, made.text) is None
    [listed] = await workbench.api_keys(bob)
    assert listed.state == ("active" if change == "disabled" else change)
    assert sum(row.action == "api_key.revoke" for row in await workbench.audit(ADMIN)) == (change == "revoked")


async def test_a_key_never_exceeds_what_its_user_is_now(workbench: Workbench, root: Principal) -> None:
    made = await workbench.create_api_key(root, "ops", [Scope.ADMIN, Scope.READ])
    who = await bearer(workbench, made.text)
    assert who is not None
    assert await workbench.users(who)
    async with workbench.database.write() as session:
        await session.execute(update(User).where(User.id == root.user_id).values(role=Role.ANALYST.value))
    who = await bearer(workbench, made.text)
    assert who is not None
    assert (who.role, who.scopes) == (Role.ANALYST, frozenset({"read"}))
    with pytest.raises(AccessDenied):
        await workbench.users(who)


async def test_keys_belong_to_their_user_and_admins_see_them_all(workbench: Workbench, bob: Principal, root: Principal) -> None:
    mine = (await workbench.create_api_key(bob, "ci", [Scope.READ])).info
    eve = await user(workbench, "eve")
    with pytest.raises(NotFound):
        await workbench.revoke_api_key(eve, mine.id)
    for other in (bob.user_id, "*"):
        with pytest.raises(AccessDenied):
            await workbench.api_keys(eve, other)
    assert await workbench.api_keys(eve) == []
    assert await workbench.api_keys(ADMIN, "*") == await workbench.api_keys(ADMIN, bob.user_id) == [mine]
    await workbench.revoke_api_key(root, mine.id)
    assert (await workbench.api_keys(bob))[0].state == "revoked"


async def test_a_user_has_at_most_twenty_active_keys(workbench: Workbench, bob: Principal) -> None:
    made = [await workbench.create_api_key(bob, f"k{n}", [Scope.READ]) for n in range(20)]
    with pytest.raises(InputError, match="20"):
        await workbench.create_api_key(bob, "one more", [Scope.READ])
    await workbench.revoke_api_key(bob, made[0].info.id)
    await workbench.create_api_key(bob, "one more", [Scope.READ])


async def test_the_first_use_is_audited_once_and_the_last_noted_once_a_minute(workbench: Workbench, bob: Principal) -> None:
    made = await workbench.create_api_key(bob, "ci", [Scope.READ])
    await asyncio.gather(*(bearer(workbench, made.text) for _ in range(5)))
    rows = [row for row in await workbench.audit(ADMIN) if row.action == "api_key.first_use"]
    assert [(row.object, row.ip, row.actor) for row in rows] == [(made.info.id, IP, "bob")]
    first = (await workbench.api_keys(bob))[0].last_used_at
    await bearer(workbench, made.text)
    assert (await workbench.api_keys(bob))[0].last_used_at == first
    long_ago = now() - timedelta(minutes=2)
    async with workbench.database.write() as session:
        await session.execute(update(ApiKey).values(last_used_at=long_ago))
    await bearer(workbench, made.text)
    used = (await workbench.api_keys(bob))[0].last_used_at
    assert used is not None
    assert used > long_ago


async def test_guessing_is_limited_by_address_and_names_no_user(workbench: Workbench, bob: Principal) -> None:
    await user(workbench, "api")
    made = await workbench.create_api_key(bob, "ci", [Scope.READ])
    unknown, wrong = f"wb_{'0' * 12}_{'A' * 43}", made.text[:-43] + "A" * 43
    for n in range(50):
        assert await bearer(workbench, wrong if n % 2 else unknown) is None
    assert await bearer(workbench, made.text) is None
    assert await bearer(workbench, made.text, "192.0.2.8") is not None
    async with workbench.database.read() as session:
        count = await session.scalar(select(func.count()).select_from(SignInFailure))
    assert await bearer(workbench, unknown) is None
    async with workbench.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SignInFailure)) == count == 50
    assert await workbench.sign_in("api", "a long enough password", ip="192.0.2.9", user_agent="")
    async with workbench.database.write() as session:
        await session.execute(update(SignInFailure).values(at=now() - timedelta(minutes=16)))
    assert await bearer(workbench, made.text) is not None


@pytest.mark.parametrize(
    "text", ["", "wb_", "wb_x_y", "nonsense", "a.b.c", "wb_" + "0" * 12 + "_short", "\ud800", "x" * 100_000]
)
async def test_what_is_no_key_is_nobody(workbench: Workbench, text: str) -> None:
    assert await bearer(workbench, text) is None
