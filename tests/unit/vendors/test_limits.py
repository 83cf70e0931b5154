"""Transports that end an answer which grows or lasts too long, at a real server, for both HTTP libraries."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import threading
import time
from contextlib import suppress

import httpx
import httpx2
import pytest

from engine.errors import BadResponse, ProviderTimeout
from engine.types import Endpoint
from engine.vendors.limits import MOST_ERROR_BYTES, Limits, async_settings, most_chars, sync_settings
from tests.upstreams.server import Reply, Upstream, serving

PIECE = b" " * 50_000


@pytest.fixture
def server():
    with serving(Upstream(), lambda url: Endpoint(base_url=url)) as running:
        yield running


@pytest.fixture(params=[(httpx, False), (httpx, True), (httpx2, False), (httpx2, True)], ids=str)
def get(request, server):
    library, waits = request.param

    def sync_get(limits):
        with library.Client(**sync_settings(library, limits)) as client:
            return client.get(server.url)

    async def async_get(limits):
        async with library.AsyncClient(**async_settings(library, limits)) as client:
            return await client.get(server.url)

    return (lambda limits: asyncio.run(async_get(limits))) if waits else sync_get


def test_an_answer_within_the_limits_comes_whole(server, get):
    server.routes = lambda call: Reply(body={"a": "b" * 100_000})
    assert get(Limits("p", 5, 100_009)).json() == {"a": "b" * 100_000}
    assert server.calls[0].headers["accept-encoding"] == "identity"
    with pytest.raises(BadResponse, match="p gave an answer of more than"):
        get(Limits("p", 5, 100_008))


def test_an_endless_answer_is_ended(server, get):
    server.routes = lambda call: Reply(stream=itertools.repeat(PIECE))
    with pytest.raises(BadResponse, match="more than 2 MB"):
        get(Limits("p", 30, 2 * 2**20))
    assert server.wait_until_no_stream()


def test_an_endless_error_is_cut(server, get):
    server.routes = lambda call: Reply(stream=itertools.repeat(PIECE), status=429)
    response = get(Limits("p", 30))
    assert response.status_code == 429
    assert 0 < len(response.content) <= MOST_ERROR_BYTES
    assert server.wait_until_no_stream()


def test_a_body_that_drips_is_ended(server, get):
    server.slow = 0.1
    server.routes = lambda call: Reply(stream=itertools.repeat(b" "))
    with pytest.raises(ProviderTimeout, match="p gave no answer within 1 s"):
        get(Limits("p", 1))
    assert server.wait_until_no_stream()


def test_headers_that_drip_are_ended(get, server):
    def drip():
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                connection.sendall(b"X-A: a\r\n")
                time.sleep(0.2)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ProviderTimeout, match="p gave no answer within 1 s"):
            get(Limits("p", 1))


def test_a_compressed_answer_is_refused(server, get):
    server.routes = lambda call: Reply(body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadResponse, match="compressed"):
        get(Limits("p", 5))


def test_a_redirect_is_not_followed(server, get):
    server.routes = lambda call: Reply(status=302, headers={"Location": "/elsewhere"}, body={})
    assert get(Limits("p", 5)).status_code == 302
    assert len(server.calls) == 1


def test_the_proxy_of_the_machine_is_not_used(server, get, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.routes = lambda call: Reply(body={})
    assert get(Limits("p", 5)).status_code == 200


def test_how_long_an_answer_may_grow():
    assert most_chars(100) == 3_600
