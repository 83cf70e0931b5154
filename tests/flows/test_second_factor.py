"""A second factor: in force once confirmed, asked for after the password, no code twice, few tries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from engine.access_views import Step
from engine.assembly import Assembly
from engine.database.access_models import Ticket
from engine.database.columns import now
from engine.database.models import User
from engine.errors import AccessDenied, InputError
from engine.security import totp
from engine.security.passwords import BcryptHasher
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.flows.people import ELSEWHERE, FROM, NEW, PASSWORD, audited, person, signed_in, token_of, user


@dataclass
class House:
    """A workbench whose clock for codes stands still until it is moved."""

    workbench: Workbench
    time: float = 1_800_000_000.0
    secret: str = ""

    def code(self, steps: int = 0) -> str:
        return totp.code_at(self.secret, int(self.time // totp.STEP_SECONDS) + steps)

    async def add(self, name: str) -> Principal:
        """Give a user who signs in a second factor."""
        principal = await signed_in(self.workbench, name)
        self.secret = (await self.workbench.start_second_factor(principal)).secret
        await self.workbench.confirm_second_factor(principal, self.code())
        self.time += totp.STEP_SECONDS
        return principal


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    assembly = Assembly(offline_settings(tmp_path), hasher=BcryptHasher(4))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        made = House(workbench)
        assembly.codes.clock = lambda: made.time
        await person(workbench, "bob")
        yield made


async def test_it_is_in_force_once_confirmed_and_asked_for_after_the_password(house: House) -> None:
    workbench = house.workbench
    bob = await signed_in(workbench, "bob")
    made = await workbench.start_second_factor(bob)
    house.secret = made.secret
    assert made.secret in made.uri
    await token_of(workbench, "bob")  # not confirmed: not asked for
    with pytest.raises(InputError):
        await workbench.confirm_second_factor(bob, house.code(5))
    await workbench.confirm_second_factor(bob, house.code())
    assert (await workbench.my_account(bob)).second_factor
    with pytest.raises(InputError):
        await workbench.start_second_factor(bob)

    asked = await workbench.sign_in("bob", PASSWORD, **FROM)
    assert (asked.step, asked.token, asked.name) == (Step.SECOND_FACTOR, "", "bob")
    assert await workbench.authenticate(asked.ticket) is None
    done = await workbench.second_factor(asked.ticket, house.code(1), **FROM)
    principal = await workbench.authenticate(done.token)
    assert principal is not None
    assert principal.name == "bob"
    with pytest.raises(AccessDenied):
        await workbench.second_factor(asked.ticket, house.code(1), **FROM)


async def test_a_wrong_password_says_nothing_about_the_second_factor(house: House) -> None:
    await house.add("bob")
    texts = set()
    for name in ("bob", "nobody"):
        with pytest.raises(AccessDenied) as refusal:
            await house.workbench.sign_in(name, "wrong password", **FROM)
        texts.add(str(refusal.value))
    assert len(texts) == 1


async def test_no_code_works_twice_not_even_at_the_same_moment(house: House) -> None:
    workbench = house.workbench
    await house.add("bob")
    asked = await workbench.sign_in("bob", PASSWORD, **FROM)
    results = await asyncio.gather(
        *(workbench.second_factor(asked.ticket, house.code(), **FROM) for _ in range(4)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    again = await workbench.sign_in("bob", PASSWORD, **FROM)
    with pytest.raises(AccessDenied, match="code is wrong"):
        await workbench.second_factor(again.ticket, house.code(), **FROM)
    house.time += totp.STEP_SECONDS
    assert (await workbench.second_factor(again.ticket, house.code(), **FROM)).token


async def test_a_ticket_allows_five_tries_and_five_minutes(house: House) -> None:
    workbench = house.workbench
    await house.add("bob")
    asked = await workbench.sign_in("bob", PASSWORD, **FROM)
    for _ in range(5):
        with pytest.raises(AccessDenied, match="code is wrong"):
            await workbench.second_factor(asked.ticket, "000000", **FROM)
    with pytest.raises(AccessDenied, match="too many tries"):
        await workbench.second_factor(asked.ticket, house.code(), **FROM)
    late = await workbench.sign_in("bob", PASSWORD, **FROM)
    async with workbench.database.write() as session:
        await session.execute(update(Ticket).values(expires_at=now()))
    with pytest.raises(AccessDenied, match="too long"):
        await workbench.second_factor(late.ticket, house.code(), **FROM)


async def test_who_has_the_password_guesses_no_more_codes_by_signing_in_again(house: House) -> None:
    workbench = house.workbench
    await house.add("bob")
    for _ in range(2):
        asked = await workbench.sign_in("bob", PASSWORD, **ELSEWHERE)
        for _ in range(5):
            with pytest.raises(AccessDenied, match="code is wrong"):
                await workbench.second_factor(asked.ticket, "000000", **ELSEWHERE)
    with pytest.raises(AccessDenied, match="too many wrong"):
        await workbench.sign_in("bob", PASSWORD, **ELSEWHERE)
    assert len(await audited(workbench, "auth.lock")) == 1
    assert len([row for row in await audited(workbench, "auth.second_factor") if row.outcome == "failure"]) == 10


async def test_a_reset_link_does_not_stand_for_the_second_factor(house: House) -> None:
    workbench = house.workbench
    await house.add("bob")
    link = await workbench.reset_password(ADMIN, (await user(workbench, "bob")).id)
    done = await workbench.choose_password(link.path.removeprefix("/invite?token="), NEW, **FROM)
    assert (done.step, done.token) == (Step.SECOND_FACTOR, "")
    assert (await workbench.second_factor(done.ticket, house.code(), **FROM)).token


async def test_a_forced_change_comes_after_the_code(house: House) -> None:
    workbench = house.workbench
    await house.add("bob")
    async with workbench.database.write() as session:
        await session.execute(update(User).values(must_change=True))
    asked = await workbench.sign_in("bob", PASSWORD, **FROM)
    then = await workbench.second_factor(asked.ticket, house.code(), **FROM)
    assert (then.step, then.token) == (Step.PASSWORD, "")
    assert (await workbench.choose_password(then.ticket, NEW, **FROM)).token


async def test_it_is_removed_with_the_password_or_by_an_admin(house: House) -> None:
    workbench = house.workbench
    bob = await house.add("bob")
    with pytest.raises(AccessDenied):
        await workbench.remove_second_factor(bob, "wrong password")
    assert (await workbench.sign_in("bob", PASSWORD, **FROM)).step is Step.SECOND_FACTOR
    await workbench.remove_second_factor(bob, PASSWORD)
    assert (await workbench.sign_in("bob", PASSWORD, **FROM)).step is Step.DONE
    await house.add("bob")
    await workbench.reset_second_factor(ADMIN, bob.user_id)
    assert (await workbench.sign_in("bob", PASSWORD, **FROM)).step is Step.DONE
    changes = [row.details["change"] for row in await audited(workbench, "user.second_factor") if row.details]
    assert changes == ["added", "removed", "added", "reset"]


async def test_the_secret_is_stored_sealed_and_never_audited(house: House, tmp_path: Path) -> None:
    workbench = house.workbench
    await house.add("bob")
    async with workbench.database.read() as session:
        assert house.secret not in str((await session.scalars(select(User.sealed_totp))).all())
    assert house.secret not in str(await workbench.audit(ADMIN))
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert house.secret.encode() not in files


async def test_a_user_disabled_between_password_and_code_stays_out(house: House) -> None:
    workbench = house.workbench
    await house.add("bob")
    await person(workbench, "ada", Role.ADMIN)
    asked = await workbench.sign_in("bob", PASSWORD, **FROM)
    await workbench.disable_user(ADMIN, (await user(workbench, "bob")).id)
    with pytest.raises(AccessDenied):
        await workbench.second_factor(asked.ticket, house.code(), **FROM)
