"""The promises about things that happen at once, on databases whose transactions do run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.errors import AccessDenied, InputError
from engine.testing import ADMIN
from engine.types import Role
from engine.workbench import Workbench
from tests.flows.people import NEW, PASSWORD, audited, opened, person, signed_in, token_of
from tests.servers.databases import SERVERS, database


@pytest.fixture(params=SERVERS)
async def workbench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workbench]:
    with database(request.param) as (url, _):
        async with opened(tmp_path, database_url=url) as made:
            yield made


async def test_guesses_made_side_by_side_stay_under_the_limit(workbench: Workbench) -> None:
    await person(workbench, "bob")
    guesses = [workbench.sign_in("bob", f"wrong password {n}", ip=f"10.1.0.{n}", user_agent="") for n in range(14)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum("is wrong" in str(result) for result in results) == 10
    assert sum("too many" in str(result) for result in results) == 4
    assert len(await audited(workbench, "auth.lock")) == 1


@pytest.mark.parametrize("what", ["set_role", "disable_user", "delete_user"])
async def test_of_two_admins_who_remove_each_other_at_once_one_stays(workbench: Workbench, what: str) -> None:
    for name in ("ada", "eve"):
        await person(workbench, name, Role.ADMIN)
    ada, eve = await signed_in(workbench, "ada"), await signed_in(workbench, "eve")
    role = [Role.ANALYST] if what == "set_role" else []
    change = getattr(workbench, what)
    results = await asyncio.gather(change(ada, eve.user_id, *role), change(eve, ada.user_id, *role), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, InputError) for result in results) == 1
    left = [one for one in await workbench.users(ADMIN) if one.role is Role.ADMIN and not one.disabled]
    assert len(left) == 1


async def test_of_uses_of_a_ticket_at_once_one_wins(workbench: Workbench) -> None:
    link = await workbench.invite_user(ADMIN, "bob", Role.ANALYST)
    ticket = link.path.removeprefix("/invite?token=")
    words = [PASSWORD, NEW, "a third long password"]
    uses = [workbench.choose_password(ticket, one, ip="10.0.0.1", user_agent="") for one in words]
    results = await asyncio.gather(*uses, return_exceptions=True)
    winners = [one for one, result in zip(words, results, strict=True) if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert sum(isinstance(result, AccessDenied) for result in results) == 2
    await token_of(workbench, "bob", winners[0])


async def test_a_name_taken_at_the_same_moment_is_said(workbench: Workbench) -> None:
    made = await asyncio.gather(*(person(workbench, "bob") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, InputError) for one in made) == 2
    assert len(await workbench.users(ADMIN)) == 1
