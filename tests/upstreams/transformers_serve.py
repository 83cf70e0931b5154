"""`transformers serve` as a child process: a second, independent server of OpenAI's API, with a real model on the CPU."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.types import Endpoint

START_SECONDS = 180


@dataclass
class Served:
    """A running server. Its model is named by its folder."""

    endpoint: Endpoint
    process: psutil.Process

    def busy(self, seconds: float = 1.0) -> float:
        """Return how many cores the server uses, measured over `seconds`."""
        self.process.cpu_percent()
        time.sleep(seconds)
        return self.process.cpu_percent() / 100


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Run the server for the model in `folder` on a free port of loopback, ready to answer; end it afterwards."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "transformers.cli.transformers",
        "serve",
        str(folder),
        "--host",
        "127.0.0.1",
        "--device",
        "cpu",
    ]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as log:
        Path(home, "hub").mkdir()  # listing models fails without it
        child = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if not answers(f"{url}/health", child):
                log.seek(0)
                raise RuntimeError(f"transformers serve did not start:\n{log.read().decode(errors='replace')[-2000:]}")
            yield Served(Endpoint(model=str(folder), base_url=url, timeout_seconds=120), psutil.Process(child.pid))
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def answers(url: str, child: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
