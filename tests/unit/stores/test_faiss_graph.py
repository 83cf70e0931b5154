"""What is special to FAISS: the graph above a size, measured recall, and upkeep."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engine.errors import StoreError
from engine.stores import faiss as module
from engine.stores.faiss import FaissStore
from engine.stores.memory import MemoryStore
from engine.types import Condition, Entry

DIMENSION = 32


def clustered(rows: int, *, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((40, DIMENSION)) * 1.2
    matrix = (centres[random.integers(0, 40, rows)] + random.standard_normal((rows, DIMENSION))).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def settled(store: FaissStore) -> FaissStore:
    if building := store._building:
        building.join()
    return store


@pytest.fixture(scope="module")
def vectors():
    return clustered(4000, seed=1)


@pytest.fixture(scope="module")
def entries():
    return [Entry(id=f"c{i:05d}", metadata={"tenth": i % 10, "third": i % 3 == 0}) for i in range(4000)]


@pytest.fixture
def graph(entries, vectors):
    store = FaissStore(dimension=DIMENSION, graph_from=3000)
    store.upsert(entries, vectors)
    assert settled(store)._width in module.WIDTHS
    return store


@pytest.fixture(scope="module")
def oracle(entries, vectors):
    store = MemoryStore(dimension=DIMENSION)
    store.upsert(entries, vectors)
    return store


FILTERS = [
    (),
    (Condition(field="third", op="eq", value=True),),
    (Condition(field="tenth", op="eq", value=3), Condition(field="third", op="eq", value=True)),
]


@pytest.mark.parametrize("where", FILTERS)
def test_recall_and_full_results_with_and_without_filters(graph, oracle, where):
    kept = []
    for query in clustered(60, seed=2):
        expected = {match.id for match in oracle.search(query, k=10, where=where)}
        found = graph.search(query, k=10, where=where)
        assert len(found) == 10
        kept.append(len(expected & {match.id for match in found}) / 10)
    assert np.mean(kept) >= 0.98


def test_a_graph_survives_a_snapshot_and_changes(graph, vectors, tmp_path):
    graph.delete([f"c{i:05d}" for i in range(0, 800)])
    graph.save(tmp_path / "index")
    again = FaissStore(dimension=DIMENSION, graph_from=3000)
    again.load(tmp_path / "index")
    assert again._width == graph._width
    for query in clustered(20, seed=3):
        assert again.search(query, k=10) == graph.search(query, k=10)
    again.upsert([Entry(id="new")], vectors[:1])
    assert again.search(vectors[0], k=1)[0].id == "new"
    assert again.count() == 3201


def test_dead_rows_are_cleared_away(graph, vectors):
    graph.delete([f"c{i:05d}" for i in range(0, 2000)])
    assert graph._rows.dead == 0
    assert graph._width == 0
    assert graph.search(vectors[3000], k=1)[0].id == "c03000"


def test_a_graph_that_misses_too_much_is_not_used(entries, vectors, monkeypatch, caplog):
    monkeypatch.setattr(module, "MIN_RECALL", 1.1)
    store = FaissStore(dimension=DIMENSION, graph_from=3000)
    store.upsert(entries, vectors)
    assert settled(store)._width == 0
    assert "searching exactly" in caplog.text
    store.upsert([Entry(id="one more")], vectors[:1])
    assert store._building is None


def held_back(monkeypatch):
    """Make the next graph wait until it is let go, and say when it has begun."""
    begun, go, built = threading.Event(), threading.Event(), module._built

    def waiting(rows):
        begun.set()
        assert go.wait(60)
        return built(rows)

    monkeypatch.setattr(module, "_built", waiting)
    return begun, go


def test_changes_during_a_build_are_not_lost(entries, vectors, monkeypatch, oracle):
    begun, go = held_back(monkeypatch)
    store = FaissStore(dimension=DIMENSION, graph_from=3000)
    store.upsert(entries[:3500], vectors[:3500])
    assert begun.wait(60)
    building = store._building
    store.upsert(entries[3500:], vectors[3500:])
    store.delete(["c00001"])
    assert store.search(vectors[3900], k=1)[0].id == "c03900"
    go.set()
    building.join()
    assert store._width
    assert store.count() == 3999
    assert store.search(vectors[3900], k=1)[0].id == "c03900"
    assert store.search(vectors[1], k=1)[0].id != "c00001"


def test_a_graph_of_rows_that_were_numbered_anew_is_thrown_away(entries, vectors, monkeypatch):
    begun, go = held_back(monkeypatch)
    store = FaissStore(dimension=DIMENSION, graph_from=3000)
    store.upsert(entries, vectors)
    assert begun.wait(60)
    building = store._building
    store.delete([entry.id for entry in entries[:2000]])
    go.set()
    building.join()
    assert store._width == 0
    assert store.count() == 2000
    assert store.search(vectors[3000], k=1)[0].id == "c03000"


def test_a_flat_snapshot_that_is_large_enough_becomes_a_graph(entries, vectors, tmp_path):
    flat = FaissStore(dimension=DIMENSION)
    flat.upsert(entries, vectors)
    flat.save(tmp_path / "index")
    store = FaissStore(dimension=DIMENSION, graph_from=3000)
    store.load(tmp_path / "index")
    assert settled(store)._width


def test_a_snapshot_of_another_store_is_refused(graph, oracle, tmp_path):
    oracle.save(tmp_path / "memory")
    graph.save(tmp_path / "faiss")
    with pytest.raises(StoreError, match="another kind of store"):
        graph.load(tmp_path / "memory")
    with pytest.raises(StoreError, match="another kind of store"):
        MemoryStore(dimension=DIMENSION).load(tmp_path / "faiss")
