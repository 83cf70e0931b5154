"""Attacks on a running server, over real sockets."""

import re

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.security.driver import run, signed_in, tab

FOREIGN = "https://evil.example"
MEDIA = re.compile(rb"/media/[0-9a-f]+\.[a-z]+")


def test_strangers_get_nothing_but_the_sign_in(url):
    paths = ("/", "/_stcore/metrics", "/_stcore/host-config", "/_stcore/health", "/media/x", "/component/x", "/static/x",
             "/files/documents/x", "/api/v1/me", "/LOGIN", "//login", "/login/%2e%2e/documents", "/login;x")  # fmt: skip
    for path in paths:
        assert httpx.get(url + path).status_code == 401, path
    assert httpx.get(url + "/documents", headers={"accept": "text/html"}).status_code == 303
    assert httpx.get(url + "/login").status_code == 200


def test_a_foreign_name_for_this_server_is_refused(url):
    assert httpx.get(url + "/login", headers={"host": "rebound.example"}).status_code == 421


def test_uploads_of_strangers_are_refused(url):
    for _ in range(12):
        answer = httpx.put(url + "/_stcore/upload_file/any/file", content=b"x" * 1_000_000)
        assert answer.status_code == 401


async def test_strangers_and_foreign_pages_open_no_websocket(url):
    alice = signed_in(url, "alice").headers["cookie"]
    for cookie, origin in (("", None), ("wb_session=" + "x" * 43, None), (alice, FOREIGN)):
        with pytest.raises(InvalidStatus) as refused:
            async with tab(url, cookie, origin=origin):
                pass
        assert refused.value.response.status_code == 403


async def test_a_replayed_streamlit_session_gives_nothing_of_it(url):
    alice, bob = signed_in(url, "alice").headers["cookie"], signed_in(url, "bob").headers["cookie"]
    async with tab(url, alice) as websocket:
        hers, _, _ = await run(websocket)
        async with tab(url, bob, replay=hers) as other:
            his, _, _ = await run(other)
        assert his != hers
        assert (await run(websocket))[0] == hers


async def test_identity_headers_of_the_client_change_nothing(url):
    bob = signed_in(url, "bob").headers["cookie"]
    async with tab(url, bob, headers=[("x-wb-user", "root"), ("x-wb-session", "s-0")]) as websocket:
        _, frames, _ = await run(websocket, "users")
    assert b"This page is for the role admin" in b"".join(frames)


async def keep_running(websocket):
    for _ in range(200):
        await run(websocket)


async def test_an_ended_session_closes_its_open_websocket(url):
    client = signed_in(url, "bob")
    async with tab(url, client.headers["cookie"]) as websocket:
        await run(websocket)
        client.get("/auth/logout", headers={"sec-fetch-site": "same-origin"})
        with pytest.raises(ConnectionClosed) as closed:
            await keep_running(websocket)
    assert closed.value.rcvd.code == 4401


async def test_nobody_uploads_into_the_tab_of_another(url):
    alice, bob = signed_in(url, "alice"), signed_in(url, "bob")
    async with tab(url, alice.headers["cookie"]) as websocket:
        hers, _, _ = await run(websocket)

        def put(client):
            token = "2|00000000|" + "0" * 32 + "|1"
            headers = {"cookie": client.headers["cookie"] + f"; _streamlit_xsrf={token}", "x-xsrftoken": token}
            return client.put(
                f"/_stcore/upload_file/{hers}/f1", files={"file": ("a.txt", b"text")}, headers=headers
            ).status_code

        assert put(bob) == 404
        assert put(alice) != 404
        assert bob.delete(f"/_stcore/upload_file/{hers}/f1").status_code == 404


async def test_a_media_file_is_for_whom_it_was_made(url, seed):
    alice, bob = signed_in(url, "alice"), signed_in(url, "bob")
    async with tab(url, bob.headers["cookie"]) as websocket:
        _, frames, _ = await run(websocket, "documents", f"document={seed['document_id']}")
        everybodys = set(MEDIA.findall(b"".join(frames)))
    async with tab(url, alice.headers["cookie"]) as websocket:
        _, frames, _ = await run(websocket, "documents", f"document={seed['document_id']}")
        hers = set(MEDIA.findall(b"".join(frames))) - everybodys
        assert hers, "the page shows no picture of the document"
        for address in hers:
            assert alice.get(address.decode()).status_code == 200
            assert bob.get(address.decode()).status_code == 404
            assert httpx.get(url + address.decode()).status_code == 401


def test_a_download_is_for_whom_may_read_and_an_attachment_that_runs_nothing(url, seed):
    answer = signed_in(url, "alice").get(f"/files/documents/{seed['document_id']}")
    assert signed_in(url, "bob").get(f"/files/documents/{seed['document_id']}").status_code == 404
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert signed_in(url, "alice").get("/files/documents/none").status_code == 404
