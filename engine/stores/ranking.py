"""Exact scores and the one order of results that all local stores share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.protocols import Array
from engine.types import Match

# Two float32 sums of one row may differ by this much between libraries and row positions.
SCORE_NOISE = 1e-5


def shortlist(scores: Array, k: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the positions that can be among the `k` best once float32 noise is taken out, in any order."""
    if len(scores) <= k:
        return np.arange(len(scores))
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= kth - SCORE_NOISE)


def ranked(ids: Sequence[str], vectors: Array, query: Array, k: int) -> list[Match]:
    """Return the `k` best of these candidates by falling cosine, ties by rising id.

    Summed row by row in float64: equal vectors get exactly equal scores wherever they lie, which a BLAS product does not
    promise.
    """
    scores = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1).clip(-1.0, 1.0).tolist()
    order = sorted(zip(scores, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [Match(id=one, score=score) for score, one in order[:k]]
