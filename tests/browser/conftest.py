"""A real server process on a free port, and a real headless Chromium."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


class Server:
    """`streamlit run SCRIPT`; its output is kept, so that a failure can be read."""

    def __init__(self, script, environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.output = []
        self._lines = Queue()
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self.output.append(line)
            self._lines.put(line)

    def wait_for(self, text, *, seconds=120):
        """Return the first line of output that contains `text`."""
        try:
            while text not in (line := self._lines.get(timeout=seconds)):
                pass
        except Empty:
            pytest.fail(f"the server never printed {text!r}:\n{''.join(self.output)}")
        return line.strip()

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        print("".join(self.output))  # pytest shows it beside a failure


@pytest.fixture
def serve():
    running = []

    def start(script, **environment):
        running.append(Server(script, environment))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def page():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if not executable:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


@pytest.fixture
def alive():
    """Return a function that tells whether a server answers its liveness check."""
    return lambda url: httpx.get(f"{url}/healthz/live").status_code == 200
