"""Markdown -> its source text, with headings, tables and code marked as blocks (CommonMark 0.31, GitHub's pipe tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.documents import Document
from engine.loading.encoding import read_text
from engine.loading.flow import MAX_HEADER_CHARS, MAX_TITLE_CHARS, Flow, one_line

MEDIA_TYPE = "text/markdown"
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_CLOSING = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_FRONT_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)

Span = tuple[int, int, str, int, str]


class MarkdownLoader:
    """The text stays the source; a chunk of it is found again in the file letter by letter."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        lines = text.split("\n")
        flow = Flow()
        title = ""
        done = 0
        for first, last, kind, level, header in _blocks(lines):
            if first > done:
                flow.add("\n".join(lines[done:first]))
            inner = heading_span(lines[first]) if kind == "heading" else None
            flow.add("\n".join(lines[first:last]), kind=kind, level=level, header=header, inner=inner)
            if inner and level == 1 and not title:
                title = one_line(lines[first][slice(*inner)])
            done = last
        if done < len(lines):
            flow.add("\n".join(lines[done:]))
        front = _FRONT_TITLE.search(text[:2000]) if text.startswith("---\n") else None
        title = (front[1] if front else title)[:MAX_TITLE_CHARS]
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=warnings)


def heading_span(line: str) -> tuple[int, int]:
    """Return where the words of a heading line stand, without its marks."""
    marks = _HEADING.match(line)
    start = marks.end() if marks else len(line) - len(line.lstrip())
    words = _CLOSING.sub("", line[start:]).rstrip()
    return start, start + len(words)


def _blocks(lines: Sequence[str]) -> Iterator[Span]:
    """Yield (first line, line after the last, kind, level, header) in order."""
    at = _after_front_matter(lines)
    while at < len(lines):
        found = _code(lines, at) or _heading(lines, at) or _table(lines, at)
        if found:
            yield found
        at = found[1] if found else at + 1


def _after_front_matter(lines: Sequence[str]) -> int:
    if lines[0].rstrip() != "---":
        return 0
    return next((n + 1 for n, line in enumerate(lines[1:200], start=1) if line.rstrip() in {"---", "..."}), 0)


def _code(lines: Sequence[str], at: int) -> Span | None:
    fence = _FENCE.match(lines[at])
    if not fence:
        return None
    mark = fence[1]
    for end in range(at + 1, len(lines)):
        close = lines[end].strip()
        if close.startswith(mark) and not close.strip(mark[0]):
            return at, end + 1, "code", 0, ""
    return at, len(lines), "code", 0, ""


def _heading(lines: Sequence[str], at: int) -> Span | None:
    line = lines[at]
    if marks := _HEADING.match(line):
        start, end = heading_span(line)
        return (at, at + 1, "heading", len(marks[1]), "") if end > start else None
    if at + 1 >= len(lines) or not line[:1].strip() or line[0] in ">|-*+#=" or (at and lines[at - 1].strip()):
        return None
    under = _UNDERLINE.match(lines[at + 1])
    return (at, at + 2, "heading", 1 if under[1][0] == "=" else 2, "") if under else None


def _table(lines: Sequence[str], at: int) -> Span | None:
    if "|" not in lines[at] or at + 1 >= len(lines) or "-" not in lines[at + 1] or not _RULE.match(lines[at + 1]):
        return None
    end = at + 2
    while end < len(lines) and "|" in lines[end] and lines[end].strip():
        end += 1
    header = lines[at].strip()
    return at, end, "table", 0, header if len(header) <= MAX_HEADER_CHARS else ""
