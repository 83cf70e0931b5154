"""CSV and TSV -> one line a record, cells joined by " | ", one table with its header row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.documents import Document
from engine.loading.encoding import read_text
from engine.loading.failures import reading
from engine.loading.flow import CELL_SEPARATOR, MAX_HEADER_CHARS, Flow, row_line

MEDIA_TYPE = "text/csv"
DELIMITERS = ",\t;|"
SAMPLE_CHARS = 20_000
SAMPLE_ROWS = 50


class CsvLoader:
    """A line break inside a quoted cell becomes a space, so that a record stays one line."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
        flow = Flow()
        with reading("the table"):
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=sniff_delimiter(text)[0])
            add_rows(flow, rows)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), warnings=warnings)


def add_rows(flow: Flow, rows: Iterable[Sequence[str]]) -> None:
    """Append `rows` as one table whose header is recognised among the first few."""
    start: list[Sequence[str]] = []
    lines: list[str] = []
    for row in rows:
        if len(start) < SAMPLE_ROWS:
            start.append(row)
        lines.append(row_line(row))
    header = row_line(start[found]) if (found := header_row(start)) is not None else ""
    # Columns on the left that are empty in every row are only layout.
    while lines and all(line.startswith(CELL_SEPARATOR) or not line for line in lines) and any(lines):
        lines = [line.removeprefix(CELL_SEPARATOR) for line in lines]
        header = header.removeprefix(CELL_SEPARATOR)
    flow.add_table(lines, header=header if len(header) <= MAX_HEADER_CHARS else "")


def header_row(rows: Sequence[Sequence[str]]) -> int | None:
    """Return the index of the header among the first rows: the first that is as wide as the table and holds distinct words."""
    widths = Counter(sum(bool(cell.strip()) for cell in row) for row in rows)
    usual = max(widths, key=lambda width: (widths[width], width), default=0)
    for index, row in enumerate(rows[:10]):
        cells = [cell.strip() for cell in row if cell.strip()]
        if index + 1 < len(rows) and len(cells) >= max(1, usual) and len(set(cells)) == len(cells):
            return index if not any(_is_number(cell) for cell in cells) else None
    return None


def _is_number(cell: str) -> bool:
    digits = sum(character.isdigit() for character in cell)
    letters = sum(character.isalpha() for character in cell)
    return digits > letters


def sniff_delimiter(text: str) -> tuple[str, float]:
    """Return the delimiter whose records agree best in their number of cells, and the share that agrees (0..1)."""
    sample = text[:SAMPLE_CHARS]
    best = (",", 0.0, 0)
    for delimiter in DELIMITERS:
        if delimiter not in sample:
            continue
        widths = Counter(len(row) for row in _sample_rows(sample, delimiter))
        width, count = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]), default=(0, 0))
        share = count / max(1, sum(widths.values()))
        if width > 1 and (share, width) > best[1:]:
            best = (delimiter, share, width)
    return best[:2]


def _sample_rows(sample: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == SAMPLE_ROWS:
                break
    except csv.Error:  # a cell longer than csv's default limit
        return []
    # The sample may end inside its last record.
    return rows[:-1] if len(rows) > 1 and len(rows) < SAMPLE_ROWS and len(sample) == SAMPLE_CHARS else rows
