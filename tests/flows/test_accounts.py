"""The first admin, signing in and out, and what keeps others out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from engine.database.columns import now
from engine.database.models import Session, User
from engine.errors import AccessDenied, InputError
from engine.testing import ADMIN, offline_workbench
from engine.types import Role
from engine.workbench import Workbench

PASSWORD = "correct horse battery"  # noqa: S105
FROM = {"ip": "127.0.0.1", "user_agent": "test"}


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
