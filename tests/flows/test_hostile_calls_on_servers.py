"""Hostile calls on servers, which take less than SQLite does and let transactions run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.access_views import Scope
from engine.errors import EngineError
from engine.testing import ADMIN
from engine.types import Right, Role
from engine.workbench import Workbench
from tests.flows.people import FROM, PASSWORD, opened, person, signed_in
from tests.servers.databases import SERVERS, database


@pytest.fixture(params=SERVERS)
async def workbench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workbench]:
    with database(request.param) as (url, _):
        async with opened(tmp_path, database_url=url) as made:
            yield made


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 5000], ids=["nul", "surrogate", "long"])
async def test_text_that_no_database_takes_is_refused(workbench: Workbench, text: str) -> None:
    await person(workbench, "bob")
    collection = await workbench.create_collection(ADMIN, "notes")
    for call in (
        workbench.sign_in(text, PASSWORD, **FROM),
        workbench.set_role(ADMIN, text, Role.ANALYST),
        workbench.revoke_session(ADMIN, text),
        workbench.revoke_api_key(ADMIN, text),
        workbench.rename_group(ADMIN, text, "name"),
        workbench.grant(ADMIN, collection.id, text, Right.READ),
        workbench.grant_group(ADMIN, text, "team", Right.READ),
        workbench.document(ADMIN, text),
    ):
        with pytest.raises(EngineError):
            await call


async def test_the_same_change_made_at_once_ends_in_one_change_and_errors_that_say_so(workbench: Workbench) -> None:
    bob = await person(workbench, "bob")
    who = await signed_in(workbench, "bob")
    collection = await workbench.create_collection(ADMIN, "notes")
    group = await workbench.create_group(ADMIN, "first")
    results = await asyncio.gather(
        *(workbench.create_group(ADMIN, "team") for _ in range(4)),
        *(workbench.set_members(ADMIN, group.id, [bob.id]) for _ in range(4)),
        *(workbench.grant(ADMIN, collection.id, "bob", Right.READ) for _ in range(4)),
        *(workbench.grant_group(ADMIN, collection.id, "first", Right.WRITE) for _ in range(4)),
        *(workbench.create_api_key(who, f"key {n}", [Scope.READ]) for n in range(4)),
        *(workbench.sign_in("bob", PASSWORD, **FROM) for _ in range(4)),
        return_exceptions=True,
    )
    odd = [repr(one) for one in results if isinstance(one, BaseException) and not isinstance(one, EngineError)]
    assert odd == []
    assert [one.name for one in await workbench.groups(ADMIN)] == ["first", "team"]
    assert (await workbench.audit_verify(ADMIN)).ok


async def test_a_user_deleted_while_others_share_with_them_breaks_nothing(workbench: Workbench) -> None:
    bob = await person(workbench, "bob")
    who = await signed_in(workbench, "bob")
    collection = await workbench.create_collection(ADMIN, "notes")
    group = await workbench.create_group(ADMIN, "team")
    results = await asyncio.gather(
        workbench.delete_user(ADMIN, bob.id),
        workbench.set_members(ADMIN, group.id, [bob.id]),
        workbench.grant(ADMIN, collection.id, "bob", Right.READ),
        workbench.create_api_key(who, "key", [Scope.READ]),
        workbench.create_collection(who, "own"),
        workbench.create_conversation(who, []),
        return_exceptions=True,
    )
    odd = [repr(one) for one in results if isinstance(one, BaseException) and not isinstance(one, EngineError)]
    assert odd == []
    assert (await workbench.audit_verify(ADMIN)).ok
