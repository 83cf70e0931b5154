"""The default chunker: pieces of like size, cut at paragraphs, else sentences and list lines, else lines, else words."""

from __future__ import annotations

from collections.abc import Iterator

from engine.chunking.layout import RANKS, Layout, Region
from engine.chunking.pages import Span, greedy, split_pages
from engine.documents import Document, Piece
from engine.protocols import Embedder, TokenCounter


class RecursiveChunker:
    """Satisfies Chunker. A piece begins up to `overlap_tokens` before the end of the one before, at a sentence."""

    def __init__(self, *, tokens: TokenCounter, embedder: Embedder, overlap_tokens: int) -> None:
        self._tokens = tokens
        self._overlap_tokens = overlap_tokens

    def split(self, document: Document, *, max_tokens: int) -> list[Piece]:
        """Return pieces of at most `max_tokens` tokens; see Chunker."""
        return split_pages(document, tokens=self._tokens, max_tokens=max_tokens, strategy=self._spans)

    def _spans(self, layout: Layout, region: Region, budget: int) -> Iterator[Span]:
        return pack(layout, region.start, region.end, budget=budget, overlap=self._overlap_tokens)


def pack(layout: Layout, start: int, end: int, *, budget: int, overlap: int) -> Iterator[Span]:
    """Yield spans of like size that cover [start, end), cut at the best boundaries; overlap at most half of `budget`."""
    return greedy(
        layout,
        start,
        end,
        budget=budget,
        ranks=RANKS,
        balanced=True,
        overlap=min(overlap, budget // 2),
        overlap_ranks=("sentences",),
    )
