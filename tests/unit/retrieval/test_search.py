"""Both halves over several collections."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.retrieval.lexical import TantivyIndex
from engine.retrieval.search import HybridSearch
from engine.sections import Retrieval
from engine.stores.memory import MemoryStore
from engine.types import Condition, Entry

AXES = np.eye(4, dtype=np.float32)


class Refusing:
    """An index that must not be asked."""

    def search(self, *_args, **_options):
        raise AssertionError("this half must not run")


@pytest.fixture
def indexes():
    built = []
    for name, texts in (("a", ["red house", "green house"]), ("b", ["red red car", "blue boat"])):
        store, words = MemoryStore(dimension=4), TantivyIndex(path=None)
        entries = [Entry(id=f"{name}{i}", metadata={"collection": name}) for i in range(2)]
        store.upsert(entries, AXES[:2] if name == "a" else AXES[2:])
        words.upsert(entries, texts)
        built.append((store, words))
    yield built
    for _, words in built:
        words.close()


def test_hybrid_explains_its_scores(indexes):
    found = HybridSearch(Retrieval(dense_weight=0.5)).search("red", AXES[3], indexes, k=10)
    by_id = {match.id: match for match in found}
    assert set(by_id) == {"a0", "a1", "b0", "b1"}
    assert by_id["b1"].scores == {"dense": 1.0, "fused": 0.5}
    assert set(by_id["b0"].scores) == {"dense", "lexical", "fused"}
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)
    assert all(match.scores["fused"] == match.score for match in found)


def test_one_half_alone_uses_its_own_scores_and_spares_the_other(indexes):
    search = HybridSearch(Retrieval())
    dense = search.search("red", AXES[3], [(store, Refusing()) for store, _ in indexes], k=2, mode="dense")
    assert [(match.id, match.score) for match in dense] == [("b1", 1.0), ("a0", 0.0)]
    lexical = search.search("red", None, [(Refusing(), words) for _, words in indexes], k=5, mode="lexical")
    assert {match.id for match in lexical} == {"a0", "b0"}
    assert lexical[0].scores["lexical"] == lexical[0].score


def test_filters_reach_both_halves(indexes):
    where = (Condition(field="collection", op="eq", value="a"),)
    found = HybridSearch(Retrieval()).search("red", AXES[3], indexes, k=10, where=where)
    assert {match.id for match in found} == {"a0", "a1"}


def test_rrf_by_settings_and_more_passages_than_candidates(indexes):
    search = HybridSearch(Retrieval(fusion="rrf", rrf_k=10, candidates=1))
    assert search.search("boat", AXES[3], indexes, k=1)[0].score == pytest.approx(2 / 11)
    assert len(search.search("boat", AXES[3], indexes, k=4)) == 4


def test_nothing_to_search(indexes):
    search = HybridSearch(Retrieval())
    assert search.search("red", AXES[0], [], k=5) == []
    assert search.search("zebra", None, indexes, k=5, mode="lexical") == []


def test_misuse_is_named(indexes):
    search = HybridSearch(Retrieval())
    with pytest.raises(ConfigError, match="unknown retrieval mode 'fuzzy'"):
        search.search("red", AXES[0], indexes, k=5, mode="fuzzy")
    with pytest.raises(ConfigError, match="needs the vector"):
        search.search("red", None, indexes, k=5)
