"""Chunker: one section, a part of a long one, or small sibling sections together."""

from __future__ import annotations

from collections.abc import Iterator

from engine.chunking.layout import Layout, Region
from engine.chunking.pages import Span, split_pages
from engine.chunking.recursive import pack
from engine.documents import Document, Piece
from engine.protocols import Embedder, TokenCounter


class HeadingChunker:
    """Satisfies Chunker. Pieces of one section overlap by up to `overlap_tokens`; without headings this is `recursive`."""

    def __init__(self, *, tokens: TokenCounter, embedder: Embedder, overlap_tokens: int) -> None:
        self._tokens = tokens
        self._overlap_tokens = overlap_tokens

    def split(self, document: Document, *, max_tokens: int) -> list[Piece]:
        """Return pieces of at most `max_tokens` tokens; see Chunker."""
        return split_pages(document, tokens=self._tokens, max_tokens=max_tokens, strategy=self._spans)

    def _spans(self, layout: Layout, region: Region, budget: int) -> Iterator[Span]:
        for start, end in _merged(layout, region, budget):
            yield from pack(layout, start, end, budget=budget, overlap=self._overlap_tokens)


def _merged(layout: Layout, region: Region, budget: int) -> Iterator[Span]:
    """Yield sections; a section joins those before it while they are its siblings or parent and all fit in one piece."""
    edges = [region.start, *(start for start in layout.outline.starts if region.start < start < region.end), region.end]
    begin, parent = edges[0], layout.outline.at(edges[0])[:-1]
    for start, end in zip(edges[1:], edges[2:], strict=False):
        path = layout.outline.at(start)
        first = layout.outline.at(begin)
        related = path[:-1] == parent or path[: len(first)] == first
        if not related or layout.ruler.cost(begin, end) > budget:
            yield begin, start
            begin, parent = start, path[:-1]
    yield begin, edges[-1]
