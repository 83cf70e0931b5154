"""Short-lived tokens: never more, and never longer, than the session or key behind them."""

from __future__ import annotations

import time
from datetime import timedelta

import jwt as pyjwt
import pytest
from sqlalchemy import select, update

from engine.access_views import Scope
from engine.database.access_models import ApiKey, RevokedToken
from engine.database.columns import now
from engine.database.models import Session, User
from engine.errors import AccessDenied, InputError
from engine.sections import SessionLimits
from engine.services.bearer import Bearer
from engine.testing import ADMIN
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.flows.test_groups import user

IP = "192.0.2.7"
SECRET = "a secret of this test, long enough for everybody"  # noqa: S105


async def signed_in(workbench: Workbench, name: str, role: Role) -> Principal:
    await user(workbench, name, role)
    done = await workbench.sign_in(name, "a long enough password", ip=IP, user_agent="")
    found = await workbench.authenticate(getattr(done, "token", done))
    assert found is not None
    return found


@pytest.fixture
async def bob(workbench: Workbench) -> Principal:
    return await signed_in(workbench, "bob", Role.ANALYST)


async def bearer(workbench: Workbench, text: str) -> Principal | None:
    return await workbench.authenticate_bearer(text, ip=IP)


async def from_key(workbench: Workbench, of: Principal, *scopes: Scope) -> Principal:
    made = await workbench.create_api_key(of, "ci", scopes)
    found = await bearer(workbench, made.text)
    assert found is not None
    return found


async def test_a_token_of_a_sign_in_has_the_scopes_of_the_role(workbench: Workbench, bob: Principal) -> None:
    issued = await workbench.issue_token(bob, seconds=60)
    who = await bearer(workbench, issued.token)
    assert who is not None
    assert (who.user_id, who.session_id, who.scopes) == (bob.user_id, bob.session_id, frozenset({"read", "ask", "write"}))
    assert 0 < (issued.expires_at - now()).total_seconds() <= 60
    root = await signed_in(workbench, "root", Role.ADMIN)
    powerful = await bearer(workbench, (await workbench.issue_token(root)).token)
    assert powerful is not None
    assert await workbench.users(powerful)


async def test_a_token_of_a_key_has_its_scopes_and_never_outlives_it(workbench: Workbench, bob: Principal) -> None:
    key = await from_key(workbench, bob, Scope.READ)
    async with workbench.database.write() as session:
        await session.execute(update(ApiKey).values(expires_at=now() + timedelta(seconds=30)))
    issued = await workbench.issue_token(key)
    assert (issued.expires_at - now()).total_seconds() <= 30
    who = await bearer(workbench, issued.token)
    assert who is not None
    assert (who.session_id, who.scopes) == (key.session_id, frozenset({"read"}))
    async with workbench.database.write() as session:
        await session.execute(update(ApiKey).values(scopes=["ask"]))
    narrowed = await bearer(workbench, issued.token)
    assert narrowed is not None
    assert narrowed.scopes == frozenset()


@pytest.mark.parametrize("change", ["session revoked", "session over", "session idle", "disabled", "token revoked"])
async def test_a_token_ends_with_what_it_stands_on(workbench: Workbench, bob: Principal, change: str) -> None:
    token = (await workbench.issue_token(bob)).token
    assert await bearer(workbench, token)
    async with workbench.database.write() as session:
        if change == "session revoked":
            await session.execute(update(Session).values(revoked_at=now()))
        if change == "session over":
            await session.execute(update(Session).values(expires_at=now()))
        if change == "session idle":
            await session.execute(update(Session).values(last_seen_at=now() - timedelta(minutes=31)))
        if change == "disabled":
            await session.execute(update(User).values(disabled_at=now()))
    if change == "token revoked":
        jti = pyjwt.decode(token, options={"verify_signature": False})["jti"]
        await workbench.revoke_token(bob, jti)
        await workbench.revoke_token(bob, jti)
        assert sum(row.action == "token.revoke" for row in await workbench.audit(ADMIN)) == 1
    assert await bearer(workbench, token) is None


async def test_revoking_a_key_kills_its_tokens_at_once(workbench: Workbench, bob: Principal) -> None:
    key = await from_key(workbench, bob, Scope.READ)
    token = (await workbench.issue_token(key)).token
    assert await bearer(workbench, token)
    await workbench.revoke_api_key(bob, key.session_id.removeprefix("key:"))
    assert await bearer(workbench, token) is None
    with pytest.raises(AccessDenied):
        await workbench.issue_token(key)


async def test_a_demoted_admin_loses_the_scope_in_tokens_that_are_out(workbench: Workbench) -> None:
    root = await signed_in(workbench, "root", Role.ADMIN)
    token = (await workbench.issue_token(root)).token
    async with workbench.database.write() as session:
        await session.execute(update(User).values(role=Role.ANALYST.value))
    who = await bearer(workbench, token)
    assert who is not None
    assert who.scopes is not None
    assert "admin" not in who.scopes
    with pytest.raises(AccessDenied):
        await workbench.users(who)


async def test_a_token_gets_no_other_token_and_lengths_are_bounded(workbench: Workbench, bob: Principal) -> None:
    who = await bearer(workbench, (await workbench.issue_token(bob)).token)
    assert who is not None
    with pytest.raises(AccessDenied):
        await workbench.issue_token(who)
    with pytest.raises(AccessDenied):
        await workbench.issue_token(ADMIN)  # no session in SQL
    for seconds in (0, -1, 901):
        with pytest.raises(InputError):
            await workbench.issue_token(bob, seconds=seconds)
    with pytest.raises(InputError):
        await workbench.revoke_token(bob, "no name")


async def test_time_and_another_secret_make_a_token_worthless(workbench: Workbench, bob: Principal) -> None:
    at = [time.time()]
    ours = Bearer(workbench.database, SessionLimits(), SECRET, clock=lambda: at[0])
    token = (await ours.issue_token(bob, seconds=60)).token
    assert await ours.authenticate_bearer(token, ip=IP)
    assert await bearer(workbench, token) is None
    at[0] += 66
    assert await ours.authenticate_bearer(token, ip=IP) is None


async def test_expired_revocations_are_purged(workbench: Workbench, bob: Principal) -> None:
    ours = Bearer(workbench.database, SessionLimits(), SECRET)
    await workbench.revoke_token(bob, "A" * 22)
    async with workbench.database.write() as session:
        session.add(RevokedToken(jti="B" * 22, expires_at=now() - timedelta(seconds=1)))
    await ours.purge()
    async with workbench.database.read() as session:
        assert list(await session.scalars(select(RevokedToken.jti))) == ["A" * 22]
