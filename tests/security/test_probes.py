"""The probes and the operators' routes of a running server: who may, and what strangers read."""

import asyncio
import json

import httpx
import pytest

from ui import probes, server

PROBES = ("/healthz/live", "/healthz/ready", "/healthz/startup")


@pytest.mark.parametrize("path", PROBES)
def test_strangers_get_one_word_at_any_host_name_by_get_and_head(url, seed, path):
    found = httpx.get(url + path, headers={"host": "10.0.0.7:8501"})
    head = httpx.head(url + path)
    assert (found.status_code, head.status_code, head.content) == (200, 200, b"")
    assert found.headers["cache-control"] == "no-store"
    if path == "/healthz/live":
        assert found.text == "ok\n"
    else:
        assert found.json() in ({"status": "ready"}, {"status": "degraded"})
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert httpx.request(method, url + path).status_code == 405


def test_nothing_else_below_healthz_is_open(url, seed):
    for path in ("/healthz", "/healthz/", "/healthz/ready/", "/healthz/ready/x", "/healthz/%72eady", "//healthz/ready"):
        assert httpx.get(url + path).status_code in (400, 401), path


def test_orchestrators_ask_as_often_as_they_like(url, seed):
    with httpx.Client(base_url=url) as client:
        assert {client.get("/healthz/ready").status_code for _ in range(200)} == {200}


def test_without_an_engine_the_answer_is_unready_and_says_when_to_come_back():
    server.disconnect()
    for probe in (probes.ready, probes.startup):
        found = asyncio.run(probe(None))
        assert (found.status_code, json.loads(found.body)) == (503, {"status": "unready"})
        assert found.headers["retry-after"] == "5"


def key(url, seed, name):
    return httpx.Client(base_url=url + "/api/v1", headers={"authorization": f"Bearer {seed['keys'][name]}"}, timeout=60)


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("oscar", 200), ("root", 200)])
def test_health_is_for_keys_that_operate(url, seed, name, status):
    with key(url, seed, name) as client:
        found = client.get("/health")
        assert found.status_code == status
        if status == 200:
            assert {"name", "state", "detail", "effect", "hint", "checked_at", "dependency"} <= set(found.json()[0])
            assert client.get("/health", params={"fresh": "true"}).status_code == 200


def test_operators_keys_reach_nothing_of_the_admins(url, seed):
    with key(url, seed, "oscar") as client:
        assert {client.get(path).status_code for path in ("/users", "/audit")} == {403}


ROUTES = [
    ("GET", "/breakers", 200), ("POST", "/breakers/x/trip", 404), ("GET", "/measurements", 200), ("GET", "/measurements?range=24+h", 200),
    ("GET", "/alerts", 200), ("POST", "/alerts/x/acknowledge", 404), ("GET", "/incidents", 200),
]  # fmt: skip


def test_the_other_routes_of_operators_are_closed_to_analysts(url, seed):
    with key(url, seed, "alice") as alice, key(url, seed, "oscar") as oscar:
        for method, path, status in ROUTES:
            assert alice.request(method, path).status_code == 403, path
            found = oscar.request(method, path)
            assert found.status_code == status, (path, found.text)


def test_what_is_no_command_range_or_reason_is_told(url, seed):
    with key(url, seed, "oscar") as client:
        assert client.post("/breakers/x/explode").status_code == 422
        assert client.post("/breakers/x/trip", json={"reason": "x" * 201}).status_code == 422
        assert client.get("/measurements", params={"range": "1 year"}).status_code == 422
