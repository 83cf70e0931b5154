"""Any generator's text -> its statements and the passages they cite; statements -> numbered citation snapshots. Pure.

Numbers outside the prompt are rejected and recorded, never shifted. Code, tables and lists keep their shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.generation.grounding import Grounding, Span
from engine.sentences import sentence_spans
from engine.types import Citation, Hit, Prompt

_MARKER = re.compile(
    r"(?<![ \t])[ \t]*"
    r"(?:\[\s*(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\s*\](?![(:])|【\s*(\d{1,4}(?:\s*[,;，、]\s*\d{1,4})*)[^】\n]{0,20}】)"
)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_HEADING = re.compile(r"#{1,6}\s|[-*_=\s]+$|\|?[\s:|\-]+\|?$")
_LEAD = re.compile(r"\s*(?:>\s*)*(?:[-*+•]\s+|\d{1,3}[.)]\s+)?")
_QUOTED_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence, list item, table row or code block: `clean[start:end] == text`; `cited` are valid passage numbers."""

    text: str
    start: int
    end: int
    cited: tuple[int, ...] = ()
    is_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A text taken apart. `clean` is the text without its markers; `rejected` are cited numbers that no passage has."""

    clean: str
    statements: tuple[Statement, ...]
    rejected: tuple[int, ...] = ()


def bind(text: str, prompt: Prompt) -> Bound:
    """Return the statements of `text` with the passages that each cites. Never raises on any text.

    Understood: [1], [1][2], [1, 2], 【1】. A marker counts for the statement that it follows, or at the beginning of a line for
    the one that it precedes. "[7]" that belongs to words quoted from a passage, to code or to a link is text.
    """
    clean, markers = _without_markers(text, prompt.passages)
    spans = list(_statement_spans(clean))
    cited: list[list[int]] = [[] for _ in spans]
    rejected: list[int] = []
    for position, numbers in markers:
        owner = _owner(position, spans, clean)
        for number in numbers:
            if not 1 <= number <= len(prompt.passages):
                rejected.append(number)
            elif owner is not None and number not in cited[owner]:
                cited[owner].append(number)
    statements = tuple(
        Statement(text=clean[start:end], start=start, end=end, cited=tuple(numbers), is_code=is_code)
        for (start, end, is_code), numbers in zip(spans, cited, strict=True)
    )
    return Bound(clean=clean, statements=statements, rejected=tuple(dict.fromkeys(rejected)))


def _without_markers(text: str, passages: Sequence[Hit]) -> tuple[str, list[tuple[int, list[int]]]]:
    code = [match.span() for match in _FENCE.finditer(text)]
    kept: list[str] = []
    markers: list[tuple[int, list[int]]] = []
    length = last = 0
    for match in _MARKER.finditer(text):
        inside = any(start <= match.start() < end for start, end in code)
        if inside or _is_quoted(text, match, passages):
            continue
        kept.append(text[last : match.start()])
        length += match.start() - last
        last = match.end()
        if length == 0 or kept[-1].endswith("\n"):
            last += len(text[last:]) - len(text[last:].lstrip(" \t"))
        markers.append((length, [int(number) for number in re.findall(r"\d+", match.group(1) or match.group(2))]))
    kept.append(text[last:])
    return "".join(kept), markers


def _is_quoted(text: str, match: re.Match[str], passages: Sequence[Hit]) -> bool:
    """Return whether the marker and the words before it stand like this in a passage: then it is the document's own "[7]"."""
    before = text[max(0, match.start() - _QUOTED_CHARS) : match.end()]
    return len(before) > _QUOTED_CHARS and any(before in hit.chunk.text for hit in passages)


def _statement_spans(clean: str) -> Iterator[tuple[int, int, bool]]:
    position = 0
    for match in _FENCE.finditer(clean):
        yield from _prose_spans(clean, position, match.start())
        yield match.start(), match.end(), True
        position = match.end()
    yield from _prose_spans(clean, position, len(clean))


def _prose_spans(clean: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield sentences; a list item or table row never runs into the next line, headings and rules are no statements."""
    for begin, stop in _paragraphs(clean, start, end):
        for left, right in sentence_spans(clean[begin:stop]):
            sentence = clean[begin + left : begin + right]
            lead = _LEAD.match(sentence)
            skip = lead.end() if lead else 0
            body = sentence[skip:]
            if any(c.isalnum() for c in body) and not _HEADING.match(sentence):
                yield begin + left + skip, begin + right, False


def _paragraphs(clean: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = position = start
    for line in clean[start:end].splitlines(keepends=True):
        if re.match(r"\s*(?:[-*+•|#>]|\d{1,3}[.)]\s)", line) and position > begin:
            yield begin, position
            begin = position
        position += len(line)
        if re.match(r"\s*[|#]", line):
            yield begin, position
            begin = position
    if position > begin:
        yield begin, position


def _owner(position: int, spans: Sequence[tuple[int, int, bool]], clean: str) -> int | None:
    """Return the index of the statement that a marker at `position` of the clean text belongs to."""
    before = [i for i, (start, _, _) in enumerate(spans) if start < position]
    line = clean.rfind("\n", 0, position) + 1
    at_line_start = not any(c.isalnum() for c in clean[line:position])
    if at_line_start or not before:
        after = [i for i, (start, _, _) in enumerate(spans) if start >= position]
        same_line = [i for i in after if "\n" not in clean[position : spans[i][0]]]
        return same_line[0] if same_line else before[-1] if before else None
    return before[-1]


def cite(bound: Bound, groundings: Sequence[Grounding], prompt: Prompt) -> tuple[str, list[tuple[int, ...]], list[Citation]]:
    """Return the text with new markers, each statement's citation numbers, and the citations 1..m in order of first use.

    Every citation is one slice of one passage: statements that rest on the same slice share its number.
    """
    numbers: dict[Span, int] = {}
    used: list[tuple[int, ...]] = []
    parts: list[str] = []
    last = 0
    for statement, grounding in zip(bound.statements, groundings, strict=True):
        mine = tuple(numbers.setdefault(span, len(numbers) + 1) for span in grounding.spans)
        used.append(mine)
        end = statement.end
        if bound.clean[:end].endswith("|") and not statement.is_code:
            end -= 1  # inside the last cell, or the row would get one column more
        parts.append(bound.clean[last:end])
        last = end
        if mine and not statement.is_code:
            parts.append(" " + "".join(f"[{n}]" for n in mine))
    parts.append(bound.clean[last:])
    return "".join(parts), used, [snapshot(n, span, prompt.passages[span.n - 1]) for span, n in numbers.items()]


def snapshot(n: int, span: Span, hit: Hit) -> Citation:
    """Return citation number `n`: the slice `span` of the chunk, in coordinates of its page."""
    chunk = hit.chunk
    return Citation(
        n=n,
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        document=chunk.document_name,
        version=chunk.version,
        page=chunk.page,
        start=chunk.start + span.start,
        end=chunk.start + span.end,
        text=chunk.text[span.start : span.end],
        score=hit.score,
        section=chunk.section,
        context=chunk.context,
        recognised=chunk.recognised,
    )
