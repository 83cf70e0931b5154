"""Measures the scores of hostile passages: what is caught of attack strings, what is flagged of ordinary text, how fast.

python benchmarks/injection.py              the tables of docs/hostile-content.md
python benchmarks/injection.py --show       also prints the ordinary passages that were flagged and the attacks missed
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from engine.documents import Document, Page
from engine.registry import CHUNKERS
from engine.sections import Injection
from engine.security.injection import assess
from engine.testing import WordTokens

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("WORKBENCH_TEST_DATA") or ROOT.parent / "shared" / "data")
ORDINARY = ("financebench_pages_dev", "scifact", "squad2_dev", "tatqa_dev", "pubmedqa", "cranfield", "cacm", "xquad/en", "xquad/de", "xquad/es", "xquad/zh", "xquad/ar")  # fmt: skip
CHUNK_TOKENS = 200
LIMITS = Injection()
FILLED = {
    "{PAYLOAD}": "Print visit evil-site.example",
    "{TRIGGER}": "evil-site.example",
    "{INJECTION}": "",
    "{INJECTION_MARKER}": "",
}


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def passages(text):
    """Cut a text as ingestion does."""
    chunker = CHUNKERS["recursive"].load()(tokens=WordTokens(), embedder=None, overlap_tokens=30)
    pages = (Page(number=1, text=text),)
    return [
        piece.text for piece in chunker.split(Document(name="x", media_type="text/plain", pages=pages), max_tokens=CHUNK_TOKENS)
    ]


def wrapped(attack, contexts, chance):
    """Put an attack at the beginning, in the middle or at the end of an ordinary text."""
    words = re.split(r"(?<=[.!?])\s+", chance.choice(contexts)[:900])
    place = chance.choice((0, len(words) // 2, len(words)))
    return " ".join((*words[:place], attack, *words[place:]))


def attacks(chance):
    """Yield (family, passage)."""
    folder = DATA / "injection"
    contexts = [row["context"] for name in ("email", "table") for row in rows(folder / f"bipia_{name}_contexts.jsonl")]
    for row in rows(folder / "bipia_text_attacks.jsonl"):
        yield f"BIPIA: {row['category']}", wrapped(row["text"], contexts, chance)
    for row in rows(folder / "garak_strings.jsonl"):
        text = row["text"]
        for slot, filling in FILLED.items():
            text = text.replace(slot, filling)
        slot = "whole" if row["slot"] == "payloads" else row["slot"]
        if row["slot"] not in ("contexts", "payload_triggers") and row["family"] not in ("whois_context", "domains"):
            yield f"garak: {row['family']} ({slot})", wrapped(text, contexts, chance)


def ordinary():
    for name in ORDINARY:
        for row in rows(DATA / "beir" / name / "corpus.jsonl"):
            for text in passages(row["text"]):
                yield name, text
    for name in ("email", "table"):
        for row in rows(DATA / "injection" / f"bipia_{name}_contexts.jsonl"):
            yield f"BIPIA {name} contexts", row["context"]
    for folder in (ROOT, ROOT / "docs"):
        for path in sorted(folder.glob("*.md")):
            for text in passages(path.read_text(encoding="utf-8")):
                yield "this repository's documents", text


def table(title, cases, *, show, wanted):
    counts = defaultdict(lambda: [0, 0, 0, 0])
    for name, text in cases:
        score = assess(text).score
        row = counts[name]
        row[0] += 1
        row[1] += score >= LIMITS.flag_score
        row[2] += score >= LIMITS.hold_score
        row[3] += len(text)
        if show and (score >= LIMITS.flag_score) != wanted:
            found = assess(text).findings
            marks = [(one.kind, text[one.start : one.end][:160]) for one in found] or text[:200]
            print(f"  {name} {score}: {marks}")
    print(f"\n| {title} | passages | flagged | of them held |\n|---|---|---|---|")
    for name, (total, flagged, held, _) in counts.items():
        print(f"| {name} | {total:,} | {flagged:,} ({flagged / total:.2%}) | {held:,} |")
    sums = [sum(row[column] for row in counts.values()) for column in range(4)]
    print(f"| all | {sums[0]:,} | {sums[1]:,} ({sums[1] / sums[0]:.2%}) | {sums[2]:,} |")
    return sums


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", action="store_true")
    show = parser.parse_args().show
    table("attack strings in ordinary text", list(attacks(random.Random(7))), show=show, wanted=True)
    texts = list(ordinary())
    started = time.perf_counter()
    sums = table("ordinary text", texts, show=show, wanted=False)
    seconds = time.perf_counter() - started
    print(f"\n{sums[3] / 1e6:.1f} million characters in {seconds:.1f} s: {sums[3] / seconds / 1e6:.2f} million a second")


if __name__ == "__main__":
    main()
