"""Databases with an audit, for tests that write to them as an intruder would: SQLite in a folder, and real servers."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.audit_views import Verification
from engine.database.audit import record
from engine.database.audit_chain import head_of
from engine.database.audit_checkpoints import Checkpoint, Checkpoints
from engine.database.audit_verify import verify
from engine.database.columns import now
from engine.database.database import Database
from tests.servers import mariadb, postgres
from tests.servers.databases import database

ROOT = Path(__file__).resolve().parents[2]
KEY = b"k" * 32
WRITER = """
import asyncio, sys
from engine.database.audit import record
from engine.database.database import Database

async def main(url, name, count):
    database = Database(url, audit_key=b"k" * 32)
    for number in range(count):
        async with database.write() as session:
            await record(session, None, "document.upload", f"{name}-{number}", number=number)
    await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


class Place:
    """A database: its address for the workbench, and SQL past the workbench."""

    def __init__(self, url: str, folder: Path, name: str = "", kind: str = "sqlite") -> None:
        self.kind, self.url, self.folder, self._name = kind, url, folder, name
        self.checkpoints = Checkpoints(folder / "checkpoints.jsonl", KEY)

    def database(self, key: bytes = KEY) -> Database:
        return Database(self.url, audit_key=key)

    def sql(self, *statements: str) -> str:
        if self._name:
            server = mariadb.running() if self.kind == "mariadb" else postgres.running()
            return "\n".join(server.sql(statement, self._name) for statement in statements)
        with sqlite3.connect(self.folder / "x.db") as connection:
            found = [row for statement in statements for row in connection.execute(statement).fetchall()]
        connection.close()
        return "\n".join("|".join(str(value) for value in row) for row in found)

    def tamper(self, *statements: str) -> None:
        """What the owner of a database can do: put the triggers away first."""
        off = (
            ["ALTER TABLE audit DISABLE TRIGGER USER"]
            if self.kind == "postgresql"
            else [f"DROP TRIGGER IF EXISTS audit_no_{what}" for what in ("update", "delete", "replace")]
        )
        self.sql(*off, *statements)

    async def filled(self, rows: int) -> Database:
        """Return an open database whose audit has its first row and this many more."""
        database = self.database()
        await database.migrate()
        for number in range(rows):
            await add(database, f"d-{number}")
        return database

    async def verify(self, database: Database) -> Verification:
        checkpoints, damage = self.checkpoints.read()
        async with database.read() as session:
            return await verify(session, KEY, checkpoints, damage)

    async def checkpoint(self, database: Database) -> bool:
        async with database.read() as session:
            head = await head_of(session)
        return self.checkpoints.append(Checkpoint(at=now(), rows=head.written, seq=head.seq, hash=head.hash))

    def writers(self, processes: int, each: int) -> list[subprocess.CompletedProcess[str]]:
        """Run real processes that append at the same time."""
        command = [sys.executable, "-c", WRITER, self.url]
        running_ones = [
            subprocess.Popen(
                [*command, f"w{number}", str(each)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for number in range(processes)
        ]  # fmt: skip
        ended = []
        for process in running_ones:
            told, errors = process.communicate(timeout=240)
            ended.append(subprocess.CompletedProcess(process.args, process.returncode, told, errors))
        return ended


async def add(database: Database, name: str) -> None:
    async with database.write() as session:
        await record(session, None, "document.upload", name, size=1.5)


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """Give an empty database of a kind: "sqlite", or one of `SERVERS`."""
    if kind == "sqlite":
        yield Place(f"sqlite+aiosqlite:///{folder}/x.db", folder)
        return
    with database(kind) as (url, name):
        yield Place(url, folder, name, kind)
