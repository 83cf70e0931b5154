"""Measures against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from engine.evaluation import metrics
from engine.evaluation.report import latency_ms, retrieval_quality

GRADES = {"a": 3, "b": 2, "c": 0, "d": 1}


def test_ndcg():
    # gains 0, 3, 1 at ranks 1, 2, 3; the best order would be 3, 2, 1
    found = 3 / math.log2(3) + 1 / math.log2(4)
    best = 3 + 2 / math.log2(3) + 1 / math.log2(4)
    assert metrics.ndcg(["x", "a", "d"], GRADES, k=10) == pytest.approx(found / best)
    assert metrics.ndcg(["x", "a", "d"], GRADES, k=2) == pytest.approx((3 / math.log2(3)) / (3 + 2 / math.log2(3)))
    assert metrics.ndcg(["a", "b", "d"], GRADES, k=10) == 1
    assert metrics.ndcg([], GRADES, k=10) == 0
    assert metrics.ndcg(["a"], {"a": 0}, k=10) == 0


def test_recall():
    assert metrics.recall(["a", "c", "x", "d"], GRADES, k=4) == pytest.approx(2 / 3)
    assert metrics.recall(["a", "c", "x", "d"], GRADES, k=3) == pytest.approx(1 / 3)
    assert metrics.recall(["a"], {}, k=3) == 0


def test_reciprocal_rank():
    assert metrics.reciprocal_rank(["c", "x", "b"], GRADES, k=10) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(["c", "x", "b"], GRADES, k=2) == 0


def test_a_document_counts_as_its_best_chunk():
    assert metrics.best_per_document([("b", 0.2), ("a", 0.9), ("b", 0.9), ("c", -1.0), ("a", 0.1)]) == ["a", "b", "c"]


def test_auc():
    # pairs won: 0.9 beats both, 0.5 beats 0.1 and ties with 0.5
    assert metrics.auc([0.9, 0.5], [0.5, 0.1]) == pytest.approx((2 + 1.5) / 4)
    assert metrics.auc([3, 2], [1, 0]) == 1
    assert metrics.auc([0], [1]) == 0
    assert metrics.auc([1, 1], [1]) == 0.5
    assert math.isnan(metrics.auc([], [1]))


def test_percentile_and_mean():
    assert metrics.percentile([4, 1, 3, 2], 50) == 2.5
    assert metrics.percentile([4, 1, 3, 2], 95) == pytest.approx(3.85)
    assert metrics.percentile([7], 95) == 7
    assert metrics.mean([1, 2, 6]) == 3
    assert math.isnan(metrics.mean([]))
    assert math.isnan(metrics.percentile([], 50))
    assert latency_ms([0.001, 0.003]) == pytest.approx((2, 2.9))


def test_every_judged_query_counts_and_no_other():
    judgments = {"1": {"a": 1}, "2": {"b": 1}, "3": {"z": 1}}
    quality = retrieval_quality({"1": ["a"], "2": ["x", "b"], "not judged": ["a"]}, judgments)
    assert quality.queries == 3
    assert quality.unanswered == 1
    assert quality.ndcg_at_10 == pytest.approx((1 + 1 / math.log2(3)) / 3)
    assert quality.mrr_at_10 == pytest.approx(0.5)
    assert quality.recall_at_100 == pytest.approx(2 / 3)
