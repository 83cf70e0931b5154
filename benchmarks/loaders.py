"""Loaders on the wild and hostile files of the test data, and PDF speed: `python benchmarks/loaders.py [DATA_FOLDER]`.

For each file: what was expected, what came out, seconds, peak memory of the child process, and whether that is right.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
import unicodedata
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from engine.documents import Document
from engine.errors import EngineError, PasswordNeeded
from engine.loading.pdf import PdfLoader
from engine.loading.sandbox import parse
from engine.sections import Limits

LATER = frozenset({"doc", "odt", "rtf", "ppt", "xls", "epub", "eml", "msg", "xml", "json", "ndjson", "zip"})


def probe(text: str) -> str:
    """Return `text` in the form in which the probes of expected.jsonl are written."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def outcome(path: Path, password: str | None) -> tuple[str, Document | None]:
    try:
        document = parse(path, name=path.name, password=password, limits=Limits())
    except PasswordNeeded as error:
        return f"password: {error}", None
    except EngineError as error:
        return f"error: {type(error).__name__}: {error}", None
    return ("text" if document.text_coverage else "no_text"), document


def is_right(row: dict, got: str, document: Document | None) -> bool:
    later = row["file"].rsplit(".", 1)[-1] in LATER
    kind = got.split(":")[0]
    if kind == "text" and document is not None:
        words = probe("\n".join(page.text for page in document.pages))
        found = all(probe(one) in words for one in row["must_contain"])
        clean = not any(one in page.text for one in row["must_not_contain"] for page in document.pages)
        return clean and (later or (found and row["expect"] in {"text", "either"}))
    if row["expect"] == "password":
        return kind == "password"
    return kind == "error" if later else row["expect"] in {kind, "either"} and kind in {"error", "no_text"}


class PeakOfChildren(threading.Thread):
    """Samples the resident memory of child processes every 20 ms; set `peak_mb` to 0 to begin anew, `done` to end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self.done = False

    def run(self) -> None:
        while not self.done:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    self.peak_mb = max(self.peak_mb, child.memory_info().rss / 2**20)
            time.sleep(0.02)


def main() -> None:
    here = Path(__file__).resolve().parents[2]
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "shared" / "data"
    folder = data / "docs" / "loaders"
    own = psutil.Process()
    rows = [json.loads(line) for line in (folder / "expected.jsonl").read_text().splitlines()]
    by_kind: dict[str, list[bool]] = defaultdict(list)
    outcome(folder / rows[0]["file"], None)
    sampler = PeakOfChildren()
    sampler.start()
    before = most = own.memory_info().rss
    for row in rows:
        passwords = [None] + ([row["password"]] if row["password"] else [])
        for password in passwords:
            wanted = {**row, "expect": "text"} if password else row
            sampler.peak_mb = 0.0
            start = time.perf_counter()
            got, document = outcome(folder / row["file"], password)
            seconds = time.perf_counter() - start
            peak = sampler.peak_mb
            good = is_right(wanted, got, document) and seconds <= row["max_seconds"] and peak <= row["max_rss_mb"]
            most = max(most, own.memory_info().rss)
            by_kind[row["file"].rsplit(".", 1)[-1]].append(good)
            mark = "ok " if good else "BAD"
            print(
                f"{mark} {wanted['expect']:8} {seconds:6.2f} s {peak:5.0f} MB  {row['file'][-44:]:44}  {got[:90]}", flush=True
            )
            del document
    sampler.done = True
    print("\nby kind:", ", ".join(f"{kind} {sum(found)}/{len(found)}" for kind, found in sorted(by_kind.items())))
    print(f"all: {sum(map(sum, by_kind.values()))}/{sum(map(len, by_kind.values()))}")
    print(f"parent: {(most - before) / 2**20:.1f} MB growth")
    speed(data / "docs" / "financebench_dev" / "pdfs")


def speed(folder: Path) -> None:
    paths = sorted(folder.glob("*.pdf"))
    start = time.perf_counter()
    pages = sum(len(PdfLoader().load(path, name=path.name).pages) for path in paths)
    bare = time.perf_counter() - start
    start = time.perf_counter()
    for path in paths:
        parse(path, name=path.name, limits=Limits())
    boxed = time.perf_counter() - start
    print(
        f"{len(paths)} PDFs, {pages} pages: loader {pages / bare:.0f} pages/s, in child processes {pages / boxed:.0f} pages/s"
    )


if __name__ == "__main__":
    main()
