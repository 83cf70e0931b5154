"""What all chunkers share: regions of pages in, exact pieces within the limit out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from engine.chunking.layout import RANKS, Layout, Region
from engine.chunking.ruler import nearest
from engine.documents import Document, Piece
from engine.protocols import TokenCounter
from engine.sentences import character_cut

_VISIBLE = re.compile(r"\S")
Span: TypeAlias = tuple[int, int]
Strategy: TypeAlias = Callable[[Layout, Region, int], Iterator[Span]]
"""(layout, region, budget in tokens) -> spans that cover the region; a span over the budget is cut further."""


def split_pages(document: Document, *, tokens: TokenCounter, max_tokens: int, strategy: Strategy) -> list[Piece]:
    """Return the pieces of `document`, cut by `strategy`; tables that need their header go by rows in any case."""
    if max_tokens < 1:
        raise ValueError("max_tokens must be positive")
    pieces: list[Piece] = []
    for page in document.pages:
        if not page.text.strip():
            continue
        layout = Layout(page, tokens, max_tokens)
        for region in layout.region_list():
            spans = _rows(layout, region) if region.context else strategy(layout, region, max_tokens)
            for start, end in spans:
                for span in _within(layout, region, start, end):
                    pieces.append(_piece(layout, region, *span))
    return pieces


def greedy(
    layout: Layout,
    start: int,
    end: int,
    *,
    budget: int,
    ranks: Sequence[str],
    balanced: bool = False,
    overlap: int = 0,
    overlap_ranks: Sequence[str] | None = None,
) -> Iterator[Span]:
    """Yield spans of at most about `budget` tokens that cover [start, end), each cut at the best boundary it can reach.

    `balanced` makes spans of like size instead of full ones with a remainder. Each span but the first begins up to
    `overlap` tokens before the end of the one before, at a boundary of `overlap_ranks` (default: `ranks`).
    """
    while visible := _VISIBLE.search(layout.page.text, start, end):
        start = visible.start()
        cut = _cut(layout, start, end, budget=budget, ranks=ranks, balanced=balanced)
        yield start, cut
        if cut >= end:
            return
        low = max(start + 1, layout.ruler.back(cut, overlap, start)) if overlap else cut
        start = _first(layout, ranks if overlap_ranks is None else overlap_ranks, low, cut)


def _cut(layout: Layout, start: int, end: int, *, budget: int, ranks: Sequence[str], balanced: bool) -> int:
    ruler = layout.ruler
    total = ruler.cost(start, end)
    if total <= budget:
        return end
    high = ruler.reach(start, budget, end)
    share = total // -(-total // budget) if balanced else budget
    target = min(high, ruler.reach(start, share, end))
    low = min(target, ruler.reach(start, share // 2, end)) if balanced else start + 1
    whole = layout.keeps_whole(high)
    if whole and whole.start > start:
        high = whole.start
        low, target = min(low, high), min(target, high)
    for boundaries in layout.boundaries(ranks):
        found = nearest(boundaries, target, low, high)
        if found is not None:
            return found
    return high


def _first(layout: Layout, ranks: Sequence[str], low: int, cut: int) -> int:
    """Return the first good place in [low, cut] to begin an overlap; `cut` itself where there is none."""
    for boundaries in layout.boundaries(ranks):
        found = nearest(boundaries, low, low, cut - 1)
        if found is not None:
            return found
    return cut


def _rows(layout: Layout, region: Region) -> Iterator[Span]:
    budget = layout.max_tokens - layout.tokens.count(region.context) - 1
    yield from greedy(layout, region.start, region.end, budget=max(1, budget), ranks=("lines", "words"))


def _within(layout: Layout, region: Region, start: int, end: int) -> Iterator[Span]:
    """Yield the span without outer whitespace, halved until an exact count says that it is within the limit."""
    piece = layout.page.text[start:end]
    start, end = start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
    if start >= end:
        return
    context = _context(layout, region, start, end)
    if end - start == 1 or layout.ruler.fits(start, end, limit=layout.max_tokens, context=context):
        yield start, end
        return
    middle = (start + end) // 2
    quarter = (end - start) // 4
    found = (nearest(boundaries, middle, start + 1 + quarter, end - 1 - quarter) for boundaries in layout.boundaries(RANKS))
    cut = next((place for place in found if place is not None), character_cut(layout.page.text, start + 1, middle))
    cut = min(max(cut, start + 1), end - 1)
    yield from _within(layout, region, start, cut)
    yield from _within(layout, region, cut, end)


def _context(layout: Layout, region: Region, start: int, end: int) -> str:
    """Return the header for a piece of a table that does not begin with it."""
    header = region.context
    return "" if header and layout.page.text.startswith(header, start) and start + len(header) <= end else header


def _piece(layout: Layout, region: Region, start: int, end: int) -> Piece:
    return Piece(
        page=layout.page.number,
        start=start,
        end=end,
        text=layout.page.text[start:end],
        section=layout.outline.at(start),
        context=_context(layout, region, start, end),
    )
