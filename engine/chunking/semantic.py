"""Chunker: cuts where the topic changes, by the vectors of the sentences before and after.

Blocks of neighbouring sentences are compared at every gap as in TextTiling (Hearst 1997), with cosine distances of
embeddings for word overlap; a gap is a cut above a percentile of all distances (Kamradt 2023, "5 Levels of Text Splitting").
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.chunking.layout import Layout, Region
from engine.chunking.pages import Span, split_pages
from engine.documents import Document, Piece
from engine.protocols import Array, Embedder, TokenCounter
from engine.sentences import sentence_spans

PERCENTILE = 90
WINDOW_SENTENCES = 3
MIN_SHARE = 0.2


class SemanticChunker:
    """Satisfies Chunker. Pieces do not overlap, for a topic belongs to one piece; `overlap_tokens` has no effect.

    Embeds every sentence once. Errors of the embedder pass through.
    """

    def __init__(self, *, tokens: TokenCounter, embedder: Embedder, overlap_tokens: int) -> None:
        self._tokens = tokens
        self._embedder = embedder

    def split(self, document: Document, *, max_tokens: int) -> list[Piece]:
        """Return pieces of at most `max_tokens` tokens; see Chunker."""
        return split_pages(document, tokens=self._tokens, max_tokens=max_tokens, strategy=self._spans)

    def _spans(self, layout: Layout, region: Region, budget: int) -> Iterator[Span]:
        text = layout.page.text[region.start : region.end]
        spans = [(region.start + start, region.start + end) for start, end in sentence_spans(text)]
        distances = gaps(self._embedder.embed_documents([layout.page.text[start:end] for start, end in spans]))
        threshold = float(np.percentile(distances, PERCENTILE)) if len(distances) else 0.0
        yield from _cut(layout, spans, distances, budget=budget, threshold=threshold)


def gaps(vectors: Array) -> Array:
    """Return the n - 1 cosine distances between the mean of up to 3 rows before and of up to 3 rows after each gap."""
    distances = np.zeros(max(0, len(vectors) - 1), dtype=np.float32)
    for gap in range(len(distances)):
        before = vectors[max(0, gap + 1 - WINDOW_SENTENCES) : gap + 1].mean(axis=0)
        after = vectors[gap + 1 : gap + 1 + WINDOW_SENTENCES].mean(axis=0)
        distances[gap] = 1 - before @ after / max(1e-9, float(np.linalg.norm(before) * np.linalg.norm(after)))
    return distances


def _cut(layout: Layout, spans: list[Span], distances: Array, *, budget: int, threshold: float) -> Iterator[Span]:
    """Yield groups of sentences: cut at the largest distance while that is a peak or the group is over the budget."""
    todo = [(0, len(spans))]
    while todo:
        first, last = todo.pop()
        start, end = spans[first][0], spans[last - 1][1]
        cost = layout.ruler.cost(start, end)
        places = _places(layout, spans, first, last, min_tokens=int(min(cost, budget) * MIN_SHARE))
        peak = max(places, key=lambda place: (distances[place - 1], -place), default=None)
        if peak is None or (cost <= budget and distances[peak - 1] <= threshold):
            yield start, end
        else:
            todo += [(peak, last), (first, peak)]


def _places(layout: Layout, spans: list[Span], first: int, last: int, *, min_tokens: int) -> list[int]:
    """Return the cuts that leave enough on both sides and part no block; any cut where none does."""
    cost, start, end = layout.ruler.cost, spans[first][0], spans[last - 1][1]
    inner = range(first + 1, last)
    good = [
        place
        for place in inner
        if cost(start, spans[place - 1][1]) >= min_tokens
        and cost(spans[place][0], end) >= min_tokens
        and layout.keeps_whole(spans[place][0]) is None
    ]
    return good or ([*inner] if cost(start, end) > layout.max_tokens else [])
