"""The lock after wrong passwords: in SQL, by account and address, and no way for strangers to keep somebody out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.assembly import Assembly
from engine.database.access_models import SignInFailure
from engine.database.columns import now
from engine.database.models import Session
from engine.database.sign_ins import network_of
from engine.errors import AccessDenied
from engine.security.passwords import BcryptHasher
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.workbench import Workbench
from tests.flows.people import ELSEWHERE, FROM, NEW, PASSWORD, audited, opened, person, signed_in, token_of, user
from tests.servers.redis import free_port


async def guess(workbench: Workbench, name: str, times: int, **origin: str) -> list[str]:
    """Return the texts of the refusals."""
    texts = []
    for n in range(times):
        with pytest.raises(AccessDenied) as refusal:
            await workbench.sign_in(name, f"wrong password {n}", **{**ELSEWHERE, **origin})
        texts.append(str(refusal.value))
    return texts


async def age(workbench: Workbench, minutes: float) -> None:
    async with workbench.database.write() as session:
        for row in await session.scalars(select(SignInFailure)):
            row.at -= timedelta(minutes=minutes)


async def test_the_lock_outlives_a_restart_and_ends_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        assert "too many" not in str(await guess(workbench, "bob", 10))
    async with opened(tmp_path) as workbench:
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.sign_in("bob", PASSWORD, **ELSEWHERE)
        until = (await user(workbench, "bob")).locked_until
        assert until is not None
        assert timedelta(minutes=14) < until - now() <= timedelta(minutes=15)
        await age(workbench, 15.1)
        assert (await user(workbench, "bob")).locked_until is None
        await token_of(workbench, "bob", **ELSEWHERE)


async def test_the_lock_holds_while_redis_is_away(tmp_path: Path) -> None:
    caching = {"redis_url": f"redis://127.0.0.1:{free_port()}/0"}
    for _ in range(2):  # two processes, one after the other: what one of them remembers does not matter
        async with opened(tmp_path, caching=caching) as workbench:
            if not await workbench.users(ADMIN):
                await person(workbench, "bob")
            await guess(workbench, "bob", 5)
    async with opened(tmp_path, caching=caching) as workbench:
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.sign_in("bob", PASSWORD, **ELSEWHERE)


async def test_thirty_guesses_side_by_side_stay_under_the_limit(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        guesses = [workbench.sign_in("bob", f"wrong password {n}", ip=f"10.1.0.{n}", user_agent="") for n in range(30)]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert sum("is wrong" in str(result) for result in results) == 10
        assert sum("too many" in str(result) for result in results) == 20
        assert len(await audited(workbench, "auth.lock")) == 1


async def test_names_of_nobody_are_locked_alike(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        assert await guess(workbench, "bob", 12) == await guess(workbench, "nobody", 12)


async def test_the_lock_is_audited_once_and_refused_tries_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        await guess(workbench, "bob", 25)
        locks = await audited(workbench, "auth.lock")
        assert [(row.object, row.ip, row.details["of"]) for row in locks] == [("bob", "10.9.9.9", "account")]
        assert len(await audited(workbench, "auth.login")) == 10


async def test_strangers_do_not_lock_a_user_out_of_the_usual_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        await token_of(workbench, "bob")
        await guess(workbench, "bob", 10)
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.sign_in("bob", PASSWORD, ip="10.8.8.8", user_agent="")
        await token_of(workbench, "bob")  # from the address of before
        # Signing in there does not give the strangers new tries, and the usual place has a limit of its own.
        assert "too many" in (await guess(workbench, "bob", 1))[0]
        assert "too many" not in str(await guess(workbench, "bob", 10, **FROM))
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.sign_in("bob", PASSWORD, **FROM)


async def test_a_place_that_was_not_used_for_a_month_is_a_strange_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        await token_of(workbench, "bob")
        async with workbench.database.write() as session:
            await session.execute(update(Session).values(created_at=now() - timedelta(days=31)))
        await guess(workbench, "bob", 10)
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.sign_in("bob", PASSWORD, **FROM)


async def test_a_right_password_takes_only_its_own_tries_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        for _ in range(3):
            await guess(workbench, "bob", 9, **FROM)
            await token_of(workbench, "bob")


async def test_an_address_that_tries_many_names_is_locked(tmp_path: Path) -> None:
    async with opened(tmp_path, accounts={"lock_address_after": 6}) as workbench:
        await person(workbench, "bob")
        for n in range(6):
            assert "is wrong" in (await guess(workbench, f"name{n}", 1, ip=f"2001:db8:1:2::{n}"))[0]
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.sign_in("bob", PASSWORD, ip="2001:db8:1:2:ffff::1", user_agent="")
        await token_of(workbench, "bob", ip="2001:db8:1:3::1")
        assert [row.details["of"] for row in await audited(workbench, "auth.lock")] == ["address"]


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_an_address_is_counted_as(ip: str, network: str) -> None:
    assert network_of(ip) == network


async def test_a_wrong_old_password_counts_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "bob")
        bob = await signed_in(workbench, "bob")
        for _ in range(10):
            with pytest.raises(AccessDenied, match="password is wrong"):
                await workbench.change_password(bob, "a wrong password", NEW)
        with pytest.raises(AccessDenied, match="too many"):
            await workbench.change_password(bob, PASSWORD, NEW)
        assert (await audited(workbench, "user.password"))[0].actor == "bob"


async def test_an_admin_unlocks(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        info = await person(workbench, "bob")
        await guess(workbench, "bob", 10)
        await workbench.unlock_user(ADMIN, info.id)
        assert (await user(workbench, "bob")).locked_until is None
        await token_of(workbench, "bob", **ELSEWHERE)
        assert [row.object for row in await audited(workbench, "auth.unlock")] == ["bob"]


async def test_old_tries_are_removed(tmp_path: Path) -> None:
    assembly = Assembly(offline_settings(tmp_path), hasher=BcryptHasher(4))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        await guess(workbench, "nobody", 3)
        await age(workbench, 60 * 25)
        await guess(workbench, "nobody", 2)
        await assembly.accounts.purge()
        async with workbench.database.read() as session:
            assert await session.scalar(select(func.count()).select_from(SignInFailure)) == 2
