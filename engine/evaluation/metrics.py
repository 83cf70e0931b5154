"""Measures of retrieval and of refusal. Pure functions; ids in `ranking` are ordered best first and do not repeat."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], *, k: int) -> float:
    """Return nDCG@k in 0..1 (Järvelin & Kekäläinen 2002), linear gain as in trec_eval; 0 where nothing is relevant."""
    gains = [max(0, grades.get(one, 0)) for one in ranking[:k]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k]
    return _discounted(gains) / _discounted(ideal) if ideal else 0.0


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def recall(ranking: Sequence[str], grades: Mapping[str, int], *, k: int) -> float:
    """Return the share of relevant documents (grade above 0) among the first `k`; 0 where nothing is relevant."""
    relevant = {one for one, grade in grades.items() if grade > 0}
    return len(relevant & set(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int], *, k: int) -> float:
    """Return 1 / rank of the first relevant document among the first `k`, else 0; its mean is MRR@k (Voorhees 1999)."""
    return next((1 / rank for rank, one in enumerate(ranking[:k], start=1) if grades.get(one, 0) > 0), 0.0)


def best_per_document(matches: Iterable[tuple[str, float]]) -> list[str]:
    """Return document ids by falling score of their best chunk, ties by id; `matches` are (document id, chunk score)."""
    best: dict[str, float] = {}
    for one, score in matches:
        best[one] = max(score, best.get(one, -math.inf))
    return sorted(best, key=lambda one: (-best[one], one))


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    By rank sums (Hanley & McNeil 1982), in O(n log n). NaN where one side is empty.
    """
    if not positives or not negatives:
        return math.nan
    pairs = sorted([(score, 1) for score in positives] + [(score, 0) for score in negatives])
    wins = 0.0
    start = 0
    while start < len(pairs):
        end = start
        while end < len(pairs) and pairs[end][0] == pairs[start][0]:
            end += 1
        # Ranks count from 1; all members of a tie share their mean rank.
        wins += sum(positive for _, positive in pairs[start:end]) * (start + 1 + end) / 2
        start = end
    n = len(positives)
    return (wins - n * (n + 1) / 2) / (n * len(negatives))


def mean(values: Iterable[float]) -> float:
    """Return the arithmetic mean; NaN for no values."""
    collected = list(values)
    return math.fsum(collected) / len(collected) if collected else math.nan


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the percentile (0..100) by linear interpolation between closest ranks; NaN for no values."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
