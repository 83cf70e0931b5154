"""Pieces of text in reading order -> pages with blocks. Knows nothing of file formats.

A page above MAX_PAGE_CHARS is split at a line end, so that reading a slice of it stays cheap; a table that is split keeps its
header in every part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.documents import Block, Page
from engine.loading.budget import BUDGET

MAX_PAGE_CHARS = 200_000
MAX_HEADER_CHARS = 2_000
MAX_TITLE_CHARS = 200
CELL_SEPARATOR = " | "

_UNWANTED = re.compile("[\x00\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    r"""Return `text` with "\n" line ends, without NUL characters and lone surrogates."""
    return _LINE_END.sub("\n", _UNWANTED.sub("", text))


def one_line(text: str) -> str:
    """Return `text` with every run of whitespace as one space."""
    return _SPACE.sub(" ", _UNWANTED.sub("", text)).strip()


def row_line(cells: Sequence[str]) -> str:
    """Return a table row as one line; a row without any content gives ""."""
    tidy = [one_line(cell) for cell in cells]
    while tidy and not tidy[-1]:
        tidy.pop()
    return CELL_SEPARATOR.join(tidy)


class Outline:
    """The heading path in force while a document is read from top to bottom."""

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        """A heading of `level` begins: it closes all headings of its level and below."""
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, one_line(title)[:MAX_TITLE_CHARS]))

    @property
    def path(self) -> tuple[str, ...]:
        """Titles from the outermost to the innermost."""
        return tuple(title for _, title in self._path)


class Flow:
    """Collects lines and blocks; `end_page` closes a page, `pages` returns all of them."""

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._outline = Outline()
        self._budget = BUDGET.get()
        self._chars = self._count = 0
        self._reset()

    def _reset(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []

    def add(
        self, text: str, *, kind: str = "paragraph", level: int = 0, header: str = "", inner: tuple[int, int] | None = None
    ) -> None:
        """Append `text` on a line of its own. Only headings, tables and code become blocks; the rest is prose.

        `inner` narrows the block to a part of `text` (a heading without its marks).
        """
        self._chars += len(text) + 1
        self._budget.check_chars(self._chars)
        if self._parts:
            self._parts.append("\n")
            self._length += 1
        if kind != "paragraph" and text:
            self._count += 1
            self._budget.check_blocks(self._count)
            start, end = inner or (0, len(text))
            header = header if len(header) <= MAX_HEADER_CHARS else ""
            self._blocks.append(
                Block(start=self._length + start, end=self._length + end, kind=kind, level=level, header=header)
            )
        self._parts.append(text)
        self._length += len(text)

    def add_table(self, rows: Sequence[str], *, header: str = "") -> None:
        """Append table rows, one line each, as one block; rows without content are left out."""
        if lines := [row for row in rows if row]:
            self.add("\n".join(lines), kind="table", header=header)

    @property
    def empty(self) -> bool:
        """Whether the page in work has no text yet."""
        return not any(part.strip() for part in self._parts)

    def end_page(self, *, section: tuple[str, ...] = (), has_image: bool = False) -> None:
        """Close the page in work; `section` is put in front of the path of its headings."""
        text = "".join(self._parts)
        for part, blocks in split_long(text, self._blocks):
            self._budget.check_pages(len(self._pages) + 1)
            path = section + self._outline.path
            number = len(self._pages) + 1
            self._pages.append(Page(number=number, text=part, section=path, blocks=blocks, has_image=has_image))
            for block in blocks:
                if block.kind == "heading":
                    self._outline.enter(block.level, part[block.start : block.end])
        self._reset()

    def forget_headings(self) -> None:
        """Start a new heading path (a slide or sheet does not continue the one before)."""
        self._outline = Outline()

    def pages(self) -> tuple[Page, ...]:
        """Close the last page if it has text, and return all pages; a document without text has one empty page."""
        if not self.empty or not self._pages:
            self.end_page()
        return tuple(self._pages)


def split_long(text: str, blocks: Sequence[Block]) -> list[tuple[str, tuple[Block, ...]]]:
    """Return parts of at most MAX_PAGE_CHARS characters that join to `text`, each with its share of the blocks."""
    parts: list[tuple[str, tuple[Block, ...]]] = []
    start = position = 0
    while start < len(text) or not parts:
        end = _cut(text, start)
        inside: list[Block] = []
        while position < len(blocks) and blocks[position].start < end:
            inside.append(_share(blocks[position], start, end))
            if blocks[position].end > end:
                break
            position += 1
        parts.append((text[start:end], tuple(inside)))
        start = end
    return parts


def _cut(text: str, start: int) -> int:
    if len(text) - start <= MAX_PAGE_CHARS:
        return len(text)
    limit = start + MAX_PAGE_CHARS
    for separator in ("\n", " "):
        if (found := text.rfind(separator, start + MAX_PAGE_CHARS // 2, limit)) > 0:
            return found + 1
    return limit


def _share(block: Block, start: int, end: int) -> Block:
    return Block(
        start=max(block.start, start) - start,
        end=min(block.end, end) - start,
        kind=block.kind,
        level=block.level,
        header=block.header,
    )
