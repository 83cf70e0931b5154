"""What every VectorStore promises; `memory` is the oracle for the others.

A case is a row of the registry, or a variant of one. Its server, if it has one (tests/servers), starts once; each test has a
space of its own in it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from engine import registry
from engine.errors import ConfigError, DimensionMismatch, StoreError
from engine.stores.snapshot import fingerprint
from engine.types import Condition, Endpoint, Entry, Match
from tests.servers import server_of
from tests.servers.chroma_server import free_port

ROOT = Path(__file__).resolve().parents[2]
DIMENSION = 8
KEY = "sk-canary-7f3e9a1b5c2d4e6f8091a2b3"


@dataclass(frozen=True)
class Case:
    """`tolerance` is how far a score may be off; an `exact` store finds what memory finds; a change of an `atomic` one is seen
    whole or not at all.
    """

    row: str
    server: str
    options: Mapping[str, bool] = field(default_factory=dict)
    tolerance: float = 1e-4

    @property
    def durable(self) -> bool:
        return registry.STORES[self.row].durable

    @property
    def exact(self) -> bool:
        return self.row != "chroma" and not self.options

    @property
    def atomic(self) -> bool:
        return self.row in ("faiss", "memory", "pgvector")


CASES = {
    **{row: Case(row, row) for row in sorted(registry.STORES)},
    "chroma-server": Case("chroma", "chroma_server"),
    "qdrant-server": Case("qdrant", "qdrant_server"),
    "pgvector-halfvec": Case("pgvector", "pgvector", {"half": True}, tolerance=2e-3),
}
DURABLE = [name for name, case in CASES.items() if case.durable]
IN_MEMORY = [name for name, case in CASES.items() if not case.durable]
EMBEDDED = [row for row in sorted(registry.STORES) if registry.STORES[row].embedded]
SERVERS = sorted({case.row for case in CASES.values() if case.durable})


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


def wording(value) -> str:
    return " and ".join(f"{one.field} {one.op} {one.value!r}" for one in value) if isinstance(value, tuple) else ""


def new_space() -> str:
    return f"t_{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def endpoint_of():
    """Case -> endpoint; a server is started when the first test wants it and ends with the session."""
    with ExitStack() as stack:
        running: dict[str, Endpoint] = {}

        def find(case: Case) -> Endpoint:
            if case.server not in running:
                running[case.server] = stack.enter_context(server_of(case.server))
            endpoint = running[case.server]
            return replace(endpoint, options={**endpoint.options, **case.options})

        yield find


@pytest.fixture(params=CASES)
def name(request):
    return request.param


@pytest.fixture
def case(name):
    return CASES[name]


@pytest.fixture
def build(case, endpoint_of):
    """Make stores on the case's server, in a space of this test unless another one is given; all are dropped at the end."""
    made, own = [], new_space()

    def make(dimension: int = DIMENSION, *, space: str = own):
        store = registry.build(registry.STORES, "store", case.row, endpoint_of(case), dimension=dimension, space=space)
        made.append(store)
        return store

    yield make
    for store in made:
        store.drop()
        store.close()


@pytest.fixture
def store(build):
    return build()


def test_an_empty_index_finds_nothing(store):
    assert store.search(unit(1)[0], k=5) == []
    assert store.search(unit(1)[0], k=5, where=(where("kind", "eq", "odd"),)) == []
    assert store.count() == 0
    assert store.ids() == []
    assert store.fetch([]).shape == (0, DIMENSION)
    store.drop()
    store.delete(["nobody"])
    store.upsert([], np.empty((0, DIMENSION), dtype=np.float32))
    assert store.count() == 0


def test_order_is_by_cosine_and_scores_are_cosines(store, case):
    vectors = unit(30)
    store.upsert(entries(30), vectors)
    found = store.search(vectors[7], k=30)
    assert found[0].id == "c00007"
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)
    expected = {f"c{i:05d}": float(score) for i, score in enumerate(vectors @ vectors[7])}
    assert {match.id: match.score for match in found} == pytest.approx(expected, abs=case.tolerance)


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


def test_of_equal_ids_in_one_call_the_last_counts(store, case):
    vectors = unit(2)
    store.upsert([Entry(id="same"), Entry(id="same")], vectors)
    assert store.count() == 1
    assert store.search(vectors[1], k=1)[0].score == pytest.approx(1, abs=case.tolerance)


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
        ((where("score", "in", (1, 2.5, "3", True)),), lambda i: i in (10, 25)),
        ((where("final", "in", (True, "odd")),), lambda i: i % 3 == 0),
        ((where("final", "gte", False),), lambda i: True),
        ((where("final", "lte", False),), lambda i: i % 3 != 0),
        ((where("final", "gte", 0),), lambda i: False),
        ((where("kind", "in", ("odd", 1)),), lambda i: i % 2 == 1),
        ((where("kind", "in", "odd"),), lambda i: False),
        ((where("kind", "eq", ("odd",)),), lambda i: False),
        ((where("id", "gte", "c00090"),), lambda i: i >= 90),
        ((where("id", "eq", 5),), lambda i: False),
        ((where("kind", "gte", "f"),), lambda i: i % 2 == 1),
        ((where("kind", "gte", "f"), where("page", "lte", 50)), lambda i: i % 2 == 1 and i <= 50),
        ((where("page", "gte", "3"),), lambda i: False),
        ((where("id", "in", ("c00004", "c00009", "zzz")), where("kind", "eq", "odd")), lambda i: i == 9),
        ((where("missing", "eq", "x"),), lambda i: False),
        ((where("page", "in", ()),), lambda i: False),
        ((where("kind", "eq", "odd"), where("page", "lte", 20)), lambda i: i % 2 == 1 and i <= 20),
    ],
    ids=wording,
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


def test_a_replaced_entry_keeps_no_field_of_the_old_one(store):
    store.upsert(entries(3), unit(3))
    store.upsert([Entry(id="c00001", metadata={"kind": "new"}), Entry(id="c00002")], unit(2))
    assert [match.id for match in store.search(unit(1)[0], k=5, where=(where("page", "gte", 0),))] == ["c00000"]
    assert store.count() == 3


def test_ids_and_fetch_give_what_was_stored(store, case):
    vectors = unit(300, seed=6)
    store.upsert(entries(300), vectors)
    assert store.ids() == [f"c{i:05d}" for i in range(300)]
    order = [200, 7, 7, 0, *range(50, 120)]
    found = store.fetch([f"c{i:05d}" for i in order])
    assert found.dtype == np.float32
    assert found.shape == (len(order), DIMENSION)
    assert np.abs(found - vectors[order]).max() <= (case.tolerance if case.options else 0)
    with pytest.raises(StoreError, match="nobody") as caught:
        store.fetch(["c00001", "nobody"])
    assert caught.value.hint


def test_drop_removes_everything_and_the_next_upsert_begins_anew(store):
    store.upsert(entries(20), unit(20))
    store.drop()
    store.drop()
    assert store.count() == 0
    assert store.ids() == []
    assert store.search(unit(1)[0], k=5) == []
    with pytest.raises(StoreError):
        store.fetch(["c00001"])
    store.upsert(entries(2), unit(2))
    assert store.ids() == ["c00000", "c00001"]


def test_what_is_not_allowed_does_not_crowd_out_what_is(store):
    """A filter that names the collections a user may read gives k hits, though 400 other entries are nearer."""
    query = unit(1)[0]
    near = query + 0.05 * unit(400, seed=1)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    store.upsert([Entry(id=f"secret{i:03d}", metadata={"collection": f"s{i % 7}"}) for i in range(400)], near)
    store.upsert([Entry(id=f"open{i:03d}", metadata={"collection": f"o{i % 4}"}) for i in range(60)], -near[:60])
    found = store.search(query, k=20, where=(where("collection", "in", ("o1", "o3")),))
    assert len(found) == 20
    assert all(int(match.id.removeprefix("open")) % 4 in (1, 3) for match in found)


def test_congruence_with_memory_after_many_changes(build, case):
    random = np.random.default_rng(11)
    store, oracle = build(32), registry.build(registry.STORES, "store", "memory", dimension=32)
    for step in range(30):
        ids = random.integers(0, 2500, 150)
        batch = [Entry(id=f"c{i:05d}", metadata={"kind": "odd" if i % 2 else "even", "step": step}) for i in ids]
        vectors = unit(150, seed=step, dimension=32)
        gone = [f"c{i:05d}" for i in random.integers(0, 2500, 40)]
        for one in (store, oracle):
            one.upsert(batch, vectors)
            one.delete(gone)
    assert store.count() == oracle.count()
    assert store.ids() == oracle.ids()
    recalls = []
    for i, query in enumerate(unit(21, seed=99, dimension=32)):
        conditions = [(), (where("kind", "eq", "odd"),), (where("step", "gte", 28),)][i % 3]
        found, everything = store.search(query, k=25, where=conditions), oracle.search(query, k=5000, where=conditions)
        expected = everything[:25]
        if case.exact:
            assert_same(found, expected)
        assert len(found) == len(expected)
        true = {match.id: match.score for match in everything}
        assert [match.score for match in found] == pytest.approx([true[match.id] for match in found], abs=case.tolerance)
        assert found == sorted(found, key=lambda match: (-match.score, match.id))
        recalls.append(len({match.id for match in found} & {match.id for match in expected}) / len(expected))
    assert np.mean(recalls) >= 0.98


def assert_same(found: list[Match], expected: list[Match]) -> None:
    assert [match.id for match in found] == [match.id for match in expected]
    assert [match.score for match in found] == pytest.approx([match.score for match in expected], abs=1e-4)


def test_searches_beside_a_writer(store, case):
    """They never fail; where a change is atomic, they see it whole or not at all."""
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
    for _ in range(3 if case.durable else 15):
        store.upsert(group, vectors)
        store.delete([entry.id for entry in group])
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert seen <= ({0, 600} if case.atomic else set(range(601)))
    assert store.count() == 300


def test_eight_threads_change_and_search_at_once(store):
    vectors = unit(240, seed=7)
    failures = []

    def work(number: int) -> None:
        try:
            first = number * 30
            for begin in (first, first + 15):
                store.upsert(entries(15, first=begin), vectors[begin : begin + 15])
                assert store.search(vectors[begin], k=1)[0].id == f"c{begin:05d}"
            store.delete([f"c{i:05d}" for i in range(first, first + 5)])
            assert len(store.search(vectors[first + 9], k=25, where=(where("page", "gte", first + 5),))) >= 25 - 5 * (
                number == 7
            )
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    left = [i for i in range(240) if i % 30 >= 5]
    assert store.ids() == [f"c{i:05d}" for i in left]
    assert np.abs(store.fetch(store.ids()) - vectors[left]).max() <= 2e-3
    assert store.search(vectors[100], k=1)[0].id == "c00100"


# --- stores that keep their content themselves ---


@pytest.mark.parametrize("name", DURABLE, indirect=True)
def test_reopen_finds_everything(build):
    store = build()
    store.upsert(entries(40), unit(40))
    store.delete(["c00004"])
    queries, conditions = unit(4, seed=2), (where("kind", "eq", "odd"),)
    before = [store.search(query, k=50) for query in queries] + [store.search(queries[0], k=50, where=conditions)]
    vectors = store.fetch(store.ids())
    store.close()
    store.close()
    again = build()
    assert again.count() == 39
    assert [again.search(query, k=50) for query in queries] + [again.search(queries[0], k=50, where=conditions)] == before
    assert np.array_equal(again.fetch(again.ids()), vectors)
    again.upsert(entries(1, first=4), unit(40)[4:5])
    assert again.count() == 40


@pytest.mark.parametrize("name", DURABLE, indirect=True)
def test_two_objects_on_one_space_see_each_other(build):
    one, other = build(), build()
    one.upsert(entries(10), unit(10))
    assert other.search(unit(10)[3], k=1)[0].id == "c00003"
    other.delete(["c00003"])
    assert one.count() == 9
    other.drop()
    assert one.ids() == []
    assert one.search(unit(1)[0], k=3) == []
    one.upsert(entries(2), unit(2))
    one.close()
    assert other.ids() == ["c00000", "c00001"]


@pytest.mark.parametrize("name", DURABLE, indirect=True)
def test_spaces_do_not_see_each_other(build):
    one, other = build(), build(4, space=new_space())
    one.upsert(entries(10), unit(10))
    other.upsert(entries(3, first=5), unit(3, dimension=4))
    assert (one.count(), other.ids()) == (10, ["c00005", "c00006", "c00007"])
    assert len(other.search(unit(1, dimension=4)[0], k=10)) == 3
    one.drop()
    assert other.count() == 3
    assert other.fetch(["c00006"]).shape == (1, 4)


@pytest.mark.parametrize("name", DURABLE, indirect=True)
def test_a_space_of_another_dimension_is_not_mixed(build):
    store = build()
    store.upsert(entries(5), unit(5))
    with suppress(StoreError):  # Pinecone keeps it in an index of its own
        build(4).upsert(entries(2), unit(2, dimension=4))
    assert store.count() == 5
    assert np.abs(store.fetch(store.ids()) - unit(5)).max() <= 2e-3


@pytest.mark.parametrize("row", SERVERS)
@pytest.mark.parametrize("space", ["", "Big", "a-b", "a" * 49, "../x", 'x"; drop table x; --'])
def test_names_of_spaces_are_checked(row, space, tmp_path):
    with pytest.raises(ConfigError):
        registry.build(registry.STORES, "store", row, Endpoint(folder=str(tmp_path)), dimension=4, space=space)


HOLD = """
import sys
from engine import registry
from engine.types import Endpoint
row, folder = sys.argv[1:]
store = registry.build(registry.STORES, "store", row, Endpoint(folder=folder), dimension=8, space="x")
print(store.count(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("row", EMBEDDED)
def test_a_folder_has_one_process_and_any_number_of_stores(row, tmp_path):
    def make(space: str):
        return registry.build(registry.STORES, "store", row, Endpoint(folder=str(tmp_path)), dimension=8, space=space)

    command = [sys.executable, "-c", HOLD, row, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        assert holder.stdout.readline() == b"0\n"
        one = make("x")
        with pytest.raises(StoreError, match="in use by another process") as caught:
            one.upsert(entries(3), unit(3))
        assert "server" in caught.value.hint
    other, third = make("x"), make("y")
    for store in (one, other, third):
        store.upsert(entries(3), unit(3))
    one.close()
    assert other.count() == 3
    other.close()
    third.close()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "3\n"


@pytest.mark.parametrize("row", EMBEDDED)
def test_neither_folder_nor_server(row):
    store = registry.build(registry.STORES, "store", row, Endpoint(), dimension=8, space="x")
    with pytest.raises(ConfigError) as caught:
        store.count()
    assert caught.value.hint


@pytest.mark.parametrize("row", EMBEDDED)
def test_a_folder_that_cannot_be_used(row, tmp_path):
    (tmp_path / "file").touch()
    store = registry.build(registry.STORES, "store", row, Endpoint(folder=str(tmp_path / "file")), dimension=8, space="x")
    with pytest.raises(StoreError) as caught:
        store.count()
    assert caught.value.hint


@pytest.mark.parametrize("row", SERVERS)
def test_a_server_that_is_not_there(row):
    url = registry.STORES[row].url.replace("5432", "{}") if "://" in registry.STORES[row].url else "http://127.0.0.1:{}"
    endpoint = Endpoint(base_url=url.format(free_port()), api_key=KEY, timeout_seconds=3)
    store = registry.build(registry.STORES, "store", row, endpoint, dimension=DIMENSION, space="x")
    calls = [
        lambda: store.upsert(entries(2), unit(2)),
        lambda: store.search(unit(1)[0], k=1),
        lambda: store.delete(["c"]),
        store.count,
        store.ids,
        lambda: store.fetch(["c"]),
    ]
    started = time.monotonic()
    for call in calls:
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.hint
        assert KEY not in f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert time.monotonic() - started < 30
    store.close()


# --- stores of this process: snapshots ---


@pytest.mark.parametrize("name", IN_MEMORY, indirect=True)
def test_reopen_restores_exactly(build, tmp_path):
    store = build()
    store.upsert(entries(40), unit(40))
    store.delete(["c00004"])
    store.save(tmp_path / "index")
    again = build()
    again.upsert(entries(3, first=500), unit(3, seed=8))
    again.load(tmp_path / "index")
    assert again.count() == 39
    for query in unit(5, seed=2):
        for conditions in [(), (where("kind", "eq", "odd"),)]:
            assert again.search(query, k=50, where=conditions) == store.search(query, k=50, where=conditions)
    again.upsert(entries(1, first=4), unit(40)[4:5])
    assert again.count() == 40


@pytest.mark.parametrize("name", IN_MEMORY, indirect=True)
def test_an_empty_index_can_be_saved(build, tmp_path):
    build().save(tmp_path / "index")
    store = build()
    store.load(tmp_path / "index")
    assert store.count() == 0


@pytest.mark.parametrize("name", IN_MEMORY, indirect=True)
def test_a_snapshot_replaces_the_one_before(build, tmp_path):
    store, path = build(), tmp_path / "index"
    store.upsert(entries(5), unit(5))
    store.save(path)
    first = fingerprint(path)
    store.save(path)
    assert fingerprint(path) == first
    store.upsert(entries(5, first=5), unit(5, seed=1))
    store.save(path)
    assert fingerprint(path) != first
    again = build()
    again.load(path)
    assert again.count() == 10
    assert len(list(path.iterdir())) == 3


@pytest.mark.parametrize("name", IN_MEMORY, indirect=True)
def test_loading_what_is_not_there_or_of_another_space(build, tmp_path):
    store = build()
    store.upsert(entries(5), unit(5))
    with pytest.raises(StoreError):
        store.load(tmp_path / "nothing")
    build(DIMENSION + 1).save(tmp_path / "empty")
    other = build(4)
    other.upsert(entries(2), unit(2, dimension=4))
    other.save(tmp_path / "other")
    with pytest.raises(DimensionMismatch):
        store.load(tmp_path / "other")
    assert store.count() == 5


@pytest.fixture
def saved(build, tmp_path):
    store = build()
    store.upsert(entries(50), unit(50))
    store.save(tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize("name", IN_MEMORY, indirect=True)
def test_truncated_files_are_detected(build, saved):
    mark = fingerprint(saved)
    for file in sorted(saved.iterdir()):
        content = file.read_bytes()
        for length in (0, 1, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:length])
            assert_damage_is_seen(build, saved)
            assert fingerprint(saved) != mark
        file.unlink()
        assert_damage_is_seen(build, saved)
        file.write_bytes(content)
    build().load(saved)


@pytest.mark.parametrize("name", IN_MEMORY, indirect=True)
def test_three_flipped_bits_are_always_detected(build, saved):
    random, mark = np.random.default_rng(0), fingerprint(saved)
    for file in sorted(saved.iterdir()):
        content = file.read_bytes()
        for _ in range(25):
            damaged = bytearray(content)
            for bit in random.choice(len(content) * 8, 3, replace=False):
                damaged[bit // 8] ^= 1 << (bit % 8)
            file.write_bytes(damaged)
            assert_damage_is_seen(build, saved)
            assert fingerprint(saved) != mark
        file.write_bytes(content)
    build().load(saved)


def assert_damage_is_seen(build, path) -> None:
    store = build()
    store.upsert(entries(2), unit(2))
    with pytest.raises(StoreError):
        store.load(path)
    assert store.count() == 2
