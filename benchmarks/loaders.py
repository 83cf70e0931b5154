"""Loader table: every row of the test data's expected.jsonl, by kind and outcome: `python benchmarks/loaders.py [DATA_FOLDER]`.

One line a kind: files, how many came out as expected, the slowest, and how far the memory of this process, the parent, grew at
its peak; then what did not, and a total. Each file is read in its own limited process, as in production; a row with a password
is read without and with it. `-v` prints a line for each file. At the end, the speed of PDF.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.documents import Document
from engine.errors import EngineError, PasswordNeeded
from engine.loading.pdf import PdfLoader
from engine.loading.sandbox import parse
from engine.sections import Limits


@dataclass(slots=True)
class Kind:
    """What became of the files of one suffix."""

    files: int = 0
    good: int = 0
    slowest: float = 0.0
    growth_mb: float = 0.0
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def probe(text: str) -> str:
    """Return `text` in the form in which the probes of expected.jsonl are written."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def read(path: Path, row: dict, password: str | None) -> tuple[str, str, Document | None]:
    """Return the outcome, its explanation, and the document."""
    limits = Limits(parse_seconds=row["max_seconds"], parse_memory_mb=row["max_rss_mb"])
    try:
        document = parse(path, name=path.name, password=password, limits=limits)
    except PasswordNeeded as error:
        return "password", str(error), None
    except EngineError as error:
        return "error", f"{type(error).__name__}: {error}", None
    return ("text" if document.text_coverage else "no_text"), f"{len(document.pages)} pages", document


def complaint(row: dict, outcome: str, document: Document | None) -> str:
    """Return what is wrong with an outcome, or ""."""
    wanted = row["expect"]
    text = "\n".join(page.text for page in document.pages) if document else ""
    if leaked := [one for one in row["must_not_contain"] if one in text]:
        return f"holds {leaked[0]!r}"
    if outcome == "text":
        words = probe(text)
        missing = [one for one in row["must_contain"] if probe(one) not in words]
        if missing:
            return f"lacks {missing[0]!r}"
        if row["pages"] and wanted == "text" and document and len(document.pages) != row["pages"]:
            return f"{len(document.pages)} pages, not {row['pages']}"
    if outcome == wanted or wanted == "either" or (wanted == "no_text" and outcome == "error"):
        return ""
    return f"{outcome}, not {wanted}"


def peak_mb() -> float:
    """Return the peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    arguments = [one for one in sys.argv[1:] if one != "-v"]
    here = os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(arguments[0] if arguments else here)
    folder = data / "docs" / "loaders"
    rows = [json.loads(line) for line in (folder / "expected.jsonl").read_text().splitlines()]
    read(folder / rows[0]["file"], rows[0], None)
    kinds: dict[str, Kind] = defaultdict(Kind)
    wrong: list[str] = []
    before, start = peak_mb(), time.perf_counter()
    for row in rows:
        kind = kinds[Path(row["file"]).suffix.lstrip(".").lower() or "none"]
        for password in [None] + ([row["password"]] if row["password"] else []):
            wanted = {**row, "expect": "text"} if password else row
            most, began = peak_mb(), time.perf_counter()
            outcome, told, document = read(folder / row["file"], row, password)
            seconds = time.perf_counter() - began
            bad = complaint(wanted, outcome, document) or ("too slow" if seconds > row["max_seconds"] + 2 else "")
            kind.files += 1
            kind.good += not bad
            kind.slowest = max(kind.slowest, seconds)
            kind.growth_mb += peak_mb() - most
            kind.outcomes[outcome] += 1
            wrong += [f"{row['file'][-60:]}: {bad} ({told})"] if bad else []
            if "-v" in sys.argv:
                print(
                    f"{'BAD' if bad else 'ok '} {outcome:8} {seconds:6.2f} s  {row['file'][-44:]:44}  {told[:100]}", flush=True
                )
            del document
    show(kinds, wrong, seconds=time.perf_counter() - start, growth_mb=peak_mb() - before)
    speed(data / "docs" / "financebench_dev" / "pdfs")


def show(kinds: dict[str, Kind], wrong: list[str], *, seconds: float, growth_mb: float) -> None:
    """Print the table."""
    print(f"{'kind':8} {'reads':>5} {'as expected':>11} {'not':>4} {'slowest s':>10} {'parent +MB':>11}  outcomes")
    for name, kind in sorted(kinds.items()):
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in sorted(kind.outcomes.items()))
        numbers = f"{kind.files:5} {kind.good:11} {kind.files - kind.good:4} {kind.slowest:10.2f} {kind.growth_mb:11.1f}"
        print(f"{name:8} {numbers}  {outcomes}")
    files, good = sum(kind.files for kind in kinds.values()), sum(kind.good for kind in kinds.values())
    print(
        f"{'total':8} {files:5} {good:11} {files - good:4} {max(kind.slowest for kind in kinds.values()):10.2f} {growth_mb:11.1f}"
    )
    print(f"{seconds:.0f} s; the peak of the parent is {peak_mb():.0f} MB")
    for line in wrong:
        print("not as expected:", line)


def speed(folder: Path) -> None:
    """Print how many pages of real PDFs are read in a second."""
    paths = sorted(folder.glob("*.pdf"))
    start = time.perf_counter()
    pages = sum(len(PdfLoader().load(path, name=path.name).pages) for path in paths)
    bare = time.perf_counter() - start
    start = time.perf_counter()
    for path in paths:
        parse(path, name=path.name, limits=Limits())
    boxed = time.perf_counter() - start
    print(f"{len(paths)} PDFs, {pages} pages: loader {pages / bare:.0f}/s, in child processes {pages / boxed:.0f}/s")


if __name__ == "__main__":
    main()
