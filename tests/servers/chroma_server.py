"""Chroma's own server, from the package, as a child process."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from engine.types import Endpoint

COMMAND = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; app()"


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(folder: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server on `folder` until the end of the block."""
    arguments = [sys.executable, "-c", COMMAND, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as child:
        try:
            _wait(child, port)
            yield child
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def server() -> Iterator[Endpoint]:
    """Give the address of a server with an empty folder."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, running(folder, port):
        yield Endpoint(base_url=f"http://127.0.0.1:{port}", timeout_seconds=30)


def _wait(child: subprocess.Popen[bytes], port: int, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert child.poll() is None, f"chroma ended with {child.returncode}"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("chroma did not start")
