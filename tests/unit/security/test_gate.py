"""The gate before a real server on loopback: HTTP, handshakes, and frames of open websockets."""

import asyncio
import contextlib
import socket
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.security.gate import REVOKED, Gate
from engine.security.headers import content_security_policy, security_headers
from engine.security.wire import cookie_values
from engine.types import Principal, Role
from ui.login import local_path

ANNA, BOB = "anna-token-0123456789abcdef", "bob-token-0123456789abcdef"
HTML = {"accept": "text/html"}


class Sessions:
    def __init__(self):
        self.rows = {ANNA: self.principal("anna"), BOB: self.principal("bob")}
        self.lookups = 0

    @staticmethod
    def principal(name):
        return Principal(user_id=f"u-{name}", name=name, role=Role.ANALYST, session_id=f"s-{name}")

    async def authenticate(self, token):
        self.lookups += 1
        return self.rows.get(token)


async def echo(request):
    return PlainTextResponse("\n".join(f"{name}: {value}" for name, value in request.headers.items()))


async def talk(websocket):
    await websocket.accept()
    await websocket.send_text(websocket.headers["x-wb-session"])
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())


async def html(_request):
    return HTMLResponse("<p>page", headers={"cache-control": "public, max-age=60"})


ROUTES = [
    Route("/html", html),
    *(Route(path, echo, methods=["GET", "POST"]) for path in ("/", "/login", "/page", "/healthz/live")),
    WebSocketRoute("/ws", talk),
]


@contextlib.asynccontextmanager
async def serving(app):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # so that a client that comes before the server is queued, not refused
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="websockets-sansio"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def sessions():
    return Sessions()


@pytest.fixture
async def host(sessions):
    headers = security_headers("<script>one()</script>", secure=False)
    gate = Gate(Starlette(routes=ROUTES), authenticate=sessions.authenticate, headers=headers, farewell=b"bye", cache_seconds=0)
    async with serving(gate) as address:
        yield address


@pytest.fixture
async def client(host):
    async with httpx.AsyncClient(base_url=f"http://{host}") as made:
        yield made


def cookie(token):
    return {"cookie": f"wb_session={token}"}


async def test_liveness_answers_strangers_and_looks_nothing_up(client, sessions):
    assert (await client.get("/healthz/live")).status_code == 200
    assert sessions.lookups == 0


async def test_strangers_are_sent_to_the_login_or_refused(client):
    page = await client.get("/page", headers=HTML)
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/page")
    assert (await client.get("/", headers=HTML)).headers["location"] == "/login"
    assert (await client.get("/page")).status_code == 401
    assert (await client.post("/page", headers=HTML)).status_code == 401
    assert (await client.get("/login")).status_code == 200


@pytest.mark.parametrize(
    ("asked", "target"),
    [("/?conversation=k-1", "/?conversation=k-1"), ("/page?a=1&b=%26", "/page?a=1&b=%26"), ("//evil.example/?x=1", "/"),
     ("/%5Cevil.example?x", "/%5Cevil.example?x"), ("/page?" + "x" * 600, "/page"), ("/?next=https://evil.example", "/?next=https://evil.example")],
)  # fmt: skip
async def test_the_way_through_the_sign_in_keeps_the_whole_address_and_stays_here(host, asked, target):
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{host}{asked}", headers=HTML)
    sent = parse_qs(urlsplit(answer.headers["location"]).query)["next"][0]
    assert urlsplit(answer.headers["location"]).path == "/login"
    assert local_path(sent) == target


async def test_no_page_stays_in_the_store_of_a_browser(client):
    assert (await client.get("/html", headers=cookie(ANNA))).headers.get_list("cache-control") == ["no-store"]
    assert "cache-control" not in (await client.get("/page", headers=cookie(ANNA))).headers


@pytest.mark.parametrize(
    "path", ["/login/../page", "/login%2f..%2fpage", "//login", "/login/", "/Login", "/login;x", "/healthz/live/x"]
)
async def test_no_spelling_of_an_open_path_opens_another(client, path):
    assert (await client.get(path)).status_code in (401, 404)


async def test_a_session_opens_the_door_with_its_identity(client):
    answer = await client.get("/page", headers=cookie(ANNA))
    assert answer.status_code == 200
    assert "x-wb-session: s-anna" in answer.text
    assert "x-wb-user: u-anna" in answer.text


@pytest.mark.parametrize("path", ["/page", "/login"])
async def test_identity_headers_of_the_client_are_dropped(client, path):
    spoofed = {"X-WB-Session": "s-root", "x-wb-user": "u-root", "X-Wb-Role": "admin", **cookie(ANNA)}
    answer = await client.get(path, headers=spoofed)
    assert answer.status_code == 200
    assert "root" not in answer.text
    assert "x-wb-role" not in answer.text


@pytest.mark.parametrize(
    "value",
    ["", "wb_session", "wb_session=", "wb_session=short", "=;;;=", "wb_session=" + "x" * 5000, 'wb_session="bad; quotes',
     f"wb_session={ANNA}; wb_session={BOB}", f"wb_session={ANNA}\xff", f"WB_SESSION={ANNA}", f"__Host-wb_session={ANNA}"],
)  # fmt: skip
async def test_malformed_doubled_and_foreign_cookies_are_strangers(client, value):
    assert (await client.get("/page", headers={"cookie": value.encode("latin-1")})).status_code == 401


async def test_the_same_cookie_twice_is_no_conflict(client):
    assert (await client.get("/page", headers={"cookie": f"a=1; wb_session={ANNA}; wb_session={ANNA}"})).status_code == 200


async def test_every_answer_carries_the_security_headers(client):
    for path, headers in (("/login", {}), ("/page", {}), ("/page", cookie(ANNA)), ("/nowhere", cookie(ANNA))):
        found = (await client.get(path, headers=headers)).headers
        assert "frame-ancestors 'self'" in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in found


@pytest.mark.parametrize(
    "headers", [{}, cookie("x" * 30), {**cookie(ANNA), "origin": "https://evil.example"}, {**cookie(ANNA), "origin": "null"}]
)
async def test_websockets_of_strangers_and_foreign_pages_are_refused_before_accept(host, headers):
    origin = headers.pop("origin", None)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{host}/ws", additional_headers=headers, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_websocket_of_our_own_page_is_served(host):
    async with connect(f"ws://{host}/ws", additional_headers=cookie(ANNA), origin=f"http://{host}") as websocket:
        assert await websocket.recv() == "s-anna"
        await websocket.send("hello")
        assert await websocket.recv() == "HELLO"


async def test_a_revoked_session_closes_its_open_websocket_at_the_next_frame(host, sessions):
    headers = cookie(ANNA)
    async with connect(f"ws://{host}/ws", additional_headers=headers) as websocket:
        await websocket.recv()
        del sessions.rows[ANNA]
        await websocket.send("secret?")
        assert await websocket.recv() == b"bye"
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
    assert closed.value.rcvd.code == REVOKED
    with pytest.raises(InvalidStatus):
        async with connect(f"ws://{host}/ws", additional_headers=headers):
            pass


async def test_a_lookup_is_reused_for_a_second_and_no_longer(sessions):
    now = 100.0
    gate = Gate(Starlette(routes=ROUTES), authenticate=sessions.authenticate, clock=lambda: now)
    transport = httpx.ASGITransport(gate)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/page", headers=cookie(ANNA))).status_code == 200
        del sessions.rows[ANNA]
        now = 100.9
        assert (await client.get("/page", headers=cookie(ANNA))).status_code == 200
        now = 101.0
        assert (await client.get("/page", headers=cookie(ANNA))).status_code == 401
    assert sessions.lookups == 2


async def test_with_tls_only_the_host_cookie_counts(sessions):
    gate = Gate(Starlette(routes=ROUTES), authenticate=sessions.authenticate, secure_cookies=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="https://test") as client:
        assert (await client.get("/page", headers=cookie(ANNA))).status_code == 401
        assert (await client.get("/page", headers={"cookie": f"__Host-wb_session={ANNA}"})).status_code == 200


def test_the_policy_allows_exactly_the_inline_scripts_of_the_index_page():
    policy = content_security_policy("<script>one()</script><script type='module' src='x.js'></script>")
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert scripts.count("sha256-") == 1
    assert "unsafe-inline" not in scripts
    assert "'unsafe-eval'" not in scripts


def test_hsts_only_with_tls():
    assert b"strict-transport-security" in dict(security_headers("", secure=True))
    assert b"strict-transport-security" not in dict(security_headers("", secure=False))


def test_cookie_values_of_several_headers_are_joined():
    headers = [(b"cookie", b"wb_session=a"), (b"Cookie", b"x=1; wb_session = b")]
    assert cookie_values(headers, "wb_session") == {"a", "b"}
