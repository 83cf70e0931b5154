"""The sign-in routes behind the gate, over the workbench in memory: cookies, forgery, redirects, wording."""

import re

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from engine.errors import StoreError
from engine.security.gate import Gate
from engine.settings import Settings
from engine.types import Role
from tests.ui.fake_workbench import FakeWorkbench
from ui import login, server
from ui.login import local_path

PASSWORD = "correct horse battery"


async def home(_request):
    return PlainTextResponse("inside")


@pytest.fixture
def workbench():
    made = FakeWorkbench()
    with start_blocking_portal() as portal:
        server.connect(made, portal)
        yield made
        server.disconnect()


def browser(*, secure=False):
    settings = Settings(secure_cookies=secure)
    routes = [*login.routes(settings), Route("/", home), Route("/documents", home)]
    gate = Gate(Starlette(routes=routes), authenticate=server.authenticate, secure_cookies=secure, cache_seconds=0)
    scheme = "https" if secure else "http"
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(gate), base_url=f"{scheme}://workbench.test", headers={"accept": "text/html"}
    )


@pytest.fixture
async def client(workbench):
    async with browser() as made:
        yield made


async def form_token(client, path="/login"):
    page = await client.get(path)
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


async def sign_in(client, name="anna", password=PASSWORD, **fields):
    headers = fields.pop("headers", {})
    data = {"csrf": await form_token(client), "name": name, "password": password, **fields}
    return await client.post("/login", data=data, headers=headers)


async def test_the_first_visitor_is_led_to_the_set_up_and_in(client, workbench):
    assert (await client.get("/login")).headers["location"] == "/setup"
    page = await client.get("/setup", params={"token": workbench.setup_token})
    assert "The server printed it when it started" in page.text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)[1]
    fields = {"csrf": csrf, "token": "wrong", "name": "anna", "password": PASSWORD}
    refused = await client.post("/setup", data=fields)
    assert refused.status_code == 403
    assert 'value="anna"' in refused.text
    short = await client.post("/setup", data={**fields, "token": workbench.setup_token, "password": "short"})
    assert short.status_code == 400
    assert "fewer than 10 characters" in short.text
    done = await client.post("/setup", data={**fields, "token": workbench.setup_token})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert (await client.get("/")).text == "inside"
    assert workbench.people["anna"].role is Role.ADMIN
    assert (await client.get("/setup")).headers["location"] == "/login"


async def test_signing_in_sets_one_http_only_cookie_and_goes_where_one_wanted_to(client, workbench):
    workbench.person("anna", Role.ANALYST)
    answer = await sign_in(client, next="/documents")
    assert (answer.status_code, answer.headers["location"]) == (303, "/documents")
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("wb_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert answer.headers["cache-control"] == "no-store"


async def test_with_tls_the_cookies_are_secure_and_bound_to_the_host(workbench):
    workbench.person("anna", Role.ANALYST)
    async with browser(secure=True) as client:
        answer = await sign_in(client)
        cookie = next(value for value in answer.headers.get_list("set-cookie") if "session" in value)
        assert cookie.startswith("__Host-wb_session=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        assert (await client.get("/")).text == "inside"


async def test_each_sign_in_has_a_new_token(client, workbench):
    workbench.person("anna", Role.ANALYST)
    planted = "planted-token-0123456789abcdef"
    client.cookies.set("wb_session", planted, domain="workbench.test")
    await sign_in(client)
    first = set(workbench.tokens)
    client.cookies.delete("wb_session")
    await sign_in(client)
    assert planted not in workbench.tokens
    assert len(set(workbench.tokens) - first) == 1


async def test_every_wrong_sign_in_reads_the_same_and_keeps_the_name(client, workbench):
    workbench.person("anna", Role.ANALYST)
    wrong = await sign_in(client, password="wrong password")
    unknown = await sign_in(client, name="nobody", password="wrong password")
    assert wrong.status_code == unknown.status_code == 401
    alert = re.compile(r'role="alert">([^<]+)<')
    assert alert.search(wrong.text)[1] == alert.search(unknown.text)[1]
    assert 'value="anna"' in wrong.text
    assert "wrong password" not in wrong.text
    assert not workbench.tokens


async def test_what_was_typed_is_escaped(client, workbench):
    workbench.person("anna", Role.ANALYST)
    page = await sign_in(client, name='"><script>alert(1)</script>', password="x", next='/"><b>')
    assert "<script>" not in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
async def test_a_form_posted_from_elsewhere_is_refused(client, workbench, headers):
    workbench.person("anna", Role.ANALYST)
    assert (await sign_in(client, headers=headers)).status_code == 403
    assert not workbench.tokens


@pytest.mark.parametrize("csrf", ["", "other", "ünicode"])
async def test_a_form_without_the_token_of_its_cookie_is_refused(client, workbench, csrf):
    workbench.person("anna", Role.ANALYST)
    assert (await sign_in(client, csrf=csrf)).status_code == 403
    client.cookies.clear()
    assert (await client.post("/login", data={"csrf": "", "name": "anna", "password": PASSWORD})).status_code == 403


async def test_a_huge_form_is_not_read(client, workbench):
    workbench.person("anna", Role.ANALYST)
    assert (await sign_in(client, filler="x" * 20_000)).status_code == 403


async def test_a_database_that_fails_is_said_and_not_blamed_on_the_user(client, workbench):
    workbench.person("anna", Role.ANALYST)
    workbench.fail["sign_in"] = StoreError("the database is locked", hint="try again in a minute")
    answer = await sign_in(client)
    assert answer.status_code == 503
    assert "The database is locked. Try again in a minute." in answer.text


async def test_signing_out_ends_the_session_on_the_server(client, workbench):
    workbench.person("anna", Role.ANALYST)
    await sign_in(client)
    out = await client.get("/auth/logout", headers={"sec-fetch-site": "same-origin"})
    assert (out.status_code, out.headers["location"]) == (303, "/login?out=1")
    assert not workbench.tokens
    assert (await client.get("/")).status_code == 303
    assert "You are signed out." in (await client.get("/login?out=1")).text


async def test_a_foreign_link_cannot_sign_anybody_out(client, workbench):
    workbench.person("anna", Role.ANALYST)
    await sign_in(client)
    asked = await client.get("/logout", headers={"sec-fetch-site": "cross-site"})
    assert "Sign out?" in asked.text
    assert workbench.tokens
    csrf = re.search(r'name="csrf" value="([^"]+)"', asked.text)[1]
    assert (await client.post("/logout", data={"csrf": csrf})).status_code == 303
    assert not workbench.tokens


async def test_the_pages_need_no_script_and_name_their_fields(client, workbench):
    workbench.person("anna", Role.ANALYST)
    page = (await client.get("/login?next=/documents")).text
    assert "<script" not in page
    assert "style=" not in page
    for field in re.findall(r'<input id="(\w+)"', page):
        assert f'<label for="{field}">' in page
    assert "text/css" in (await client.get("/login/style.css")).headers["content-type"]


async def test_who_is_signed_in_needs_no_login_page(client, workbench):
    workbench.person("anna", Role.ANALYST)
    await sign_in(client)
    assert (await client.get("/login?next=/documents")).headers["location"] == "/documents"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n//evil.example",
     "javascript:alert(1)", "evil.example", "", "///evil.example", "/login", "/logout", " /documents"],
)  # fmt: skip
def test_only_paths_of_this_site_are_followed(target):
    assert local_path(target) == "/"


def test_local_paths_are_kept():
    assert local_path("/documents") == "/documents"
    assert local_path("/?conversation=1") == "/?conversation=1"
