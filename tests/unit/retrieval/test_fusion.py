"""Fusion against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.retrieval.diversity import mmr
from engine.retrieval.fusion import convex, normalised, rrf
from engine.types import Match


def matches(**scores: float) -> list[Match]:
    return [Match(id=one, score=score) for one, score in scores.items()]


def test_rrf():
    fused = rrf([["a", "b", "c"], ["c", "a"]], k=60)
    assert [one for one, _ in fused] == ["a", "c", "b"]
    assert dict(fused) == pytest.approx({"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62})
    assert rrf([["b"], ["a"]], k=60) == [("a", 1 / 61), ("b", 1 / 61)]
    assert rrf([], k=60) == rrf([[], []], k=1) == []


def test_normalised():
    assert normalised(matches(a=4, b=3, c=2)) == {"a": 1, "b": 0.5, "c": 0}
    assert normalised(matches(a=4, b=4)) == {"a": 1, "b": 1}
    assert normalised([]) == {}


def test_convex():
    dense, lexical = matches(a=0.9, b=0.8, c=0.5), matches(c=12, d=7, a=2)
    fused = dict(convex(dense, lexical, weight=0.6))
    assert fused == pytest.approx({"a": 0.6, "b": 0.6 * 0.75, "c": 0.4, "d": 0.4 * 0.5})
    assert [one for one, _ in convex(dense, lexical, weight=0.6)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_one_empty_half_leaves_the_order_of_the_other(weight):
    order = [one for one, _ in convex(matches(a=0.9, b=0.8, c=0.5), [], weight=weight)]
    assert order == ["a", "b", "c"]


def test_fusion_does_not_depend_on_the_scale_of_a_half():
    dense, lexical = matches(a=0.9, b=0.8, c=0.5), matches(c=12, d=7, a=2)
    scaled = [Match(id=match.id, score=match.score * 10 + 3) for match in lexical]
    assert dict(convex(dense, scaled, weight=0.4)) == pytest.approx(dict(convex(dense, lexical, weight=0.4)))


VECTORS = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)


def test_mmr_passes_over_a_copy():
    # after 0: copy 1 is worth .5*.9 - .5*1, row 2 .5*.8 - .5*.6, row 3 .5*.3 - 0
    assert mmr([1.0, 0.9, 0.8, 0.3], VECTORS, k=4, novelty=0.5) == [0, 3, 2, 1]


def test_mmr_without_novelty_keeps_the_order():
    assert mmr([0.2, 0.9, 0.5, 0.5], VECTORS, k=3, novelty=0.0) == [1, 2, 3]
    assert mmr([], np.empty((0, 2), dtype=np.float32), k=3, novelty=0.5) == []
    assert mmr([1.0], VECTORS[:1], k=9, novelty=1.0) == [0]
