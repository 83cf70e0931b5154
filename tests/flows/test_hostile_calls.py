"""What broke, or could have, when the facade was called as no page calls it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import engine
from engine.access_views import Scope
from engine.audit_views import AuditQuery
from engine.database.audit_actions import ACTIONS
from engine.database.audit_models import AuditView
from engine.errors import AccessDenied, EngineError, InputError
from engine.testing import ADMIN
from engine.types import Right, Role
from engine.workbench import Workbench
from tests.flows.people import FROM, PASSWORD, opened, person, signed_in, token_of


@pytest.fixture
async def workbench(tmp_path: Path) -> AsyncIterator[Workbench]:
    async with opened(tmp_path) as made:
        yield made


async def test_the_last_admin_whose_password_was_reset_stays_an_admin(workbench: Workbench) -> None:
    info = await person(workbench, "ada", Role.ADMIN)
    ada = await signed_in(workbench, "ada")
    await workbench.reset_password(ada, info.id)
    for call in (
        workbench.set_role(ADMIN, info.id, Role.ANALYST),
        workbench.disable_user(ADMIN, info.id),
        workbench.delete_user(ADMIN, info.id),
    ):
        with pytest.raises(InputError, match="last admin"):
            await call
    bob = await person(workbench, "bob")
    await workbench.delete_user(ADMIN, bob.id)  # who is no admin can go whatever became of the admins


async def test_wrong_keys_of_a_script_lock_nobody_at_the_same_address_out(workbench: Workbench) -> None:
    await person(workbench, "bob")
    wrong = f"wb_{'0' * 12}_{'x' * 43}"
    for _ in range(50):
        assert await workbench.authenticate_bearer(wrong, ip="10.0.0.1") is None
    assert await token_of(workbench, "bob", ip="10.0.0.1")


async def test_wrong_keys_are_counted_by_network_where_one_customer_has_many_addresses(workbench: Workbench) -> None:
    await person(workbench, "bob")
    bob = await signed_in(workbench, "bob")
    good = (await workbench.create_api_key(bob, "k", [Scope.READ])).text
    wrong = f"wb_{'0' * 12}_{'x' * 43}"
    for number in range(50):
        await workbench.authenticate_bearer(wrong, ip=f"2001:db8::{number:x}")
    assert await workbench.authenticate_bearer(good, ip="2001:db8::ffff") is None
    assert await workbench.authenticate_bearer(good, ip="2001:db8:0:1::1") is not None


async def test_a_right_that_is_none_is_given_to_nobody(workbench: Workbench) -> None:
    await person(workbench, "bob")
    bob = await signed_in(workbench, "bob")
    made = await workbench.create_collection(ADMIN, "notes")
    await workbench.create_group(ADMIN, "team")
    odd: Any = "root"
    for call in (workbench.grant(ADMIN, made.id, "bob", odd), workbench.grant_group(ADMIN, made.id, "team", odd)):
        with pytest.raises(InputError, match="right"):
            await call
    assert await workbench.collections(bob) == []


BROKEN = ["\0", "a\0b", "\ud800", "x" * 5000]


@pytest.mark.parametrize("text", BROKEN, ids=["nul", "inner", "surrogate", "long"])
async def test_text_that_no_database_takes_is_refused_as_anything_unknown_is(workbench: Workbench, text: str) -> None:
    await person(workbench, "bob")
    collection = await workbench.create_collection(ADMIN, "notes")
    for call in (
        workbench.sign_in(text, PASSWORD, **FROM),
        workbench.sign_in("bob", text, **FROM),
        workbench.second_factor(text, text, **FROM),
        workbench.choose_password(text, PASSWORD, **FROM),
        workbench.invited(text),
        workbench.set_up(text, text, text, **FROM),
        workbench.create_user(ADMIN, text, PASSWORD, Role.ANALYST),
        workbench.invite_user(ADMIN, "eve", Role.ANALYST, groups=[text]),
        workbench.set_role(ADMIN, text, Role.ANALYST),
        workbench.disable_user(ADMIN, text),
        workbench.delete_user(ADMIN, text),
        workbench.reset_password(ADMIN, text),
        workbench.revoke_session(ADMIN, text),
        workbench.revoke_api_key(ADMIN, text),
        workbench.revoke_token(ADMIN, text),
        workbench.rename_group(ADMIN, text, "name"),
        workbench.grant(ADMIN, collection.id, text, Right.READ),
        workbench.grant_group(ADMIN, collection.id, text, Right.READ),
        workbench.grant(ADMIN, text, "bob", Right.READ),
        workbench.reach(ADMIN, text),
        workbench.view_as(ADMIN, text),
        workbench.document(ADMIN, text),
        workbench.release_passage(ADMIN, text),
    ):
        with pytest.raises(EngineError) as refusal:
            await call
        assert refusal.value.hint or isinstance(refusal.value, AccessDenied)
    assert await workbench.authenticate(text) is None
    assert await workbench.authenticate_bearer(text, ip="10.0.0.1") is None
    assert (await workbench.audit_verify(ADMIN)).ok


async def test_an_endless_retention_is_refused_or_removes_nothing(workbench: Workbench) -> None:
    assert (await workbench.audit_retain(ADMIN, older_than_days=10**9)).rows == 0


async def test_filters_of_a_deleted_admin_go_along(workbench: Workbench) -> None:
    await person(workbench, "ada", Role.ADMIN)
    eve = await person(workbench, "eve", Role.ADMIN)
    await workbench.save_audit_view(await signed_in(workbench, "eve"), "mine", AuditQuery(actor="eve"))
    await workbench.delete_user(ADMIN, eve.id)
    async with workbench.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AuditView)) == 0


async def test_a_preview_is_audited_from_the_address_of_who_looks(workbench: Workbench) -> None:
    await person(workbench, "ada", Role.ADMIN)
    bob = await person(workbench, "bob")
    ada = await signed_in(workbench, "ada")
    seen_as = await workbench.view_as(ada, bob.id)
    assert (seen_as.ip, seen_as.session_id, seen_as.preview) == (ada.ip, ada.session_id, True)
    assert ada.ip == "10.0.0.1"


async def test_a_token_that_was_taken_back_is_nobody(workbench: Workbench) -> None:
    await person(workbench, "bob")
    bob = await signed_in(workbench, "bob")
    token = (await workbench.issue_token(bob)).token
    by_token = await workbench.authenticate_bearer(token, ip="10.0.0.1")
    assert by_token is not None
    await workbench.revoke_token(by_token, by_token.token_id)
    assert await workbench.authenticate_bearer(token, ip="10.0.0.1") is None


def test_every_action_that_is_recorded_is_known() -> None:
    text = "\n".join(path.read_text() for path in Path(engine.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'record\(\s*\w+,\s*[^"()]*"([a-z_]+\.[a-z_.]+)"', text))
    assert {"group.rename", "token.revoke", "user.create"} <= named
    assert named <= set(ACTIONS)
