"""Two rankings of one question made into one. Pure functions: lists in, list out, ties by rising id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from engine.types import Match

Fused: TypeAlias = list[tuple[str, float]]


def rrf(rankings: Iterable[Sequence[str]], *, k: int) -> Fused:
    """Return (id, sum of 1 / (k + rank)) over the rankings (Cormack, Clarke & Buettcher 2009), best first.

    A ranking that lacks an id adds nothing for it.
    """
    fused: dict[str, float] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking, start=1):
            fused[one] = fused.get(one, 0.0) + 1 / (k + rank)
    return ordered(fused)


def convex(dense: Sequence[Match], lexical: Sequence[Match], *, weight: float) -> Fused:
    """Return (id, weight * dense + (1 - weight) * lexical) of min-max normalised scores, best first.

    Convex combination after Bruch, Gai & Ingber 2023. An id that one list lacks gets that list's minimum, 0: it is known to
    score no better than the list's last entry.
    """
    near, words = normalised(dense), normalised(lexical)
    return ordered({one: weight * near.get(one, 0.0) + (1 - weight) * words.get(one, 0.0) for one in near | words})


def normalised(matches: Sequence[Match]) -> dict[str, float]:
    """Return id -> score mapped linearly to 0..1 over the list; all 1 when every score is the same."""
    if not matches:
        return {}
    low = min(match.score for match in matches)
    span = max(match.score for match in matches) - low
    return {match.id: (match.score - low) / span if span else 1.0 for match in matches}


def ordered(scores: Mapping[str, float]) -> Fused:
    """Return (id, score) by falling score, ties by rising id."""
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
