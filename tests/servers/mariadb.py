"""A real MariaDB from Debian's package `mariadb-server`: one per test process, on a free port of loopback."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.postgres import NOBODY

MISSING = next(
    (f"{name} is not installed: apt-get install mariadb-server" for name in ("mariadbd", "mariadb-install-db", "mariadb")
     if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None), "",
)  # fmt: skip
USER = "workbench"
PASSWORD = "maria-canary-7be04c1d93f2a865"
# The server's own character set and modes are the least helpful ones: what matters is set by the engine.
SETTINGS = {"bind-address": "127.0.0.1", "skip-networking": "0", "innodb-flush-log-at-trx-commit": "0", "sync-binlog": "0", "sync-frm": "0", "innodb-flush-method": "nosync",
            "innodb-stats-persistent": "0", "innodb-file-per-table": "0",
            "innodb-buffer-pool-size": "32M", "innodb-log-file-size": "16M", "innodb-doublewrite": "0", "max-connections": "120",
            "character-set-server": "latin1", "sql-mode": "", "skip-name-resolve": "1", "performance-schema": "0"}  # fmt: skip


class MariaDB:
    """A running server. USER, who has PASSWORD, owns the databases whose names begin with `test_` and has no other rights."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        if NOBODY:
            os.chown(self.folder, NOBODY["user"], NOBODY["group"])
        self._run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", "--auth-root-authentication-method=normal",
            "--skip-test-db", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--innodb-log-file-size=16M",
        )  # fmt: skip

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}",
                 f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}", *settings],
                stdout=log, stderr=log, cwd=self.folder, env={"LC_ALL": "C"}, **NOBODY,
            )  # fmt: skip
        end = time.monotonic() + 60
        while not self._ready():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)
        self._root(f"CREATE OR REPLACE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
                   f"GRANT ALL ON `test\\_%`.* TO {USER}@'127.0.0.1'")  # fmt: skip

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    def sql(self, statement: str, database: str) -> str:
        """Run one statement with the command-line client and return what it prints: rows as lines, columns parted by |."""
        login = [f"--user={USER}", "--host=127.0.0.1", f"--port={self.port}", f"--database={database}"]
        return self._client(*login, statement=statement, password=PASSWORD).replace("\t", "|")

    def create(self, database: str) -> None:
        """Make an empty database with whatever character set the server has."""
        self._root(f"CREATE DATABASE {database}")

    def drop(self, database: str) -> None:
        """Drop a database; who still waits in it is sent away."""
        self._root(f"DROP DATABASE {database}")

    def _root(self, statement: str) -> str:
        return self._client("--user=root", f"--socket={self.folder / 'socket'}", statement=statement)

    def _client(self, *login: str, statement: str, password: str = "") -> str:
        options = ["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4", *login]
        return self._run("mariadb", *options, "--execute", statement, environment={"MYSQL_PWD": password})

    def _run(self, program: str, *arguments: str, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [_program(program), *arguments], capture_output=True, text=True, timeout=120, cwd=self.folder,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | (environment or {}), **NOBODY,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr or done.stdout}")
        return done.stdout.strip()

    def _ready(self) -> bool:
        if not (self.folder / "socket").exists():
            return False
        try:
            return self._root("SELECT 1") == "1"
        except RuntimeError:
            return False


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or name


@functools.cache
def running() -> MariaDB:
    """Return the server of this test process; it is started at the first call and removed when the process ends."""
    server = MariaDB()
    atexit.register(_remove, server)
    server.start()
    return server


@contextmanager
def database() -> Iterator[tuple[str, str]]:
    """Give the address of an empty database for the workbench, and its name; it is dropped afterwards."""
    if MISSING:
        pytest.skip(MISSING)
    server = running()
    name = f"test_{uuid.uuid4().hex}"
    server.create(name)
    try:
        yield f"mariadb+asyncmy://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{name}", name
    finally:
        server.drop(name)


def _remove(server: MariaDB) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
