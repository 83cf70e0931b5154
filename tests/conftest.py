"""Shared by all tests: where the real data lies, no network but loopback, and no silent skip in continuous integration."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from engine.assembly import Assembly
from engine.database.database import Database

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Keep a developer's own settings out of the tests."""
    for name in [name for name in os.environ if name.startswith("WORKBENCH_") and name != "WORKBENCH_TEST_DATA"]:
        del os.environ[name]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real collections; tests that use it are marked `data`."""
    folder = Path(os.environ.get("WORKBENCH_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip("no test data: set WORKBENCH_TEST_DATA to the folder of collections")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With CI=true a skipped test is a failure, unless it waits for a credential."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and "credential" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped in continuous integration: {report.longrepr}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _quick_sqlite() -> None:
    """No test pulls the plug of the machine, so none waits for the disk; processes that tests start do, as in production."""

    @event.listens_for(Engine, "connect")
    def hurry(connection: DBAPIConnection, _entry: object) -> None:
        if "sqlite" in type(connection).__module__:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.close()


@pytest.fixture(autouse=True, scope="session")
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A new SQLite database begins as a copy of one that was migrated; tests of migrations name their revision."""
    template = tmp_path_factory.mktemp("template") / "migrated.db"
    asyncio.run(_migrate(template))
    opened = Assembly._open  # noqa: SLF001

    def copied(self: Assembly, start: Any) -> Any:
        database = self.database
        if database.is_sqlite and database.url.database and not (path := Path(database.url.database)).exists():
            shutil.copyfile(template, path)
        return opened(self, start)

    Assembly._open = copied  # type: ignore[method-assign]


async def _migrate(path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.upgrade()
    await database.close()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anywhere but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not _is_local(str(address[0])):
            raise AssertionError(f"a test tried to reach {address[0]!r}: tests use no network")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
