"""What is special about Chroma: the server that goes and comes back, its errors, and what it would take from the environment."""

from __future__ import annotations

import inspect
import time
import traceback

import chromadb.errors
import httpx
import numpy as np
import pytest
from chromadb.api.models.Collection import Collection

from engine.errors import CollectionMissing, StoreError
from engine.stores import chroma
from engine.stores.chroma import ChromaStore
from engine.types import Condition, Endpoint, Entry
from tests.servers.chroma_server import free_port, running
from tests.upstreams.server import KEY, Reply, Upstream, serving


def unit(rows, dimension=8, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def entries(rows):
    return [Entry(id=f"c{i:04d}", metadata={"page": i}) for i in range(rows)]


@pytest.fixture
def store(tmp_path):
    made = ChromaStore(Endpoint(folder=str(tmp_path / "chroma")), dimension=8, space="x")
    yield made
    made.close()


def test_a_server_that_dies_and_comes_back(tmp_path):
    port = free_port()
    store = ChromaStore(Endpoint(base_url=f"http://127.0.0.1:{port}", timeout_seconds=5), dimension=8, space="x")
    vectors = unit(1200)
    with running(str(tmp_path), port):
        store.upsert(entries(1200), vectors)
        before = store.search(vectors[5], k=10)
    for call in (store.count, lambda: store.search(vectors[5], k=10), lambda: store.upsert(entries(1), vectors[:1])):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            call()
        assert "runs" in caught.value.hint
    with running(str(tmp_path), port):
        assert store.count() == 1200
        assert store.search(vectors[5], k=10) == before
        assert np.array_equal(store.fetch(["c0007", "c1199"]), vectors[[7, 1199]])
    store.close()


class Broken(Upstream):
    def routes(self, call):
        return Reply(body={"unexpected": True})


@pytest.mark.parametrize("fault", ["", "400", "401", "403", "429", "500", "503", "hang", "reset", "garbage"])
def test_faults_of_a_server_are_store_errors_without_the_key(fault):
    def endpoint(url):
        return Endpoint(base_url=url, api_key=KEY, timeout_seconds=1)

    with serving(Broken(), endpoint) as upstream:
        store = ChromaStore(upstream.endpoint, dimension=8, space="x")
        started = time.monotonic()
        for call in (store.count, lambda: store.search(unit(1)[0], k=1), lambda: store.upsert(entries(1), unit(1)), store.drop):
            if fault:
                upstream.fail(fault)
            if not fault and call == store.drop:
                continue  # its answer is not looked at
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.hint
            assert KEY not in f"{caught.value} {caught.value.hint} {caught.value!r} {caught.value.__cause__}"
            assert not isinstance(caught.value, CollectionMissing)
        assert time.monotonic() - started < 20  # a call that hangs would take 30
        assert upstream.calls[0].headers["x-chroma-token"] == KEY
        assert upstream.calls[0].headers["authorization"] == f"Bearer {KEY}"
        store.close()


ERRORS = [
    one
    for _, one in inspect.getmembers(chromadb.errors, inspect.isclass)
    if issubclass(one, chromadb.errors.ChromaError) and one is not chromadb.errors.ChromaError
]


@pytest.mark.parametrize("kind", [*ERRORS, httpx.ReadError, httpx.ReadTimeout, ValueError, KeyError, Exception])
def test_every_error_of_chroma_is_a_store_error(store, monkeypatch, kind):
    store.upsert(entries(1), unit(1))

    def fail(*_, **__):
        raise kind("no")

    monkeypatch.setattr(Collection, "query", fail)
    if kind is chromadb.errors.NotFoundError:  # another store dropped the collection just now
        assert store.search(unit(1)[0], k=1) == []
        return
    with pytest.raises(StoreError) as caught:
        store.search(unit(1)[0], k=1)
    assert caught.value.hint


def test_the_environment_and_a_file_named_env_change_nothing(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("CHROMA_SERVER_HOST=elsewhere\nANONYMIZED_TELEMETRY=true\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHROMA_API_IMPL", "chromadb.api.fastapi.FastAPI")
    monkeypatch.setenv("CHROMA_CLIENT_AUTH_PROVIDER", "nobody.knows")
    monkeypatch.setenv("IS_PERSISTENT", "false")
    store = ChromaStore(Endpoint(folder=str(tmp_path / "chroma")), dimension=8, space="x")
    store.upsert(entries(3), unit(3))
    store.close()
    assert (tmp_path / "chroma" / "chroma.sqlite3").exists()
    settings = chroma._Settings()
    assert settings.chroma_server_host is None
    assert chroma._opened(Endpoint(folder=str(tmp_path / "other"))).settings.anonymized_telemetry is False


def test_a_walk_through_the_graph_that_ends_early_is_made_good(store, monkeypatch):
    vectors = unit(200)
    store.upsert(entries(200), vectors)
    expected = store.search(vectors[3], k=20)
    query = Collection.query

    def short(self, *, n_results, **others):
        return query(self, n_results=min(n_results, 5), **others)

    monkeypatch.setattr(Collection, "query", short)
    assert store.search(vectors[3], k=20) == expected


def test_a_search_that_met_a_deletion_is_tried_again(store, monkeypatch):
    store.upsert(entries(20), unit(20))
    query, failures = Collection.query, [1, 1]

    def torn(self, **others):
        if failures:
            failures.pop()
            raise chromadb.errors.InternalError("Error executing plan: Internal error: Error finding id")
        return query(self, **others)

    monkeypatch.setattr(Collection, "query", torn)
    assert len(store.search(unit(1)[0], k=5)) == 5


def test_a_filter_with_a_long_list(store):
    store.upsert(entries(1500), unit(1500))
    wanted = tuple(f"c{i:04d}" for i in range(1200, 2400))
    found = store.search(unit(1)[0], k=400, where=(Condition(field="id", op="in", value=wanted),))
    assert len(found) == 300
    assert {match.id for match in found} <= set(wanted)


def test_an_integer_of_more_than_64_bits(store):
    store.upsert([Entry(id="a", metadata={"n": 2**70}), Entry(id="b", metadata={"n": 3})], unit(2))
    assert [one.id for one in store.search(unit(1)[0], k=2, where=(Condition(field="n", op="gte", value=4),))] == ["a"]


def test_a_damaged_folder_fails_once_then_it_is_put_aside_and_begun_anew(tmp_path):
    folder = tmp_path / "chroma"
    folder.mkdir()
    (folder / "chroma.sqlite3").write_bytes(b"no database" * 1000)
    store = ChromaStore(Endpoint(folder=str(folder)), dimension=8, space="x")
    with pytest.raises(StoreError, match="not a database"):
        store.count()
    assert store.count() == 0  # the lock on the folder was not kept by the failure
    store.close()
    assert (tmp_path / "chroma.damaged" / "chroma.sqlite3").read_bytes().startswith(b"no database")


def test_a_server_that_is_not_ours(monkeypatch):
    """No proxy of the environment sees the key, no redirect is followed, and a long answer is not read."""
    replies = [
        Reply(body={}, status=307, headers={"Location": "http://192.0.2.1:1/stolen"}),
        Reply(body=b" " * 5000),
        Reply(body={}, headers={"Content-Encoding": "gzip"}),
        Reply(body={"error": "NotFoundError", "message": KEY}, status=404),
    ]
    monkeypatch.setattr(chroma, "MOST_BYTES", 4000)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    with serving(Broken(), lambda url: Endpoint(base_url=url, api_key=KEY, timeout_seconds=5)) as upstream:
        store = ChromaStore(upstream.endpoint, dimension=8, space="x")
        for at, reply in enumerate(replies):
            monkeypatch.setattr(upstream, "routes", lambda call, reply=reply: reply)
            with pytest.raises(StoreError) as caught, store._asking() as api:
                store._collection(api)
            assert len(upstream.calls) == at + 1
            assert caught.value.hint
            assert KEY not in "".join(traceback.format_exception(caught.value))
        store.close()


def test_an_address_without_a_port_means_the_one_of_its_scheme():
    for scheme, port in (("http", 80), ("https", 443)):
        system = chroma._opened(Endpoint(base_url=f"{scheme}://192.0.2.1"))
        assert f":{port}/" in chroma._api(system).get_api_url()
        chroma._closed(system)
