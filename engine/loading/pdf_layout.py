"""Where the words of a PDF page stand: runs of text between wide gaps, and columns that the file draws row by row."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from engine.loading.reading_order import MIN_LINES, MIN_WIDTH, Box, has_columns, reading_order

_GAP = 0.9  # between two runs, in heights of a line; spaces between the words of justified prose stay below
_MAX_RECTS = 1500  # of a page that is looked at; more are single letters
_MAX_RUNS = 800
_WORD = re.compile(r"\S+")
_LINE = re.compile("[^\r\n\ufffe]+\ufffe?")

Place = Callable[[int], Box | None]
"""Offset of a character in PDFium's text -> left, bottom, right, top in points, upwards; None for one that is not drawn."""


@dataclass(frozen=True, slots=True)
class Run:
    """Text between two wide gaps: its span and its box in points, upwards."""

    start: int
    end: int
    left: float
    bottom: float
    right: float
    top: float


def places(text_page: Any, raw: str) -> Place:
    """Return a function that tells where a character of PDFium's text `raw` is drawn."""
    rect = pdfium.FS_RECTF()
    units = None
    if not raw.isascii() and max(raw) > "\uffff":
        units = [0]
        for character in raw:
            units.append(units[-1] + (2 if character > "\uffff" else 1))

    def place(offset: int) -> Box | None:
        index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, units[offset] if units else offset)
        if index < 0 or not pdfium.FPDFText_GetLooseCharBox(text_page, index, rect):
            return None
        return rect.left, rect.bottom, rect.right, rect.top

    return place


def runs(text: str, start: int, end: int, place: Place) -> list[Run]:
    """Return the runs of `text[start:end]`, in the order of the text. `place` takes offsets in `text`."""
    found: list[Run] = []
    begin = stop = 0
    left = bottom = right = top = 0.0
    for word in _WORD.finditer(text, start, end):
        first = place(word.start())
        last = place(word.end() - 1) if word.end() - word.start() > 1 else first
        if first is None or last is None:
            continue
        low, high = first[1] if first[1] < last[1] else last[1], first[3] if first[3] > last[3] else last[3]
        if stop and -1.0 <= first[0] - right <= _GAP * (high - low) and _level(bottom, top, low, high):
            stop, right, bottom, top = word.end(), last[2], min(bottom, low), max(top, high)
            continue
        if stop:
            found.append(Run(begin, stop, left, bottom, right, top))
        begin, stop, left, bottom, right, top = word.start(), word.end(), first[0], low, last[2], high
    if stop:
        found.append(Run(begin, stop, left, bottom, right, top))
    return found


def columns_in_order(page: Any, text_page: Any, raw: str) -> list[tuple[int, int, str]] | None:
    """Return (start, end, what follows) of the runs of `raw` as they are read; None where the order of the file will do.

    It will do unless the file draws two columns of prose row by row, so that their lines are mixed.
    """
    if pdfium.FPDFPage_GetRotation(page) or not _looks_mixed(page, text_page):
        return None
    place = places(text_page, raw)
    found = [run for line in _LINE.finditer(raw) for run in runs(raw, *line.span(), place)]
    lost = len("".join(raw.split())) - sum(len("".join(raw[run.start : run.end].split())) for run in found)
    width, height = pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)
    if lost or len(found) > _MAX_RUNS or not width or not height:
        return None
    boxes = [(run.left / width, 1 - run.top / height, run.right / width, 1 - run.bottom / height) for run in found]
    if not has_columns(boxes):
        return None
    ordered: list[tuple[int, int, str]] = []
    for block in reading_order(boxes):
        for row in block:
            for index in row:
                run = found[index]
                hyphen = raw[run.end - 1] == "\ufffe"
                ordered.append((run.start, run.end, "" if hyphen else " " if index != row[-1] else "\n"))
    return ordered


def _looks_mixed(page: Any, text_page: Any) -> bool:
    """Return whether wide runs often follow each other side by side: cheap, for every page is asked."""
    count = pdfium.FPDFText_CountRects(text_page, 0, -1)
    if not 2 * MIN_LINES <= count <= _MAX_RECTS:
        return False
    least = MIN_WIDTH * float(pdfium.FPDF_GetPageWidthF(page))
    left, top, right, bottom = sides = [ctypes.c_double() for _ in range(4)]
    pairs = 0
    before: Box | None = None
    run = (0.0, 0.0, 0.0, 0.0)
    for index in range(count):
        pdfium.FPDFText_GetRect(text_page, index, *sides)
        box = (left.value, bottom.value, right.value, top.value)
        if -1.0 <= box[0] - run[2] <= _GAP * (box[3] - box[1]) and _level(run[1], run[3], box[1], box[3]):
            run = (run[0], run[1], box[2], run[3])
            continue
        pairs += _beside(before, run, least)
        before, run = run, box
    return pairs + _beside(before, run, least) >= MIN_LINES


def _beside(one: Box | None, two: Box, least: float) -> bool:
    """Return whether both are wide and stand side by side."""
    if one is None or one[2] - one[0] < least or two[2] - two[0] < least:
        return False
    return (one[2] < two[0] or two[2] < one[0]) and _level(one[1], one[3], two[1], two[3])


def _level(bottom: float, top: float, low: float, high: float) -> bool:
    return min(top, high) - max(bottom, low) > 0.5 * min(top - bottom, high - low)
