"""What every VectorStore promises; `memory` is the oracle for the others."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engine import registry
from engine.errors import DimensionMismatch, StoreError
from engine.stores.snapshot import fingerprint
from engine.types import Condition, Entry, Match

DIMENSION = 8


def unit(rows: int, *, seed: int = 0, dimension: int = DIMENSION):
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def entries(rows: int, *, first: int = 0) -> list[Entry]:
    return [
        Entry(id=f"c{i:05d}", metadata={"page": i, "kind": "odd" if i % 2 else "even", "score": i / 10, "final": i % 3 == 0})
        for i in range(first, first + rows)
    ]


def where(field: str, op: str, value) -> Condition:
    return Condition(field=field, op=op, value=value)


def build(name: str, dimension: int = DIMENSION):
    return registry.build(registry.STORES, "store", name, dimension=dimension)


@pytest.fixture(params=sorted(registry.STORES))
def name(request):
    return request.param


@pytest.fixture
def store(name):
    return build(name)


def test_an_empty_index_finds_nothing(store):
    assert store.search(unit(1)[0], k=5) == []
    assert store.count() == 0
    store.delete(["nobody"])
    store.upsert([], np.empty((0, DIMENSION), dtype=np.float32))
    assert store.count() == 0


def test_order_is_by_cosine_and_scores_are_cosines(store):
    vectors = unit(30)
    store.upsert(entries(30), vectors)
    found = store.search(vectors[7], k=30)
    assert found[0].id == "c00007"
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)
    expected = {f"c{i:05d}": float(score) for i, score in enumerate(vectors @ vectors[7])}
    assert {match.id: match.score for match in found} == pytest.approx(expected, abs=1e-4)


def test_more_asked_than_there_is(store):
    store.upsert(entries(3), unit(3))
    assert len(store.search(unit(1)[0], k=10)) == 3
    assert store.search(unit(1)[0], k=0) == []


def test_upsert_twice_is_once_and_replaces(store):
    vectors = unit(10)
    store.upsert(entries(10), vectors)
    before = store.search(vectors[0], k=10)
    store.upsert(entries(10), vectors)
    assert store.count() == 10
    assert store.search(vectors[0], k=10) == before
    store.upsert([Entry(id="c00003", metadata={"kind": "new"})], vectors[:1])
    assert store.count() == 10
    assert {match.id for match in store.search(vectors[0], k=2)} == {"c00000", "c00003"}
    assert [match.id for match in store.search(vectors[0], k=5, where=(where("kind", "eq", "new"),))] == ["c00003"]


def test_of_equal_ids_in_one_call_the_last_counts(store):
    vectors = unit(2)
    store.upsert([Entry(id="same"), Entry(id="same")], vectors)
    assert store.count() == 1
    assert store.search(vectors[1], k=1)[0].score == pytest.approx(1, abs=1e-4)


def test_inputs_are_not_changed_nor_kept(store):
    vectors, metadata = unit(4), {"kind": "a"}
    store.upsert([Entry(id=str(i), metadata=metadata) for i in range(4)], vectors)
    query = vectors[2].copy()
    vectors[:] = 0
    metadata["kind"] = "b"
    assert store.search(query, k=1, where=(where("kind", "eq", "a"),))[0].id == "2"
    copy = query.copy()
    store.search(query, k=1)
    assert np.array_equal(query, copy)


def test_delete(store):
    store.upsert(entries(10), unit(10))
    store.delete(["c00001", "c00001", "unknown"])
    assert store.count() == 9
    assert "c00001" not in {match.id for match in store.search(unit(10)[1], k=10)}
    store.upsert(entries(1, first=1), unit(10)[1:2])
    assert store.search(unit(10)[1], k=1)[0].id == "c00001"


def test_ties_are_ordered_by_id_also_at_the_cut(store):
    vector = unit(1)
    ids = [f"t{i:03d}" for i in np.random.default_rng(1).permutation(100)]
    store.upsert([Entry(id=one) for one in ids], np.repeat(vector, 100, axis=0))
    store.upsert(entries(50), unit(50, seed=5))
    assert [match.id for match in store.search(vector[0], k=7)] == sorted(ids)[:7]


@pytest.mark.parametrize(
    ("conditions", "keeps"),
    [
        ((where("kind", "eq", "odd"),), lambda i: i % 2 == 1),
        ((where("page", "in", (3, 5, 999)),), lambda i: i in (3, 5)),
        ((where("page", "gte", 90),), lambda i: i >= 90),
        ((where("score", "lte", 1),), lambda i: i <= 10),
        ((where("score", "gte", 1.5), where("score", "lte", 2.5)), lambda i: 15 <= i <= 25),
        ((where("final", "eq", True),), lambda i: i % 3 == 0),
        ((where("final", "eq", 1),), lambda i: False),
        ((where("page", "eq", "3"),), lambda i: False),
        ((where("page", "eq", 3.0),), lambda i: i == 3),
        ((where("kind", "gte", "f"),), lambda i: i % 2 == 1),
        ((where("id", "in", ("c00004", "c00009", "zzz")), where("kind", "eq", "odd")), lambda i: i == 9),
        ((where("missing", "eq", "x"),), lambda i: False),
        ((where("page", "in", ()),), lambda i: False),
        ((where("kind", "eq", "odd"), where("page", "lte", 20)), lambda i: i % 2 == 1 and i <= 20),
    ],
)
def test_filters_act_inside_the_search(store, conditions, keeps):
    store.upsert(entries(100), unit(100))
    expected = {f"c{i:05d}" for i in range(100) if keeps(i)}
    assert {match.id for match in store.search(unit(1, seed=3)[0], k=100, where=conditions)} == expected
    assert len(store.search(unit(1, seed=3)[0], k=4, where=conditions)) == min(4, len(expected))


def test_an_unknown_operator_never_matches_everything(store):
    store.upsert(entries(2), unit(2))
    with pytest.raises(StoreError, match="unknown filter operator 'like'"):
        store.search(unit(1)[0], k=2, where=(where("kind", "like", "o"),))


@pytest.mark.parametrize("shape", [(2, DIMENSION + 1), (2, DIMENSION - 1)])
def test_wrong_dimension(store, shape):
    with pytest.raises(DimensionMismatch) as caught:
        store.upsert(entries(shape[0]), unit(*shape[:1], dimension=shape[1]))
    assert caught.value.hint
    with pytest.raises(DimensionMismatch):
        store.search(unit(1, dimension=shape[1])[0], k=1)
    assert store.count() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 3.0])
def test_vectors_that_are_no_unit_vectors_are_refused_and_nothing_is_kept(store, bad):
    vectors = unit(3)
    vectors[1] = bad
    with pytest.raises(StoreError, match="unit length"):
        store.upsert(entries(3), vectors)
    with pytest.raises(StoreError, match="3 entries came with 2 vectors"):
        store.upsert(entries(3), unit(2))
    assert store.count() == 0


def test_congruence_with_memory_after_many_changes(name):
    random = np.random.default_rng(11)
    store, oracle = build(name, 32), build("memory", 32)
    for step in range(30):
        ids = random.integers(0, 2500, 150)
        batch = [Entry(id=f"c{i:05d}", metadata={"kind": "odd" if i % 2 else "even", "step": step}) for i in ids]
        vectors = unit(150, seed=step, dimension=32)
        gone = [f"c{i:05d}" for i in random.integers(0, 2500, 40)]
        for one in (store, oracle):
            one.upsert(batch, vectors)
            one.delete(gone)
    assert store.count() == oracle.count()
    for i, query in enumerate(unit(20, seed=99, dimension=32)):
        conditions = [(), (where("kind", "eq", "odd"),), (where("step", "gte", 28),)][i % 3]
        assert_same(store.search(query, k=25, where=conditions), oracle.search(query, k=25, where=conditions))


def assert_same(found: list[Match], expected: list[Match]) -> None:
    assert [match.id for match in found] == [match.id for match in expected]
    assert [match.score for match in found] == pytest.approx([match.score for match in expected], abs=1e-4)


def test_reopen_restores_exactly(name, tmp_path):
    store = build(name)
    store.upsert(entries(40), unit(40))
    store.delete(["c00004"])
    store.save(tmp_path / "index")
    again = build(name)
    again.upsert(entries(3, first=500), unit(3, seed=8))
    again.load(tmp_path / "index")
    assert again.count() == 39
    for query in unit(5, seed=2):
        for conditions in [(), (where("kind", "eq", "odd"),)]:
            assert again.search(query, k=50, where=conditions) == store.search(query, k=50, where=conditions)
    again.upsert(entries(1, first=4), unit(40)[4:5])
    assert again.count() == 40


def test_an_empty_index_can_be_saved(name, tmp_path):
    build(name).save(tmp_path / "index")
    store = build(name)
    store.load(tmp_path / "index")
    assert store.count() == 0


def test_a_snapshot_replaces_the_one_before(name, tmp_path):
    store, path = build(name), tmp_path / "index"
    store.upsert(entries(5), unit(5))
    store.save(path)
    first = fingerprint(path)
    store.save(path)
    assert fingerprint(path) == first
    store.upsert(entries(5, first=5), unit(5, seed=1))
    store.save(path)
    assert fingerprint(path) != first
    again = build(name)
    again.load(path)
    assert again.count() == 10
    assert len(list(path.iterdir())) == 3


def test_loading_what_is_not_there_or_of_another_space(name, tmp_path):
    store = build(name)
    store.upsert(entries(5), unit(5))
    with pytest.raises(StoreError):
        store.load(tmp_path / "nothing")
    build(name, DIMENSION + 1).save(tmp_path / "empty")
    other = build(name, 4)
    other.upsert(entries(2), unit(2, dimension=4))
    other.save(tmp_path / "other")
    with pytest.raises(DimensionMismatch):
        store.load(tmp_path / "other")
    assert store.count() == 5


@pytest.fixture
def saved(name, tmp_path):
    store = build(name)
    store.upsert(entries(50), unit(50))
    store.save(tmp_path / "index")
    return tmp_path / "index"


def test_truncated_files_are_detected(name, saved):
    mark = fingerprint(saved)
    for file in sorted(saved.iterdir()):
        content = file.read_bytes()
        for length in (0, 1, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:length])
            assert_damage_is_seen(name, saved)
            assert fingerprint(saved) != mark
        file.unlink()
        assert_damage_is_seen(name, saved)
        file.write_bytes(content)
    build(name).load(saved)


def test_three_flipped_bits_are_always_detected(name, saved):
    random, mark = np.random.default_rng(0), fingerprint(saved)
    for file in sorted(saved.iterdir()):
        content = file.read_bytes()
        for _ in range(25):
            damaged = bytearray(content)
            for bit in random.choice(len(content) * 8, 3, replace=False):
                damaged[bit // 8] ^= 1 << (bit % 8)
            file.write_bytes(damaged)
            assert_damage_is_seen(name, saved)
            assert fingerprint(saved) != mark
        file.write_bytes(content)
    build(name).load(saved)


def assert_damage_is_seen(name, path) -> None:
    store = build(name)
    store.upsert(entries(2), unit(2))
    with pytest.raises(StoreError):
        store.load(path)
    assert store.count() == 2


def test_searches_beside_a_writer_see_a_change_whole_or_not_at_all(store):
    vector = unit(1)[0]
    store.upsert(entries(300, first=1000), unit(300, seed=4))
    group = [Entry(id=f"g{i}", metadata={"group": "g"}) for i in range(600)]
    vectors = np.repeat(vector[None], 600, axis=0)
    only = (where("group", "eq", "g"),)
    stop, seen, failures = threading.Event(), set(), []

    def look() -> None:
        try:
            while not stop.is_set():
                seen.add(len(store.search(vector, k=1000, where=only)))
        except Exception as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(15):
        store.upsert(group, vectors)
        store.delete([entry.id for entry in group])
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert seen <= {0, 600}
    assert store.count() == 300
