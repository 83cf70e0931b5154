"""Health, readiness and the start of a whole workbench, also while a real database server stands still."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from api.app import build_api
from engine.__main__ import app
from engine.errors import AccessDenied, CorruptModel
from engine.operations_views import BreakerCommand
from engine.testing import ADMIN, HashedWords, offline_settings, offline_workbench
from engine.types import Principal, Role
from engine.views import Check
from engine.workbench import Workbench
from tests.servers import mariadb
from tests.servers.databases import database

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "health.md").read_text(), flags=re.MULTILINE)


async def test_every_check_is_documented_and_nothing_else_is(workbench: Workbench) -> None:
    await workbench.add_provider(ADMIN, "openai", name="box", base_url="http://127.0.0.1:9/v1", key="sk-0123456789abcdef")
    names = [re.sub(r"^(store|provider) .*", r"\1 NAME", check.name) for check in await workbench.health(ADMIN)]
    assert sorted(set(names)) == sorted(DOCUMENTED)


async def test_a_fresh_installation_is_fine_and_every_result_says_when_and_how_long(workbench: Workbench) -> None:
    checks = await workbench.health(ADMIN)
    assert {check.name: check.state for check in checks if check.state != "ok"} == {}
    assert all(check.checked_at and check.last_ok_at == check.checked_at and check.elapsed_ms >= 0 for check in checks)


async def test_results_are_kept_until_somebody_asks_for_now(workbench: Workbench) -> None:
    first = {check.name: check.checked_at for check in await workbench.health(ADMIN)}
    again = {check.name: check.checked_at for check in await workbench.health(ADMIN)}
    now = {check.name: check.checked_at for check in await workbench.health(ADMIN, fresh=True)}
    assert first == again
    assert not {name for name in now if now[name] == first[name]}


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ANALYST])
async def test_health_is_for_operators(workbench: Workbench, role: Role) -> None:
    who = Principal(user_id="c" * 32, name="otto", role=role, session_id="s")
    if role is Role.OPERATOR:
        assert await workbench.health(who)
        return
    with pytest.raises(AccessDenied):
        await workbench.health(who)


async def test_no_check_tells_a_key_or_a_path(workbench: Workbench, tmp_path: Path) -> None:
    await workbench.add_provider(ADMIN, "openai", name="box", base_url="http://127.0.0.1:9/v1", key="sk-0123456789abcdef")
    told = repr(await workbench.health(ADMIN, fresh=True))
    assert "sk-0123456789abcdef" not in told
    assert str(tmp_path) not in told


async def test_checking_now_calls_a_provider_that_is_away_and_says_so(workbench: Workbench) -> None:
    await workbench.add_provider(ADMIN, "openai", name="box", base_url="http://127.0.0.1:9/v1", key="sk-0123456789abcdef")
    kept = next(check for check in await workbench.health(ADMIN) if check.name == "provider box")
    now = next(check for check in await workbench.health(ADMIN, fresh=True) if check.name == "provider box")
    assert (kept.state, now.state) == ("ok", "failed")
    assert now.last_ok_at == kept.checked_at
    assert now.hint


async def test_a_server_starts_becomes_ready_and_leaves_before_it_closes(tmp_path: Path) -> None:
    loaded = asyncio.Event()

    class Slow(HashedWords):
        def embed_query(self, text):  # type: ignore[no-untyped-def]
            while text == "warm up" and not loaded.is_set():
                time.sleep(0.01)
            return super().embed_query(text)

    async with offline_workbench(tmp_path, embedder=Slow(), serve=True) as workbench:
        await asyncio.sleep(0.05)
        assert ((await workbench.readiness()).state, (await workbench.startup()).state) == ("ready", "unready")
        loaded.set()
        async with asyncio.timeout(20):
            while (await workbench.startup()).state != "ready":
                await asyncio.sleep(0.01)
        stop = workbench._worker.stop
        seen: list[str] = []

        async def watched() -> None:
            seen.append((await workbench.readiness()).state)
            await stop()

        workbench._worker.stop = watched  # type: ignore[method-assign]
    assert seen == ["unready"]


async def test_a_broken_embedder_ends_the_start_and_degrades(tmp_path: Path) -> None:
    class Broken(HashedWords):
        def embed_query(self, text):  # type: ignore[no-untyped-def]
            raise CorruptModel("the model is damaged", hint="Download it again.")

    async with offline_workbench(tmp_path, embedder=Broken(), serve=True) as workbench:
        async with asyncio.timeout(20):
            while (await workbench.startup()).state != "ready":
                await asyncio.sleep(0.01)
        broken = next(check for check in await workbench.health(ADMIN) if check.name == "embedder")
        assert (broken.state, broken.detail) == ("failed", "the model is damaged")
        found = await workbench.readiness()
        assert (found.state, found.reasons) == ("degraded", ("embedder",))


async def test_a_database_server_that_stands_still_makes_it_unready_in_time_and_ready_again(tmp_path: Path) -> None:
    with database("mariadb") as (url, _):
        server = mariadb.running()._process.pid  # type: ignore[union-attr]
        async with offline_workbench(tmp_path, database_url=url) as workbench:
            assert (await workbench.readiness()).state == "ready"
            assert {check.name: check.state for check in await workbench.health(ADMIN)}["clock"] == "ok"
            await asyncio.sleep(1.1)  # what was ready is told for a second
            os.kill(server, signal.SIGSTOP)
            try:
                started = time.monotonic()
                assert (await workbench.readiness()).state == "unready"
                assert time.monotonic() - started < 5
            finally:
                os.kill(server, signal.SIGCONT)
            async with asyncio.timeout(30):
                while (await workbench.readiness()).state != "ready":
                    await asyncio.sleep(0.1)


def test_the_command_line_tells_all_and_ends_with_1_when_something_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("engine.services.parts.Parts.local", lambda _self: HashedWords())
    monkeypatch.setattr("engine.commands.operations.out", Console(width=200))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["health", *arguments])

    fine = run("--json")
    assert fine.exit_code == 0, fine.output
    assert {field.name for field in fields(Check)} == set(json.loads(fine.stdout)[0])
    with sqlite3.connect(tmp_path / "workbench.db") as connection:
        connection.execute(
            "INSERT INTO provider_tests (provider, role, model, ok, detail, hint, elapsed_ms, at)"
            " VALUES ('extractive', 'chat', '', 0, 'no words', '', 1.0, '2026-01-01 00:00:00.000000')"
        )
    bad = run()
    assert bad.exit_code == 1
    assert re.search(r"FAILED\s+answers", bad.stdout)
    assert "Questions get no answer" in bad.stdout


async def use_store(workbench: Workbench) -> None:
    """Keep new collections in "vectors", a store that is not there; what is used has a breaker."""
    await workbench.add_provider(ADMIN, "qdrant", name="vectors", base_url="http://127.0.0.1:9")
    await workbench.choose(ADMIN, expected_version=(await workbench.choices(ADMIN)).version, store="vectors")


async def test_a_breaker_is_held_and_given_back_over_the_api_with_the_reason(workbench: Workbench, tmp_path: Path) -> None:
    await use_store(workbench)
    api = build_api(lambda: workbench, offline_settings(tmp_path))

    async def behind_the_gate(scope: Any, receive: Any, send: Any) -> None:
        await api(dict(scope, state={"principal": ADMIN, "request_id": "r1"}), receive, send)

    transport = httpx.ASGITransport(behind_the_gate)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/v1") as client:

        async def now() -> dict[str, Any]:
            found = (await client.get("/breakers")).json()
            return next(one for one in found if one["dependency"]["provider"] == "vectors")

        path = f"/breakers/{(await now())['id']}"
        assert (await client.post(f"{path}/hold", json={"reason": "a drill"})).status_code == 204
        held = await now()
        assert (held["state"], held["forced_by"], held["reason"]) == ("held closed", ADMIN.name, "a drill")
        assert (await client.post(f"{path}/reset")).status_code == 204
        assert ((await now())["state"], (await now())["forced_by"]) == ("closed", "")
        assert (await client.post(f"{path}/trip", json={"why": "x"})).status_code == 422


async def test_an_open_breaker_degrades_and_names_itself_to_operators_only(workbench: Workbench) -> None:
    await use_store(workbench)
    one = next(one for one in await workbench.breakers(ADMIN) if one.dependency.provider == "vectors")
    await workbench.command_breaker(ADMIN, one.id, BreakerCommand.TRIP, reason="a drill")
    found = await workbench.readiness()
    assert (found.state, found.reasons) == ("degraded", ("store · vectors",))
    tripped = next(check for check in await workbench.health(ADMIN, fresh=True) if check.name == "store vectors")
    assert (tripped.state, tripped.dependency) == ("failed", str(one.dependency))
