"""A text longer than a model reads is read in windows, never cut: its vector is the mean of theirs, weighted by tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.types import Endpoint

if TYPE_CHECKING:
    from engine.protocols import Array, TokenCounter

WORD_TOKENS = 16  # a longer "word" is cut


def windows(text: str, tokens: TokenCounter, limit: int) -> list[tuple[str, int]]:
    """Return `text` in slices of like length with their numbers of tokens (at least 1), none above `limit`."""
    spans = tokens.offsets(text)
    if len(spans) <= limit:
        return [(text, max(1, len(spans)))]
    parts = -(-len(spans) // limit)
    edges = [0, *(_word_start(text, spans, len(spans) * n // parts) for n in range(1, parts)), len(text)]
    found: list[tuple[str, int]] = []
    for start, end in zip(edges, edges[1:], strict=False):
        if end - start == len(text):  # one character of many tokens
            found.append((text, limit))
        elif start < end:
            # A slice can have more tokens than it had inside the text: it is measured again.
            found.extend(windows(text[start:end], tokens, limit))
    return found


def _word_start(text: str, spans: Sequence[tuple[int, int]], at: int) -> int:
    """Return where the word of token number `at` begins, or that token if the word is very long."""
    starts = (spans[i][0] for i in range(at, max(0, at - WORD_TOKENS), -1))
    return next((start for start in starts if text[start].isspace() or text[start - 1].isspace()), spans[at][0])


def embed_windows(
    texts: Sequence[str], tokens: TokenCounter, limit: int, embed: Callable[[list[tuple[str, int]]], Array]
) -> Array:
    """Return unit rows, one for each text; `embed` gives unit rows of windows. `texts` is not empty."""
    cut = [windows(readable(text), tokens, limit) for text in texts]
    vectors = embed([window for parts in cut for window in parts])
    rows = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    at = 0
    for row, parts in enumerate(cut):
        for _, weight in parts:
            rows[row] += vectors[at] * weight
            at += 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def readable(text: str) -> str:
    """Return `text`, of the same length, without half surrogate pairs: neither JSON nor a tokenizer takes them."""
    return text.encode("utf-8", "replace").decode()


def with_prefixes(model_id: str, endpoint: Endpoint) -> str:
    """Return the id of the space that a model makes with the prefixes of `endpoint`: other prefixes, other vectors."""
    prefixes = prefix_of(endpoint, "query_prefix"), prefix_of(endpoint, "document_prefix")
    if not any(prefixes):
        return model_id
    return f"{model_id}+{hashlib.sha256(repr(prefixes).encode()).hexdigest()[:8]}"


def prefix_of(endpoint: Endpoint, name: str) -> str:
    """Return an option that is a text; "" where it is not set."""
    return str(endpoint.options.get(name) or "")
