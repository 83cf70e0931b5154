"""What the rows of the fault matrix share: folders, processes that can be killed, the counting embedder, and what must hold."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import fault_worker
from engine.settings import load_settings
from engine.types import PROBE_TEXT, Endpoint
from tests.servers import server_of
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.server import KEY, Reply, serving

LIMIT_SECONDS = 120.0
THINGS = ("lamp", "kettle", "ladder", "printer", "umbrella", "projector", "rope", "stapler")


@dataclass
class Row:
    """One line of the table. `problems` are violations."""

    name: str
    what: str
    problems: list[str] = field(default_factory=list)
    tried: str = ""
    figures: str = ""
    missing: str = ""
    seconds: float = 0.0

    def line(self) -> str:
        """Return it for people who wait."""
        state = "VIOLATED" if self.problems else f"part not run: {self.missing}" if self.missing else "ok"
        return f"{self.name:4} {state:9} {self.what}: {self.tried}; {self.figures} ({self.seconds:.0f} s)"

    def cells(self) -> str:
        """Return it as a line of a table."""
        state = "VIOLATED" if self.problems else f"ok; not run: {self.missing}" if self.missing else "ok"
        return f"| {self.name} | {self.what} | {self.tried} | {self.figures} | {self.seconds:.0f} | {state} |"

    def must(self, holds: bool, otherwise: str) -> None:
        """Note a violation unless it holds."""
        if not holds:
            self.problems.append(otherwise)


def violated(rows: Iterable[Row]) -> bool:
    """Whether anything that must hold did not."""
    return any(row.problems for row in rows)


class Counting(OpenAIUpstream):
    """Remembers every text that it embedded, but for the probe that embedders are recognised by."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: Counter[str] = Counter()
        self.retry_after = "1"

    def embeddings(self, body: Any) -> Reply:
        reply = super().embeddings(body)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        with self._lock:
            self.texts.update(text for text in texts if text not in (PROBE_TEXT, fault_worker.QUESTION))
        return reply

    def twice(self) -> int:
        """Return how many texts were paid for again."""
        return sum(count - 1 for count in self.texts.values())


class Process:
    """A process that works on a data folder, and what it told."""

    def __init__(self, ground: Ground, target: Callable[[dict[str, Any]], None], options: dict[str, Any]) -> None:
        ground.count += 1
        self.log = ground.folder / f"log-{ground.count}.jsonl"
        self._child = ground.context.Process(target=target, args=({**options, "log": str(self.log)},))
        self._child.start()

    def told(self, what: str) -> list[Any]:
        """Return what it said under this name so far."""
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line[what] for line in lines if what in line]

    def wait_for(self, what: str, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until it says this, or ends."""
        end = time.monotonic() + seconds
        while not self.told(what) and self._child.is_alive() and time.monotonic() < end:
            time.sleep(0.01)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        if self._child.pid and self._child.is_alive():
            os.kill(self._child.pid, number)

    def end(self, seconds: float = LIMIT_SECONDS) -> int | None:
        """Wait for its end and return its exit code, negative for a signal; None: it did not end and was killed."""
        self._child.join(seconds)
        if self._child.is_alive():
            self._child.kill()
            self._child.join()
            return None
        return self._child.exitcode


class Ground:
    """A folder, the counting embedder, a real PostgreSQL with pgvector, and a process whose forks start at once."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder, self.quick, self.count = folder, quick, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["benchmarks.fault_worker", "engine.stores.faiss", "engine.stores.pgvector",
                                             "engine.embedding.openai"])  # fmt: skip
        self._stack = ExitStack()

    def __enter__(self) -> Ground:
        load_settings()  # refuses a WORKBENCH_FAULT of somebody else's, before anything starts
        self.upstream = self._stack.enter_context(serving(Counting(), lambda url: Endpoint(base_url=url, api_key=KEY)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new(self, *, store: str = "faiss") -> Path:
        """Return a data folder whose new collections use the counting embedder, and this store."""
        template = self.folder / f"template-{store}"
        if not template.exists():
            self._prepare(template, store)
        self.count += 1
        data = self.folder / f"data-{self.count}"
        shutil.copytree(template, data)
        self.upstream.texts.clear()
        return data

    def _prepare(self, template: Path, store: str) -> None:
        options = {"data": str(template), "store": store, "url": self.upstream.url + "/v1", "key": KEY}
        if store == "pgvector":
            at = self._stack.enter_context(server_of("pgvector"))
            options |= {"store_url": at.base_url, "store_key": at.api_key}
        done = Process(self, fault_worker.prepare, options)
        if done.end() != 0:
            raise RuntimeError(f"the template could not be made: {done.told('error')}")

    def files(self, count: int, *, sentences: int = 8, of: str = "note", long_every: int = 0) -> Path:
        """Return a folder of `count` small different texts, some of them 150 times as long."""
        folder = self.folder / f"files-{of}-{count}-{sentences}-{long_every}"
        if not folder.exists():
            folder.mkdir()
            for n in range(count):
                lines = [f"The {THINGS[(n + k) % 8]} number {n}-{k} is kept in room {n * 31 + k} of house {n}. Ask {k} times."
                         for k in range(sentences * (150 if long_every and n % long_every == 0 else 1))]  # fmt: skip
                (folder / f"{of} {n:04}.txt").write_text("\n\n".join(lines))
        return folder

    def start_worker(self, data: Path, files: Path, **options: Any) -> Process:
        """Start what takes documents in. The one place that knows how a worker is started."""
        return Process(self, fault_worker.work, {"data": str(data), "files": str(files), **options})

    def checked(
        self, row: Row, data: Path, files: Path, what: str, *, expected: dict[str, int] | None = None, **options: Any
    ) -> None:
        """Sweep, compare deeply, and note what must hold and does not."""
        age(data)
        process = Process(self, fault_worker.check, {"data": str(data), **options})
        if process.end() != 0:
            row.must(False, f"{what}: the check ended badly: {process.told('error')}")
            return
        found = process.told("documents")[0]
        names = [name for name, *_ in found]
        row.must(sorted(names) == sorted(path.name for path in files.iterdir()), f"{what}: documents {sorted(names)}")
        row.must(all(state == "live" for _, state, *_ in found), f"{what}: {[one for one in found if one[1] != 'live']}")
        if expected is not None:
            row.must({name: chunks for name, _, chunks, _ in found} == expected, f"{what}: chunks differ")
        row.must(process.told("checked")[0] == [], f"{what}: {process.told('checked')[0]}")
        left = [path for path in data.rglob("*") if path.name.endswith(".part") or path.name.startswith(".new-")]
        row.must(not left, f"{what}: temporary files {left}")


def age(data: Path) -> None:
    """Let two days pass for the files of a data folder."""
    then = time.time() - 2 * 86_400
    for folder in ("blobs", "indexes"):
        for path in (data / folder).rglob("*"):
            os.utime(path, (then, then))


def rows_of(data: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the SQLite file of a data folder."""
    with closing(sqlite3.connect(f"file:{data / 'workbench.db'}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchall()
