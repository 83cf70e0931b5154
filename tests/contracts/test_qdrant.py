"""What is special about Qdrant: what goes over the wire, its errors, and large numbers."""

from __future__ import annotations

import inspect
import traceback

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client.common import client_exceptions
from qdrant_client.http import exceptions

from engine.errors import CollectionMissing, StoreError
from engine.stores import qdrant
from engine.stores.qdrant import QdrantStore
from engine.types import Condition, Endpoint, Entry
from tests.upstreams.qdrant import upstream
from tests.upstreams.server import KEY, Reply


def unit(rows, dimension=8, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def entries(rows, **metadata):
    return [Entry(id=f"c{i:04d}", metadata={"page": i, **metadata}) for i in range(rows)]


@pytest.fixture
def server():
    with upstream() as running:
        yield running


@pytest.fixture
def remote(server):
    store = QdrantStore(server.endpoint, dimension=8, space="x")
    yield store
    store.close()


@pytest.fixture
def local(tmp_path):
    store = QdrantStore(Endpoint(folder=str(tmp_path)), dimension=8, space="x")
    yield store
    store.close()


def test_the_constructor_asks_nobody(server, remote):
    assert server.calls == []


def test_what_goes_over_the_wire(server, remote):
    remote.upsert(entries(600, kind="a", final=True), unit(600))
    made = next(call for call in server.calls if call.method == "PUT" and call.path == "/collections/wb_x")
    assert made.body["vectors"] == {"size": 8, "distance": "Dot"}
    assert server.indexed["wb_x"] == {"page": "float", "kind": "keyword", "final": "bool"}
    batches = [call for call in server.calls if call.path.startswith("/collections/wb_x/points?")]
    assert [len(call.body["batch"]["ids"]) for call in batches] == [256, 256, 88]
    assert all("wait=true" in call.path for call in batches)
    assert all(call.headers["api-key"] == KEY for call in server.calls)
    server.calls.clear()
    remote.search(unit(1)[0], k=5, where=(Condition(field="page", op="gte", value=3),))
    (call,) = server.calls
    assert call.body["filter"]["must"][0]["range"] == {"gte": 3.0}
    assert call.body["params"]["hnsw_ef"] == 256
    assert call.body["limit"] == 21


def test_indexes_of_fields_are_made_once_and_again_after_a_drop(server, remote):
    def made():
        return [call.body["field_name"] for call in server.calls if "/index" in call.path]

    remote.upsert(entries(2), unit(2))
    remote.upsert(entries(2, kind="a"), unit(2))
    assert made() == ["page", "kind"]
    remote.drop()
    remote.upsert(entries(2), unit(2))
    assert made() == ["page", "kind", "page"]


@pytest.mark.parametrize("fault", ["400", "401", "403", "413", "429", "500", "503", "hang", "reset", "garbage"])
def test_faults_of_a_server_are_store_errors_without_the_key(server, fault):
    endpoint = Endpoint(base_url=server.url, api_key=KEY, timeout_seconds=1)
    store = QdrantStore(endpoint, dimension=8, space="x")
    store.upsert(entries(1), unit(1))
    calls = [
        store.count,
        store.ids,
        lambda: store.search(unit(1)[0], k=1),
        lambda: store.upsert(entries(1), unit(1)),
        lambda: store.delete(["c"]),
    ]
    for call in calls:
        server.fail(fault)
        before = len(server.calls)
        with pytest.raises(StoreError) as caught:
            call()
        assert len(server.calls) == before + 1
        assert caught.value.hint
        assert KEY not in f"{caught.value} {caught.value.hint} {caught.value!r} {caught.value.__cause__}"
        assert not isinstance(caught.value, CollectionMissing)
    assert store.count() == 1
    store.close()


def instances():
    response = httpx.Response(418, content=b"no", request=httpx.Request("GET", "http://127.0.0.1"))
    yield exceptions.UnexpectedResponse.for_response(response)
    yield exceptions.ResponseHandlingException(httpx.ReadTimeout("no"))
    yield exceptions.ResponseHandlingException(ValueError("no"))
    yield client_exceptions.ResourceExhaustedResponse("no", 3)
    yield client_exceptions.QdrantException("no")
    yield exceptions.ApiException("no")
    yield from (ValueError("no"), KeyError("no"), RuntimeError("no"), OSError("no"))


def test_every_error_of_qdrant_is_a_store_error(local, monkeypatch):
    known = {
        one
        for module in (exceptions, client_exceptions)
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, Exception) and one.__module__ == module.__name__
    }
    assert known <= {type(one) for one in instances()}
    local.upsert(entries(1), unit(1))
    for error in instances():

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(QdrantClient, "query_points", fail)
        with pytest.raises(StoreError) as caught:
            local.search(unit(1)[0], k=1)
        assert caught.value.hint


@pytest.mark.parametrize(
    ("op", "value", "expected"), [("eq", 2**53, [0]), ("gte", 2**53 + 1, [1]), ("in", (2**53 + 1, 7), [1, 2])]
)
def test_numbers_that_a_float_cannot_tell_apart(local, op, value, expected):
    local.upsert([Entry(id=str(i), metadata={"n": n}) for i, n in enumerate((2**53, 2**53 + 1, 7))], unit(3))
    found = local.search(unit(1)[0], k=3, where=(Condition(field="n", op=op, value=value),))
    assert sorted(int(match.id) for match in found) == expected


def test_fields_with_dots_and_brackets(local):
    local.upsert([Entry(id="a", metadata={"x.y": 1, "z[0]": "u"}), Entry(id="b", metadata={"x": 1})], unit(2))
    for field, value in (("x.y", 1), ("z[0]", "u")):
        assert [m.id for m in local.search(unit(1)[0], k=3, where=(Condition(field=field, op="eq", value=value),))] == ["a"]


def test_many_points_in_a_folder_do_not_wait_for_the_disk_one_by_one(local, tmp_path):
    local.upsert(entries(3), unit(3))
    local.close()
    local.upsert(entries(3), unit(3))  # opened again: the setting holds for a connection only
    connection = local._lease.client().client._client.collections["wb_x"].storage.storage
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_a_server_that_is_not_ours(server, monkeypatch):
    """No proxy of the environment sees the key, no redirect is followed, and a long answer is not read."""
    replies = [
        Reply(body={}, status=307, headers={"Location": "http://192.0.2.1:1/stolen"}),
        Reply(body=b" " * 5000),
        Reply(body={}, headers={"Content-Encoding": "gzip"}),
        Reply(body=b'{"a":' * 500 + b"1" + b"}" * 500),
        Reply(body={"status": {"error": KEY}}, status=500),
    ]
    monkeypatch.setattr(qdrant, "MOST_BYTES", 4000)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    store = QdrantStore(Endpoint(base_url=server.url, api_key=KEY, timeout_seconds=5), dimension=8, space="x")
    for at, reply in enumerate(replies):
        monkeypatch.setattr(server, "routes", lambda call, reply=reply: reply)
        with pytest.raises(StoreError) as caught:
            store.count()
        assert len(server.calls) == at + 1
        assert caught.value.hint
        assert KEY not in "".join(traceback.format_exception(caught.value))
    store.close()


def test_an_address_without_a_port_means_the_one_of_its_scheme():
    for scheme, port in (("http", 80), ("https", 443)):
        client = qdrant._opened(Endpoint(base_url=f"{scheme}://192.0.2.1")).client
        assert client._client.rest_uri == f"{scheme}://192.0.2.1:{port}"
        client.close()
