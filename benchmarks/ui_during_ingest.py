"""How long a page of the app takes while documents are read: the real server, a real browser.

    python benchmarks/ui_during_ingest.py [--data FOLDER] [--documents N] [--reruns 40] [--pages 1000] [--worker child|inside]

Signs in, and switches between two collections' pages again and again: each switch is a rerun of the page's script, measured in
the browser from the click to the page that stands still. First with nothing to do, then while the PDFs are ingested in the
background, until `--pages` pages are read. Prints the median and the 95th percentile of both, the ratio, and how much was ingested meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402

from benchmarks.main_job import default_data  # noqa: E402
from engine.assembly import Assembly  # noqa: E402
from engine.settings import load_settings  # noqa: E402
from engine.types import Principal, Role  # noqa: E402

ME = Principal(user_id="local", name="benchmark", role=Role.ADMIN)
NAME, PASSWORD = "maria", "correct horse battery"
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PAGES = ("Chat", "Documents")


def in_workbench(folder: Path, work: Any) -> Any:
    """Do `work` in a thread: the browser's driver has a loop of its own in this one."""

    async def whole() -> Any:
        async with Assembly(load_settings(data_dir=folder)).opened(serve=False) as workbench:
            return await work(workbench)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, whole()).result()


async def prepare(workbench: Any) -> str:
    await workbench.create_user(ME, NAME, PASSWORD, Role.ADMIN)
    return (await workbench.create_collection(ME, "filings")).id


def rerun(page: Page, number: int) -> float:
    """Go to the other page and return the seconds until its script has run and everything is drawn."""
    name = PAGES[number % 2]
    started = time.perf_counter()
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(lambda url: name.lower() in url or (name == "Chat" and "documents" not in url))
    page.wait_for_function(
        "() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"
        " && !document.querySelector('[data-stale=true]')"
    )
    return time.perf_counter() - started


def measure(page: Page, reruns: int, what: str, *, done: Callable[[], bool] = lambda: True) -> float:
    """Return the 95th percentile of at least `reruns` reruns, more of them until `done`."""
    for number in range(4):
        rerun(page, number)
    took: list[float] = []
    while len(took) < reruns or not done():
        took.append(rerun(page, len(took)))
    took.sort()
    p95 = took[min(len(took) - 1, round(0.95 * len(took)))]
    print(f"{what}: median {1000 * statistics.median(took):.0f} ms, p95 {1000 * p95:.0f} ms of {len(took)} reruns", flush=True)
    return p95


def progress(folder: Path) -> tuple[int, int, int]:
    """Return the documents that are live, those still to be done, and the pages read. Past the engine: it costs next to nothing."""
    with closing(sqlite3.connect(folder / "workbench.db")) as connection:
        live, waiting = (
            connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
            for what in ("versions WHERE state = 'live'", "jobs WHERE state IN ('queued', 'running')")
        )
        return live, waiting, connection.execute("SELECT count(*) FROM pages").fetchone()[0]


def wait_until_up(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data() / "pdfs")
    parser.add_argument("--documents", type=int, default=0)
    parser.add_argument("--reruns", type=int, default=40)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--worker", default="child")
    options = parser.parse_args()
    files = sorted(options.data.glob("*.pdf"))[: options.documents or None]
    if not files:
        parser.error(f"there are no PDFs in {options.data}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        collection = in_workbench(folder, prepare)
        environment = os.environ | {
            "WORKBENCH_DATA_DIR": str(folder),
            "WORKBENCH_INGESTION__WORKER": options.worker,
            "WORKBENCH_LIMITS__PARSE_SECONDS": "600",
        }
        server = subprocess.Popen([sys.executable, "-m", "engine", "serve", "--port", str(port)], cwd=ROOT, env=environment)
        try:
            wait_until_up(port, server)
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=ARGUMENTS
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(120_000)
            page.goto(f"http://127.0.0.1:{port}")
            page.get_by_label("User name").fill(NAME)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("link", name="Documents", exact=True)).to_be_visible()
            quiet = measure(page, options.reruns, "nothing to do")

            async def upload(workbench: Any) -> None:
                for file in files:
                    await workbench.upload(ME, collection, file.name, file)

            in_workbench(folder, upload)
            time.sleep(10)  # until the worker has loaded its model and is at it

            def done() -> bool:
                _, waiting, pages = progress(folder)
                return pages >= options.pages or not waiting

            busy = measure(page, options.reruns, f"{len(files)} files being read ({options.worker})", done=done)
            live, _, pages = progress(folder)
            print(f"meanwhile {live} of {len(files)} files went live, {pages} pages were read")
            print(f"p95 with / without: {busy / quiet:.2f}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            browser.close()
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(40)
            except subprocess.TimeoutExpired:
                server.kill()


if __name__ == "__main__":
    main()
