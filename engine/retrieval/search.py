"""One question against the indexes of one or more collections: both halves, fused. Knows ids and scores, never texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engine.errors import ConfigError
from engine.protocols import Array, LexicalIndex, VectorSearch
from engine.retrieval.fusion import Fused, convex, rrf
from engine.sections import Retrieval
from engine.types import Filter, Match

Indexes: TypeAlias = Sequence[tuple[VectorSearch, LexicalIndex]]
MODES = ("dense", "lexical", "hybrid")


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedMatch:
    """A chunk that was found, with the score that orders it.

    `scores` has "dense" (cosine) and "lexical" (BM25) where that half found the chunk, and always "fused".
    """

    id: str
    score: float
    scores: dict[str, float]


class HybridSearch:
    """Dense and lexical search with the fusion that the settings name. Stateless, thread-safe, pure CPU."""

    def __init__(self, settings: Retrieval) -> None:
        self._settings = settings

    def search(
        self, text: str, vector: Array | None, indexes: Indexes, *, k: int, where: Filter = (), mode: str = ""
    ) -> list[FusedMatch]:
        """Return up to `k` chunks by falling score, ties by rising id.

        `vector` is the embedded question (may be None for mode "lexical"); `indexes` are those of the collections that the
        asker may read; `mode` is "dense", "lexical" or "hybrid", empty = as the settings say. With one half alone its own
        score is the final one. Scores of BM25 are compared across collections as they are.
        Raises ConfigError (unknown mode, no vector), DimensionMismatch, StoreError.
        """
        mode = mode or self._settings.mode
        if mode not in MODES:
            raise ConfigError(f"unknown retrieval mode {mode!r}", hint=f"known: {', '.join(MODES)}")
        limit = max(k, self._settings.candidates) if mode == "hybrid" else k
        dense: list[Match] = []
        lexical: list[Match] = []
        if mode != "lexical":
            if vector is None:
                raise ConfigError(f"mode {mode!r} needs the vector of the question", hint="embed the question first")
            query = vector
            dense = _merged((store.search(query, k=limit, where=where) for store, _ in indexes), limit)
        if mode != "dense":
            lexical = _merged((words.search(text, k=limit, where=where) for _, words in indexes), limit)
        return _explained(self._fused(dense, lexical, mode)[:k], dense, lexical)

    def _fused(self, dense: Sequence[Match], lexical: Sequence[Match], mode: str) -> Fused:
        if mode != "hybrid":
            return [(match.id, match.score) for match in (*dense, *lexical)]
        if self._settings.fusion == "rrf":
            return rrf([[match.id for match in half] for half in (dense, lexical)], k=self._settings.rrf_k)
        return convex(dense, lexical, weight=self._settings.dense_weight)


def _merged(found: Iterable[Sequence[Match]], limit: int) -> list[Match]:
    together = [match for matches in found for match in matches]
    return sorted(together, key=lambda match: (-match.score, match.id))[:limit]


def _explained(fused: Fused, dense: Sequence[Match], lexical: Sequence[Match]) -> list[FusedMatch]:
    halves = {
        "dense": {match.id: match.score for match in dense},
        "lexical": {match.id: match.score for match in lexical},
    }
    return [
        FusedMatch(
            id=one,
            score=score,
            scores={name: half[one] for name, half in halves.items() if one in half} | {"fused": score},
        )
        for one, score in fused
    ]
