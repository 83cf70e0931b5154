"""Passages that say different things: maximal marginal relevance (Carbonell & Goldstein 1998)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.protocols import Array


def mmr(relevance: Sequence[float], vectors: Array, *, k: int, novelty: float) -> list[int]:
    """Return positions of up to `k` candidates in the order in which they are chosen.

    `relevance` is in 0..1, `vectors` are the candidates' unit rows of shape (n, dimension). Each step takes the highest
    (1 - novelty) * relevance - novelty * (largest cosine to a candidate already chosen), the first of equals. `novelty` 0
    keeps the order of relevance, 1 looks at difference only (after the most relevant one).
    """
    worth = np.asarray(relevance, dtype=np.float64)
    nearest = np.full(len(worth), -np.inf)
    left = np.ones(len(worth), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(worth)):
        value = (1 - novelty) * worth - novelty * nearest if chosen else worth
        best = int(np.argmax(np.where(left, value, -np.inf)))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, vectors.astype(np.float64) @ vectors[best].astype(np.float64))
    return chosen
