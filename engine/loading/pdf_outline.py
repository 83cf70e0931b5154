"""Bookmarks of a PDF -> the section in force at each page, and the headings that stand in its text."""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from engine.documents import Block
from engine.loading.flow import MAX_TITLE_CHARS, Outline, one_line
from engine.loading.pdf_file import wide_string

MAX_BOOKMARKS = 20_000
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One entry: `page` counts from 0; `top` is its height on the page in points, None = the page's beginning."""

    level: int
    title: str
    page: int
    top: float | None


def bookmarks(document: Any) -> Iterator[Bookmark]:
    """Yield the entries that point to a page, in the order of the outline. Cycles and dangling targets are passed over."""
    seen: set[int | None] = set()
    stack = [(pdfium.FPDFBookmark_GetFirstChild(document, None), 1)]
    while stack and len(seen) < MAX_BOOKMARKS:
        entry, level = stack.pop()
        address = ctypes.cast(entry, ctypes.c_void_p).value
        if not entry or address in seen:
            continue
        seen.add(address)
        stack.append((pdfium.FPDFBookmark_GetNextSibling(document, entry), level))
        stack.append((pdfium.FPDFBookmark_GetFirstChild(document, entry), level + 1))
        title = one_line(_title(entry))[:MAX_TITLE_CHARS]
        page, top = _target(document, entry)
        if title and page >= 0:
            yield Bookmark(min(level, MAX_DEPTH), title, page, top)


def _title(entry: Any) -> str:
    return wide_string(lambda buffer, size: pdfium.FPDFBookmark_GetTitle(entry, buffer, size))


def _target(document: Any, entry: Any) -> tuple[int, float | None]:
    target = pdfium.FPDFBookmark_GetDest(document, entry)
    if not target and (action := pdfium.FPDFBookmark_GetAction(entry)):
        target = pdfium.FPDFAction_GetDest(document, action)
    if not target:
        return -1, None
    has_x, has_y, has_zoom = (ctypes.c_int() for _ in range(3))
    x, y, zoom = (ctypes.c_float() for _ in range(3))
    pdfium.FPDFDest_GetLocationInPage(target, has_x, has_y, has_zoom, x, y, zoom)
    return pdfium.FPDFDest_GetDestPageIndex(document, target), y.value if has_y.value else None


class Sections:
    """Walks the pages in order and tells section and heading blocks of each."""

    def __init__(self, entries: Iterator[Bookmark]) -> None:
        self._by_page: dict[int, list[Bookmark]] = defaultdict(list)
        for entry in entries:
            self._by_page[entry.page].append(entry)
        self._outline = Outline()

    def of(self, index: int, text: str, *, height: float) -> tuple[tuple[str, ...], tuple[Block, ...]]:
        """Return the path in force where page `index` begins, and the headings found as lines of its text."""
        blocks: list[Block] = []
        path: tuple[str, ...] | None = None
        for entry in self._by_page.get(index, ()):
            found = _line(entry.title, text, blocks[-1].end if blocks else 0)
            if found:
                blocks.append(Block(start=found[0], end=found[1], kind="heading", level=entry.level))
            # A bookmark to the page's top names the page, unless its line in the text will do that more exactly.
            if path is None and (found or (entry.top is not None and entry.top < 0.75 * height)):
                path = self._outline.path
            self._outline.enter(entry.level, entry.title)
        return self._outline.path if path is None else path, tuple(blocks)


def _line(title: str, text: str, start: int) -> tuple[int, int] | None:
    pattern = r"[ \n]+".join(re.escape(word) for word in title.split(" "))
    match = re.compile(rf"^[ \t]*({pattern})[ \t]*$", re.IGNORECASE | re.MULTILINE).search(text, start)
    return match.span(1) if match else None
