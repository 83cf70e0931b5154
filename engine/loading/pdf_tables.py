"""Tables in the text of a PDF page: lines that end in values which stand in columns. In doubt there is no table.

A line is a row; only tables whose rows are lines of the text are found, and prose that happens to end in a number is none,
for its words are not set apart. After the alignment of words (Kieninger, "The T-Recs table recognition system", 1998).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from engine.documents import Block
from engine.loading.pdf_layout import Place, Run, runs

MIN_ROWS = 3
_BETWEEN = 2  # lines without values inside a table: wrapped labels, headings of groups
_ALIGNED = 6.0  # points by which the edges of a column differ: a closing bracket or a percent sign hangs over
_MAX_LINE = 250
_MAX_HEADER = 300
# Cheap, for every line is asked: the last word is a value.
_ROW = re.compile(r"\S.*\s[(\[$€£¥]*[–—-]?(\d[\d.,/]*|[–—-])\s?[)%]*$")
_VALUE = re.compile(r"[(\[$€£¥\s–—+-]*(\d[\d.,/]*|[–—-])\s?[)%x]*$|(?:N/?A|NM)$", re.IGNORECASE)
_PERIOD = re.compile(
    r"(?:(?:19|20)\d\d|[A-Z][a-z]+\.? \d{1,2}, ?(?:19|20)\d\d|Q[1-4].{0,6}|FY ?\d\d(?:\d\d)?|%? ?[Cc]hange|vs\.? ?){1,8}$"
)
_SIGN = re.compile(r"[$€£¥%()\s]+$")
_LEADER = re.compile(r"\.{4}|(?:\. ){4}|…{2}")


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    cells: tuple[Run, ...]


def tables(text: str, place: Place) -> list[Block]:
    """Return the tables of a page's text as blocks, in order. `place` takes offsets in `text`."""
    lines = [(match.start(), match.end()) for match in re.finditer(r"[^\n]+", text)]
    rows = [index for index, (start, end) in enumerate(lines) if _may_be_row(text[start:end])]
    found: list[Block] = []
    for group in _groups(rows):
        cells = {index: _cells(text, *lines[index], place) for index in group}
        aligned = _aligned(text, cells)
        for part in _groups(aligned):
            first, last = part[0], part[-1]
            if len(part) >= MIN_ROWS and 2 * len(part) > last - first:
                edge = min(run.left for index in part for run in cells[index][1:])
                header = _header(text, lines, first, edge, place)
                found.append(Block(start=lines[first][0], end=lines[last][1], kind="table", header=header))
    return found


def _may_be_row(line: str) -> bool:
    return len(line) <= _MAX_LINE and _ROW.match(line) is not None and not _LEADER.search(line)


def _groups(indices: Sequence[int]) -> list[list[int]]:
    """Return runs of indices with few others in between, long enough for a table."""
    groups: list[list[int]] = []
    for index in indices:
        if groups and index - groups[-1][-1] <= _BETWEEN + 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [group for group in groups if len(group) >= MIN_ROWS]


def _cells(text: str, start: int, end: int, place: Place) -> list[Run]:
    """Return the cells of a line from left to right; signs that stand alone belong to the value beside them."""
    return [run for run in runs(text, start, end, place) if not _SIGN.match(text[run.start : run.end])]


def _aligned(text: str, cells: dict[int, list[Run]]) -> list[int]:
    """Return the lines of which at least half of the values stand in columns, and that have more than one cell."""
    values = {
        index: [run for run in row[1:] if _VALUE.match(text[run.start : run.end])]
        for index, row in cells.items()
        if len(row) > 1
    }
    found = [run for row in values.values() for run in row]
    lefts, rights = sorted(run.left for run in found), sorted(run.right for run in found)

    def in_column(run: Run) -> bool:
        return max(_near(lefts, run.left), _near(rights, run.right)) >= MIN_ROWS

    return [index for index, row in values.items() if row and 2 * sum(map(in_column, row)) >= len(row)]


def _near(edges: Sequence[float], edge: float) -> int:
    return bisect_right(edges, edge + _ALIGNED) - bisect_left(edges, edge - _ALIGNED)


def _header(text: str, lines: Sequence[tuple[int, int]], first: int, edge: float, place: Place) -> str:
    """Return what stands above the columns: lines beside the labels, or else the first row."""
    header: list[str] = []
    for start, end in reversed(lines[max(0, first - 5) : first]):
        cells = runs(text, start, end, place) if end - start <= _MAX_LINE // 2 else []
        above = [run for run in cells if run.right > edge]
        if cells and not above and not header:
            continue  # the heading of a group of rows
        if not above or len(above) < len(cells) - 1 or (len(above) < len(cells) and len(cells) < 3):
            break
        header.insert(0, text[start:end].strip())
    start, end = lines[first]
    cells = runs(text, start, end, place)
    if not header or all(_PERIOD.match(text[run.start : run.end]) for run in cells[1:]):
        header.append(text[start:end].strip())
    return " ".join(header)[:_MAX_HEADER]
