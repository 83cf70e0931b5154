"""What an evaluation run reports, as values that the command line, the evaluation page and tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.evaluation.metrics import mean, ndcg, percentile, recall, reciprocal_rank


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalQuality:
    """Means over judged queries, each 0..1. `unanswered` counts judged queries for which nothing was found (scored 0)."""

    queries: int
    ndcg_at_10: float
    recall_at_100: float
    mrr_at_10: float
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalReport:
    """One run over one collection. Times of a query are in milliseconds and include embedding it."""

    collection: str
    split: str
    mode: str
    quality: RetrievalQuality
    documents: int
    chunks: int
    documents_per_second: float
    query_p50_ms: float
    query_p95_ms: float
    peak_rss_mb: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def retrieval_quality(rankings: Mapping[str, Sequence[str]], judgments: Mapping[str, Mapping[str, int]]) -> RetrievalQuality:
    """Score query id -> document ids (best first) against query id -> document id -> grade.

    Every judged query counts; one without a ranking scores 0. Rankings of unjudged queries are ignored.
    """
    found = [(rankings.get(query, ()), grades) for query, grades in judgments.items()]
    return RetrievalQuality(
        queries=len(found),
        ndcg_at_10=mean(ndcg(ranking, grades, k=10) for ranking, grades in found),
        recall_at_100=mean(recall(ranking, grades, k=100) for ranking, grades in found),
        mrr_at_10=mean(reciprocal_rank(ranking, grades, k=10) for ranking, grades in found),
        unanswered=sum(not ranking for ranking, _ in found),
    )


def latency_ms(seconds: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p95 in milliseconds."""
    return 1000 * percentile(seconds, 50), 1000 * percentile(seconds, 95)
