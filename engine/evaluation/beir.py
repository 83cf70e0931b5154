"""Reads a retrieval collection in the BEIR layout (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import BrokenFile

_LAYOUT_HINT = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One document of the corpus; `title` may be empty."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeirCollection:
    """A folder in BEIR layout. Nothing is read until asked for, and the corpus is never held as a whole."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def corpus(self) -> Iterator[Passage]:
        """Yield the documents in file order. Raises BrokenFile with file, line and reason."""
        for place, row in _rows(self.path / "corpus.jsonl"):
            yield Passage(id=_text(row, "_id", place), title=_text(row, "title", place, ""), text=_text(row, "text", place))

    def queries(self) -> dict[str, str]:
        """Return query id -> text. Raises BrokenFile."""
        return {_text(row, "_id", place): _text(row, "text", place) for place, row in _rows(self.path / "queries.jsonl")}

    def splits(self) -> list[str]:
        """Return the names of the splits that have judgments."""
        return sorted(file.stem for file in (self.path / "qrels").glob("*.tsv"))

    def judgments(self, split: str) -> dict[str, dict[str, int]]:
        """Return query id -> document id -> grade, for queries with at least one grade above 0. Raises BrokenFile."""
        path = self.path / "qrels" / f"{split}.tsv"
        judgments: dict[str, dict[str, int]] = {}
        for number, line in _lines(path, known=f"splits here: {', '.join(self.splits()) or 'none'}"):
            cells = next(csv.reader([line], delimiter="\t"))
            if number == 1 and cells[-1] == "score":
                continue
            if len(cells) != 3 or not cells[2].lstrip("-").isdigit():
                raise BrokenFile(f"{path.name} line {number}: expected query-id, corpus-id, whole number", hint=_LAYOUT_HINT)
            judgments.setdefault(cells[0], {})[cells[1]] = int(cells[2])
        return {query: grades for query, grades in judgments.items() if any(grade > 0 for grade in grades.values())}


def _lines(path: Path, *, known: str = "") -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except OSError as error:
        raise BrokenFile(f"cannot read {path.name}: {error.strerror}", hint=known or _LAYOUT_HINT) from error
    except UnicodeDecodeError as error:
        raise BrokenFile(f"{path.name} is not UTF-8: {error.reason}", hint="convert the file to UTF-8") from error


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in _lines(path):
        place = f"{path.name} line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BrokenFile(f"{place}: not JSON ({error})", hint=_LAYOUT_HINT) from error
        if not isinstance(row, dict):
            raise BrokenFile(f"{place}: expected a JSON object", hint=_LAYOUT_HINT)
        yield place, row


def _text(row: Mapping[str, Any], key: str, place: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if not isinstance(value, str):
        raise BrokenFile(f"{place}: {key!r} is missing or not a text", hint=_LAYOUT_HINT)
    return value
