"""What PineconeStore adds to the contract of stores; Pinecone's own SDK against a server that speaks its protocol."""

from __future__ import annotations

import email.utils
import inspect
import logging
import threading
import time
import traceback
from dataclasses import replace

import numpy as np
import pinecone.errors.exceptions
import pytest

from engine.errors import CollectionMissing, ConfigError, DimensionMismatch, StoreError
from engine.stores import pinecone as module
from engine.stores.memory import MemoryStore
from engine.stores.pinecone import PineconeStore
from engine.types import Condition, Endpoint, Entry
from engine.vendors import pinecone as vendor
from engine.vendors.pinecone import translated
from tests.upstreams.pinecone import upstream
from tests.upstreams.server import KEY, Reply

D = 8


def unit(rows: int, *, seed: int = 0, dimension: int = D):
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def entries(rows: int) -> list[Entry]:
    return [Entry(id=f"c{i:05d}", metadata={"page": i, "kind": "odd" if i % 2 else "even"}) for i in range(rows)]


def where(field: str, op: str, value) -> Condition:
    return Condition(field=field, op=op, value=value)


@pytest.fixture
def server():
    with upstream() as running:
        yield running


@pytest.fixture
def store(server):
    return PineconeStore(server.endpoint, dimension=D, space="s")


def paths(server) -> list[str]:
    return [f"{call.method} {call.path.split('?')[0].removeprefix(f'/at/workbench-{D}')}" for call in server.calls]


def test_a_store_can_be_made_without_a_server_and_a_space_is_checked():
    PineconeStore(Endpoint(base_url="http://192.0.2.1:1", api_key=KEY), dimension=D, space="s").close()
    for space in ("", "A b", "x" * 49):
        with pytest.raises(ConfigError):
            PineconeStore(Endpoint(), dimension=D, space=space)


def test_reads_make_no_index_and_the_first_change_does(server, store):
    assert (store.count(), store.ids(), store.search(unit(1)[0], k=3)) == (0, [], [])
    store.delete(["x"])
    store.drop()
    assert store.fetch([]).shape == (0, D)
    assert {call.method for call in server.calls} == {"GET"}
    server.ready_after = 2
    options = {"index": "own", "cloud": "gcp", "region": "europe-west4"}
    PineconeStore(replace(server.endpoint, options=options), dimension=D, space="s").upsert(entries(2), unit(2))
    made = server.indexes["own-8"]
    assert made["deployment"] == {"deployment_type": "managed", "cloud": "gcp", "region": "europe-west4"}
    assert made["schema"]["fields"]["_values"] == {"type": "dense_vector", "dimension": D, "metric": "dotproduct"}


def test_two_stores_make_the_index_at_once(server):
    def write(i: int) -> None:
        PineconeStore(replace(server.endpoint, timeout_seconds=9 + i), dimension=D, space="s").upsert(
            entries(6)[i : i + 1], unit(6)[i : i + 1]
        )

    threads = [threading.Thread(target=write, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(server.indexes) == ["workbench-8"]
    assert PineconeStore(server.endpoint, dimension=D, space="s").count() == 6


@pytest.mark.parametrize("change", [{"dimension": 5}, {"metric": "euclidean"}])
def test_an_index_made_by_hand_for_something_else_is_refused(server, store, change):
    field = {"type": "dense_vector", "dimension": D, "metric": "cosine"} | change
    deployment = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    server.indexes["workbench-8"] = {"schema": {"fields": {"_values": field}}, "deployment": deployment, "asked": 0}
    with pytest.raises(DimensionMismatch if "dimension" in change else StoreError) as caught:
        store.upsert(entries(1), unit(1))
    assert caught.value.hint
    assert "POST /vectors/upsert" not in paths(server)


def test_an_index_that_was_deleted_elsewhere_is_made_again(server, store):
    store.upsert(entries(3), unit(3))
    server.indexes.clear()
    server.spaces.clear()
    with pytest.raises(StoreError):
        store.upsert(entries(3), unit(3))
    store.upsert(entries(2), unit(2))
    assert store.count() == 2


def test_requests_are_as_large_as_pinecone_takes(server):
    store = PineconeStore(server.endpoint, dimension=3000, space="s")
    vectors = unit(150, dimension=3000)
    store.upsert(entries(150), vectors)  # 26 of them make 1.8 MB
    assert store.count() == 150
    np.testing.assert_allclose(store.fetch(store.ids()), vectors)
    small = PineconeStore(server.endpoint, dimension=D, space="s")
    server.calls.clear()
    small.upsert(entries(2150), unit(2150))
    assert [len(call.body["vectors"]) for call in server.calls if call.path.endswith("upsert")] == [100] * 21 + [50]
    assert len(small.ids()) == 2150
    small.delete([f"c{i:05d}" for i in range(2100)])
    assert small.ids() == [f"c{i:05d}" for i in range(2100, 2150)]
    assert [len(call.body["ids"]) for call in server.calls if call.path.endswith("delete")] == [1000, 1000, 100]


def test_a_change_is_seen_when_the_call_returns(server, store):
    server.lag = 0.4
    store.upsert(entries(5), unit(5))
    assert store.search(unit(5)[3], k=1)[0].id == "c00003"
    store.upsert([Entry(id="c00003", metadata={"kind": "new"})], unit(1, seed=9))
    assert [one.id for one in store.search(unit(1)[0], k=9, where=(where("kind", "eq", "new"),))] == ["c00003"]
    store.delete(["c00003", "c00001"])
    assert {one.id for one in store.search(unit(1)[0], k=9)} == {"c00000", "c00002", "c00004"}
    assert (store.count(), store.ids()) == (3, ["c00000", "c00002", "c00004"])
    store.drop()
    assert store.search(unit(1)[0], k=9) == []


def test_a_change_that_does_not_show_is_no_error(server, store, monkeypatch, caplog):
    monkeypatch.setattr(module, "SEEN_SECONDS", 0.2)
    server.stuck = True
    with caplog.at_level(logging.WARNING):
        store.upsert(entries(5), unit(5))
    assert "does not show a change of s" in caplog.text


def test_the_count_of_pinecone_is_trusted_when_nothing_changed_lately(server, store, monkeypatch):
    store.upsert(entries(5), unit(5))
    server.calls.clear()
    assert store.count() == 5
    assert paths(server) == ["GET /vectors/list"]
    monkeypatch.setattr(module, "SETTLED_SECONDS", 0)
    assert store.count() == 5
    assert PineconeStore(server.endpoint, dimension=D, space="other").count() == 0
    assert paths(server)[1:] == ["POST /describe_index_stats"] * 2


VALUES = ["Zebra", "apfel", "Äpfel", "", "3", 3, 3.0, 0.1, -1, True, False, 1, 0, "true", "null", "😀", "~", "$eq"]


def test_filters_mean_what_they_mean_in_memory(store):
    rows = [Entry(id=f"v{i:02d}", metadata={"field": value, "n": i}) for i, value in enumerate(VALUES)]
    memory = MemoryStore(dimension=D)
    for one in (store, memory):
        one.upsert([*rows, Entry(id="v99")], unit(len(rows) + 1))
    conditions = [where("field", op, value) for value in VALUES for op in ("eq", "gte", "lte", "in")]
    conditions += [where("field", "in", tuple(VALUES[i : i + 3])) for i in range(len(VALUES))]
    conditions += [where("id", op, value) for op in ("eq", "gte", "lte") for value in ("v03", 3, True)]
    conditions += [where("field", "eq", ("3",)), where("id", "in", ("v01", 2)), where("id", "in", ()), where("", "eq", 1)]
    conditions += [where("$or", "eq", "x"), where("nothing", "lte", "x"), where("id", "in", "v01"), where("n", "in", ())]
    for condition in conditions:
        for both in ((condition,), (condition, where("n", "lte", 9))):
            found = [one.id for one in store.search(unit(1)[0], k=99, where=both)]
            assert found == [one.id for one in memory.search(unit(1)[0], k=99, where=both)], both


def test_ranges_of_text_look_further_until_there_are_enough(server, store):
    store.upsert(entries(400), unit(400))
    memory = MemoryStore(dimension=D)
    memory.upsert(entries(400), unit(400))
    for condition in (where("id", "gte", "c00390"), where("kind", "gte", "f")):
        server.calls.clear()
        found = store.search(unit(1, seed=4)[0], k=5, where=(condition,))
        assert [one.id for one in found] == [one.id for one in memory.search(unit(1, seed=4)[0], k=5, where=(condition,))]
        assert all("$gte" not in str(call.body) for call in server.calls)


def test_ranges_of_text_beyond_what_pinecone_shows_are_an_error(store, monkeypatch):
    monkeypatch.setattr(module, "TOP_K", 50)
    store.upsert(entries(200), unit(200))
    with pytest.raises(StoreError, match="Pinecone cannot compare text"):
        store.search(unit(200)[0], k=5, where=(where("id", "gte", "c00199"),))


def test_many_equal_vectors_are_cut_by_id(store):
    ids = [f"t{i:04d}" for i in np.random.default_rng(1).permutation(300)]
    store.upsert([Entry(id=one) for one in ids], np.repeat(unit(1), 300, axis=0))
    assert [one.id for one in store.search(unit(1)[0], k=7)] == sorted(ids)[:7]


@pytest.mark.parametrize("entry", [Entry(id="ä"), Entry(id=""), Entry(id="x" * 513), Entry(id="a", metadata={"$x": 1}),
                                   Entry(id="a", metadata={"n": 2**70})])  # fmt: skip
def test_what_pinecone_cannot_hold_is_refused(store, entry):
    with pytest.raises(StoreError) as caught:
        store.upsert([entry], unit(1))
    assert caught.value.hint
    store.delete([entry.id])
    with pytest.raises(StoreError, match="no entry"):
        store.fetch([entry.id])


@pytest.mark.parametrize(
    ("fault", "said", "hint"),
    [("400", "400", "says why"), ("401", "401", "key"), ("403", "403", "quota"), ("404", "404", "name"), ("413", "413", "too long"),
     ("429", "429", "Wait 7 s"), ("500", "500", "try again"), ("503", "503", "try again"), ("reset", "cannot be used", "address"),
     ("garbage", "cannot be used", "address")],
)  # fmt: skip
def test_faults_are_one_request_and_one_error_without_the_key(server, store, fault, said, hint):
    store.upsert(entries(3), unit(3))
    calls = {
        "upsert": lambda: store.upsert(entries(1), unit(1)),
        "delete": lambda: store.delete(["c00000"]),
        "search": lambda: store.search(unit(1)[0], k=1),
        "ids": store.ids,
        "fetch": lambda: store.fetch(["c00000"]),
        "drop": store.drop,
    }
    for name, call in calls.items():
        if fault == "garbage" and name in ("delete", "drop"):
            continue  # the SDK does not read those answers
        if fault == "404" and name != "upsert":
            continue  # no such namespace: an empty space
        server.calls.clear()
        server.fail(fault)
        with pytest.raises(StoreError) as caught:
            call()
        assert len(server.calls) == 1, name
        assert said in str(caught.value)
        assert hint in caught.value.hint
        assert KEY not in "".join(traceback.format_exception(caught.value)) + caught.value.hint + repr(caught.value)
        server.heal()
    assert "c00001" in store.ids() or fault == "garbage"


@pytest.mark.parametrize("fault", ["401", "429", "503", "reset", "garbage"])
def test_faults_of_the_control_plane(server, fault):
    store = PineconeStore(server.endpoint, dimension=D, space="s")
    server.fail(fault)
    with pytest.raises(StoreError) as caught:
        store.count()
    assert len(server.calls) == 1
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert store.count() == 0


def test_an_answer_that_does_not_come(server):
    store = PineconeStore(replace(server.endpoint, timeout_seconds=1), dimension=D, space="s")
    store.upsert(entries(3), unit(3))
    server.fail("hang")
    begin = time.monotonic()
    with pytest.raises(StoreError, match="no answer in time"):
        store.search(unit(1)[0], k=1)
    assert time.monotonic() - begin < 5


def test_the_environment_is_not_read(server, monkeypatch):
    monkeypatch.setenv("PINECONE_API_KEY", "pcsk_of_somebody")
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", "http://192.0.2.1:1")
    monkeypatch.setenv("PINECONE_ADDITIONAL_HEADERS", '{"X-Extra": "1"}')
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    with pytest.raises(StoreError, match="401"):
        PineconeStore(replace(server.endpoint, api_key=""), dimension=D, space="s").count()
    PineconeStore(server.endpoint, dimension=D, space="s").upsert(entries(1), unit(1))
    assert all("pcsk" not in str(call.headers) and "x-extra" not in call.headers for call in server.calls)


def test_every_error_of_the_sdk_becomes_one_of_ours():
    kinds = {
        one
        for one in vars(pinecone.errors.exceptions).values()
        if isinstance(one, type) and issubclass(one, pinecone.errors.exceptions.PineconeError)
    }
    assert len(kinds) >= 15
    endpoint = Endpoint(api_key=KEY)
    for kind in kinds:
        wanted = inspect.signature(kind.__init__).parameters
        needed = {name: "x" for name, one in wanted.items() if name != "self" and one.default is inspect.Parameter.empty}
        own = wanted["status_code"].default if "status_code" in wanted else None
        for code in [400, 409, 422] if own is inspect.Parameter.empty else [own]:
            said = {name: f"broke with {KEY}" for name in ("message", "state") if name in wanted}
            error = kind(**(needed | said | ({"status_code": code} if code else {})))
            ours = translated(error, endpoint)
            assert isinstance(ours, StoreError)
            assert isinstance(ours, CollectionMissing) == (code == 404)
            assert code is None or f"answered {code}" in str(ours)
            assert ours.hint
            assert KEY not in str(ours) + ours.hint + repr(ours)


def test_a_date_to_wait_for(server):
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    error = pinecone.errors.exceptions.RateLimitError("slow down", headers={"Retry-After": date})
    hint = translated(error, server.endpoint).hint
    assert 90 <= int(hint.split()[1]) <= 100


def test_the_key_is_shown_nowhere(store, caplog):
    with caplog.at_level(logging.DEBUG):
        store.upsert(entries(3), unit(3))
        store.search(unit(1)[0], k=1)
    assert KEY not in caplog.text + repr(vars(store))


HOSTILE = {
    "deep": Reply(body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "gzip": Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
    "null": Reply(body=b"null"),
    "wait": Reply(body={"message": KEY}, status=429, headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}),
    "large": Reply(body=b" " * 5000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_store_errors(server, store, monkeypatch, name):
    store.upsert(entries(1), unit(1))
    monkeypatch.setattr(vendor, "MOST_BYTES", 4000)
    fresh = PineconeStore(replace(server.endpoint, timeout_seconds=7), dimension=D, space="s")
    for one in (store, fresh) if name != "large" else (fresh,):
        monkeypatch.setattr(server, "routes", lambda call: HOSTILE[name])
        with pytest.raises(StoreError) as caught:
            one.search(unit(1)[0], k=1)
        assert caught.value.hint
        assert KEY not in "".join(traceback.format_exception(caught.value))


def test_vectors_of_another_length_are_store_errors(server, store):
    store.upsert(entries(2), unit(2))
    for vectors in ([[1.0] * (D + 1)], [[1.0] * D, [1.0]]):
        records = server._records("s")
        for record, values in zip(records.values(), vectors, strict=False):
            record["values"] = values
        with pytest.raises(StoreError):
            store.fetch(["c00000", "c00001"][: len(vectors)])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server, monkeypatch, status):
    with upstream() as other:
        reply = Reply(body={}, status=status, headers={"Location": other.url + "/stolen"})
        monkeypatch.setattr(server, "routes", lambda call: reply)
        with pytest.raises(StoreError):
            PineconeStore(replace(server.endpoint, timeout_seconds=8), dimension=D, space="s").upsert(entries(1), unit(1))
        assert (len(server.calls), other.calls) == (1, [])
