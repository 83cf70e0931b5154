"""Chunker: windows of a fixed number of tokens, whatever the text says."""

from __future__ import annotations

from collections.abc import Iterator

from engine.chunking.layout import Layout, Region
from engine.chunking.pages import Span, greedy, split_pages
from engine.documents import Document, Piece
from engine.protocols import Embedder, TokenCounter


class FixedChunker:
    """Satisfies Chunker. Windows overlap by at most `overlap_tokens` tokens and part no word that fits."""

    def __init__(self, *, tokens: TokenCounter, embedder: Embedder, overlap_tokens: int) -> None:
        self._tokens = tokens
        self._overlap_tokens = overlap_tokens

    def split(self, document: Document, *, max_tokens: int) -> list[Piece]:
        """Return pieces of at most `max_tokens` tokens; see Chunker."""
        return split_pages(document, tokens=self._tokens, max_tokens=max_tokens, strategy=self._spans)

    def _spans(self, layout: Layout, region: Region, budget: int) -> Iterator[Span]:
        overlap = min(self._overlap_tokens, budget // 2)
        return greedy(layout, region.start, region.end, budget=budget, ranks=("words",), overlap=overlap)
