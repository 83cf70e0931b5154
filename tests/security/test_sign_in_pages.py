"""The sign-in pages as a browser meets them: the real routes behind the real gate over a real workbench, without a socket."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import SimpleCookie

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from sqlalchemy import select
from starlette.applications import Starlette

from engine.assembly import Assembly
from engine.database.access_models import Ticket
from engine.database.models import Session
from engine.security import totp
from engine.security.passwords import BcryptHasher
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Role
from tests.flows.people import NEW, PASSWORD, audited, person, signed_in, user
from ui import server, start

ORIGIN = "127.0.0.1:8501"
FORMS = ("/login", "/login/code", "/login/password", "/invite", "/setup")
WRONG = "The name or the password is wrong. Check both and try again."
LOCKED = "Too many wrong passwords or codes. Wait 15 minutes, then try again, or ask an admin to unlock the account."
DEAD = "This link was used already, has expired, or is not complete."
LATE = "This sign-in took too long"


class Browser(httpx.AsyncClient):
    """Keeps cookies, follows no redirect, and posts a form as its page has it."""

    async def post_form(self, path, headers=None, **fields):
        shown = await self.get(path)
        return await self.post(path.partition("?")[0], data=hidden(shown) | fields, headers=headers)

    async def sign_in(self, name, password=PASSWORD, target="/"):
        return await self.post_form(f"/login?next={target}", name=name, password=password)

    async def enters(self):
        """Tell whether this browser is signed in: the sign-in page sends it on."""
        return (await self.get("/login")).status_code == 303

    @property
    def token(self):
        return self.cookies.get("wb_session") or self.cookies.get("__Host-wb_session") or ""


@dataclass
class Site:
    """The routes and what stands behind them; the clock of one-time codes is moved by hand."""

    workbench: object
    app: object
    scheme: str
    time: float = 1_800_000_000.0
    secret: str = ""

    def browser(self, ip="10.0.0.1", **headers):
        transport = httpx.ASGITransport(self.app, client=(ip, 50_000))
        return Browser(transport=transport, base_url=f"{self.scheme}://{ORIGIN}", headers=headers)

    def code(self, steps=0):
        return totp.code_at(self.secret, int(self.time // totp.STEP_SECONDS) + steps)

    async def with_second_factor(self, name):
        await person(self.workbench, name)
        principal = await signed_in(self.workbench, name)
        self.secret = (await self.workbench.start_second_factor(principal)).secret
        await self.workbench.confirm_second_factor(principal, self.code())
        self.time += totp.STEP_SECONDS

    async def let_tickets_expire(self):
        async with self.workbench.database.write() as session:
            for row in await session.scalars(select(Ticket)):
                row.expires_at -= timedelta(days=30)


@asynccontextmanager
async def opened(folder, *, secure=False):
    settings = offline_settings(folder, secure_cookies=secure, allowed_hosts=("127.0.0.1",))
    assembly = Assembly(settings, hasher=BcryptHasher(4))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        await assembly.accounts.offer_setup()
        server.connect(workbench, BlockingPortal())  # for threads of pages, of which there are none here
        app = Starlette(routes=start.routes(settings), middleware=[start.gate(settings)])
        site = Site(workbench, app, "https" if secure else "http")
        assembly.codes.clock = lambda: site.time
        yield site
        server.disconnect()


@pytest.fixture
async def site(tmp_path):
    """A site that is set up, with the user bob."""
    async with opened(tmp_path) as made:
        await person(made.workbench, "bob")
        yield made


@pytest.fixture
def browser(site):
    return site.browser()


def hidden(answer):
    """Return the hidden fields of the form on a page."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text))


def said(answer):
    """Return the message that a page shows in red."""
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return found[1] if found else ""


def set_cookies(answer):
    cookies = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)
    return cookies


# --- the name and the password --------------------------------------------------------------------------------------------


async def test_a_right_password_leads_to_the_page_that_was_asked_for(browser):
    answer = await browser.sign_in("bob", target="/documents%3Fdocument%3D7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/documents?document=7")
    assert await browser.enters()


async def test_every_cause_of_a_refusal_reads_the_same(site, browser):
    await site.workbench.disable_user(ADMIN, (await person(site.workbench, "gone")).id)
    await site.workbench.invite_user(ADMIN, "carol", Role.ANALYST)
    answers = [await browser.sign_in(name, password) for name, password in
               [("bob", "a wrong password"), ("nobody", PASSWORD), ("gone", PASSWORD), ("carol", ""), ("carol", PASSWORD)]]  # fmt: skip
    assert {(answer.status_code, said(answer)) for answer in answers} == {(401, WRONG)}
    pages = {re.sub(r'name="name"[^>]*value="\w*"|csrf" value="[^"]*"', "", answer.text) for answer in answers}
    assert len(pages) == 1
    assert not browser.token


async def test_a_failed_page_keeps_the_name_as_text_and_no_password(browser):
    answer = await browser.sign_in('"><script>alert(1)</script>', "my secret word of today")
    assert "<script" not in answer.text
    assert "&quot;&gt;&lt;script&gt;" in answer.text
    assert "my secret word" not in answer.text


async def test_a_lock_is_said_with_429_and_how_long_to_wait(site, browser):
    for _ in range(10):
        assert (await browser.sign_in("bob", "a wrong password")).status_code == 401
    for name, password in (("bob", "a wrong password"), ("bob", PASSWORD)):
        answer = await browser.sign_in(name, password)
        assert (answer.status_code, said(answer)) == (429, LOCKED)
        assert answer.headers["retry-after"] == "900"
    assert not browser.token


async def test_names_of_nobody_are_locked_with_the_same_page(site):
    stranger = site.browser("10.0.0.2")
    for _ in range(10):
        await stranger.sign_in("nobody", PASSWORD)
    answer = await stranger.sign_in("nobody", PASSWORD)
    assert (answer.status_code, said(answer)) == (429, LOCKED)


# --- the second factor ----------------------------------------------------------------------------------------------------


async def test_a_code_is_asked_for_and_no_code_works_twice(site, browser):
    await site.with_second_factor("tom")
    asked = await browser.sign_in("tom", target="/health")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login/code?next=/health")
    assert not browser.token
    wrong = await browser.post_form("/login/code?next=/health", code=site.code(7))
    assert (wrong.status_code, said(wrong)) == (401, "The code is wrong. Wait for the next one: no code works twice.")
    right = await browser.post_form("/login/code?next=/health", code=f"{site.code()[:3]} {site.code()[3:]}")
    assert (right.status_code, right.headers["location"]) == (303, "/health")
    assert await browser.enters()
    assert "wb_ticket" not in browser.cookies

    other = site.browser()
    await other.sign_in("tom")
    assert (await other.post_form("/login/code", code=site.code())).status_code == 401
    assert not other.token


async def test_without_a_password_before_it_a_code_is_worth_nothing(site, browser):
    await site.with_second_factor("tom")
    answer = await browser.get("/login/code")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    csrf = hidden(await browser.get("/login"))["csrf"]
    for ticket in ("", "x" * 43):
        browser.cookies.set("wb_ticket", ticket, domain="127.0.0.1")
        answer = await browser.post("/login/code", data={"csrf": csrf, "code": site.code()})
        assert answer.status_code == 401
        assert LATE in said(answer)
    assert not browser.token


async def test_a_sign_in_that_waits_for_its_code_for_too_long_begins_anew(site, browser):
    await site.with_second_factor("tom")
    await browser.sign_in("tom")
    await site.let_tickets_expire()
    answer = await browser.post_form("/login/code", code=site.code())
    assert answer.status_code == 401
    assert LATE in said(answer)
    assert 'href="/login"' in answer.text
    assert not browser.token


async def test_five_wrong_codes_end_the_sign_in_and_ten_lock_the_account(site, browser):
    await site.with_second_factor("tom")
    for _ in range(2):
        await browser.sign_in("tom")
        for n in range(5):
            assert "The code is wrong" in said(await browser.post_form("/login/code", code=site.code(7 + n)))
    answer = await browser.sign_in("tom")
    assert (answer.status_code, said(answer)) == (429, LOCKED)


async def test_the_ticket_of_a_step_opens_nothing_else(site, browser):
    await site.with_second_factor("tom")
    await browser.sign_in("tom")
    ticket = browser.cookies["wb_ticket"]
    chosen = await browser.post_form("/login/password", password=NEW, again=NEW)
    assert chosen.status_code == 401
    assert (await browser.get(f"/invite?token={ticket}")).status_code == 403
    thief = site.browser(cookie=f"wb_session={ticket}")
    assert (await thief.get("/_stcore/health")).status_code == 401
    assert (await site.browser().sign_in("tom", NEW)).status_code == 401


# --- a password that must be changed --------------------------------------------------------------------------------------


@pytest.fixture
async def newcomer(site, browser):
    """A browser that has shown dora's first password and must choose another."""
    await site.workbench.create_user(ADMIN, "dora", PASSWORD, Role.ANALYST, must_change=True)
    answer = await browser.sign_in("dora", target="/documents")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login/password?next=/documents")
    return browser


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "fewer than 10 characters"),
        ("ä" * 37, "longer than 72 bytes"),
        (PASSWORD, "the password that you have now"),
        ("password1234", "commonest"),
    ],
)
async def test_an_unfit_password_is_refused_with_its_reason_and_another_may_follow(newcomer, password, words):
    answer = await newcomer.post_form("/login/password?next=/documents", password=password, again=password)
    assert answer.status_code == 400
    assert words in said(answer)[:1].lower() + said(answer)[1:]
    assert password not in answer.text
    assert not newcomer.token
    done = await newcomer.post_form("/login/password?next=/documents", password=NEW, again=NEW)
    assert (done.status_code, done.headers["location"]) == (303, "/documents")


async def test_a_chosen_password_is_the_one_that_counts(site, newcomer):
    unequal = await newcomer.post_form("/login/password", password=NEW, again=NEW + "r")
    assert (unequal.status_code, said(unequal)) == (400, "The two passwords differ. Type the new one twice.")
    assert (await newcomer.post_form("/login/password", password=NEW, again=NEW)).status_code == 303
    assert await newcomer.enters()
    assert (await site.browser().sign_in("dora", PASSWORD)).status_code == 401
    assert (await site.browser().sign_in("dora", NEW)).status_code == 303


async def test_a_change_that_took_too_long_leads_back_to_the_start(site, newcomer):
    await site.let_tickets_expire()
    answer = await newcomer.post_form("/login/password", password=NEW, again=NEW)
    assert answer.status_code == 401
    assert LATE in said(answer)
    assert "admin" not in said(answer)
    assert not newcomer.token
    stranger = site.browser()
    assert (await stranger.get("/login/password")).headers["location"] == "/login"


# --- invitations ----------------------------------------------------------------------------------------------------------


async def test_an_invitation_works_once(site, browser):
    path = (await site.workbench.invite_user(ADMIN, "carol", Role.ANALYST)).path
    shown = await browser.get(path)
    assert "<strong>carol</strong>" in shown.text
    assert shown.headers["referrer-policy"] == "strict-origin"
    for password, again, words in (("short", "short", "fewer than 10"), (NEW, NEW + "r", "differ")):
        refused = await browser.post_form(path, password=password, again=again)
        assert refused.status_code == 400
        assert words in said(refused)
    answer = await browser.post_form(path, password=NEW, again=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert await browser.enters()

    thief = site.browser()
    again = await thief.get(path)
    assert again.status_code == 403
    assert DEAD in said(again)
    late = await thief.post("/invite", data=hidden(shown) | hidden(await thief.get("/login")) | {"password": PASSWORD, "again": PASSWORD})  # fmt: skip
    assert late.status_code == 403
    assert DEAD in said(late)
    assert (await site.browser().sign_in("carol", NEW)).status_code == 303


@pytest.mark.parametrize("token", ["", "x" * 43, "'; DROP TABLE tickets; --", "%00", "ä"])
async def test_an_unknown_invitation_is_refused(browser, token):
    answer = await browser.get(f"/invite?token={token}")
    assert answer.status_code == 403
    assert DEAD in said(answer)


async def test_an_expired_invitation_is_refused_also_when_its_form_is_open(site, browser):
    path = (await site.workbench.invite_user(ADMIN, "carol", Role.ANALYST)).path
    form = hidden(await browser.get(path))
    await site.let_tickets_expire()
    assert (await browser.get(path)).status_code == 403
    answer = await browser.post("/invite", data=form | {"password": NEW, "again": NEW})
    assert answer.status_code == 403
    assert not browser.token


async def test_a_reset_link_does_not_pass_by_the_second_factor(site, browser):
    await site.with_second_factor("tom")
    path = (await site.workbench.reset_password(ADMIN, (await user(site.workbench, "tom")).id)).path
    assert (await browser.sign_in("tom")).status_code == 401
    answer = await browser.post_form(path, password=NEW, again=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login/code")
    assert not browser.token


# --- the set-up -----------------------------------------------------------------------------------------------------------


async def test_the_set_up_is_for_whom_has_the_token_and_is_over_then(tmp_path):
    async with opened(tmp_path) as site:
        browser, token = site.browser(), site.workbench.setup_token
        assert (await browser.get("/login")).headers["location"] == "/setup"
        wrong = await browser.post_form("/setup", token="x" * 43, name="ada", password=PASSWORD)
        assert wrong.status_code == 403
        assert (await browser.post_form("/setup", token=token, name="ada", password="short")).status_code == 400
        late = hidden(await browser.get("/setup")) | {"token": token, "name": "eve", "password": PASSWORD}
        done = await browser.post_form("/setup", token=token, name="ada", password=PASSWORD)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert await browser.enters()

        assert (await site.browser().get(f"/setup?token={token}")).headers["location"] == "/login"
        for given in (token, "", "x" * 43):
            other = site.browser()
            await other.get("/login")
            answer = await other.post("/setup", data=late | {"csrf": other.cookies["wb_csrf"], "token": given})
            assert (answer.status_code, answer.headers.get("location")) == (303, "/login")
        assert [one.name for one in await site.workbench.users(ADMIN)] == ["ada"]


# --- other sites ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*FORMS, "/logout"])
async def test_a_form_of_another_site_does_nothing(site, browser, path):
    ticket = (await site.workbench.invite_user(ADMIN, "carol", Role.ANALYST)).path.partition("=")[2]
    await browser.sign_in("bob")
    token, csrf = browser.token, browser.cookies["wb_csrf"]
    fields = {"csrf": csrf, "name": "bob", "password": PASSWORD, "again": PASSWORD, "token": ticket, "code": "123456"}
    foreign = [
        {"origin": one} for one in ("https://evil.example", f"http://{ORIGIN}.evil.example", "http://127.0.0.1:8502", "null")
    ]
    foreign += [{"sec-fetch-site": one} for one in ("cross-site", "same-site")]
    tries = [(headers, csrf) for headers in foreign] + [({}, wrong) for wrong in ("", "x" * 43)]
    for headers, given in tries:
        answer = await browser.post(path, data=fields | {"csrf": given}, headers=headers)
        assert answer.status_code == (200 if path == "/logout" else 403), headers  # a foreign sign-out gets a question
        assert browser.token == token
    assert await browser.enters()
    assert (await browser.get(f"/invite?token={ticket}")).status_code == 200


async def test_without_the_cookie_the_token_of_a_form_is_worth_nothing(site):
    csrf = hidden(await site.browser().get("/login"))["csrf"]
    answer = await site.browser().post("/login", data={"csrf": csrf, "name": "bob", "password": PASSWORD})
    assert answer.status_code == 403
    assert "set-cookie" in answer.headers  # and the form can be sent again
    assert not await audited(site.workbench, "auth.login")


@pytest.mark.parametrize("path", ["/auth/logout", "/logout"])
async def test_a_link_on_another_site_asks_before_it_signs_out(browser, path):
    await browser.sign_in("bob")
    for headers in ({}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"},
                    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"}):  # fmt: skip
        answer = await browser.get(path, headers=headers)
        assert answer.status_code == 200
        assert "Sign out?" in answer.text
        assert await browser.enters()
    answer = await browser.get(path, headers={"sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?out=1")


async def test_signing_out_ends_the_session_and_not_only_the_cookie(site, browser):
    await browser.sign_in("bob")
    token = browser.token
    form = hidden(await browser.get("/auth/logout", headers={"sec-fetch-site": "cross-site"}))
    answer = await browser.post("/logout", data=form)
    assert answer.status_code == 303
    assert set_cookies(answer)["wb_session"]["max-age"] == "0"
    assert not browser.token
    assert await site.workbench.authenticate(token) is None


FOREIGN = (
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "",
    "javascript:alert(1)", "evil.example", "///evil.example", "http:evil.example", " //evil.example",
)  # fmt: skip
OUT_AGAIN = (
    "/logout",
    "/auth/logout",
    "/documents/../auth/logout",
    "/%61uth/logout",
    "/x/%2e%2e/logout",
    "/login",
    "/login/",
    "/setup",
)


async def test_a_sign_in_leads_to_no_other_site_and_not_straight_out_again(site):
    for number, target in enumerate((*FOREIGN, *OUT_AGAIN)):
        browser = site.browser(f"10.1.0.{number}")
        form = hidden(await browser.get("/login", params={"next": target}))
        assert form["next"] == "/", target
        answer = await browser.post("/login", data=form | {"name": "bob", "password": PASSWORD, "next": target})
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), target
        assert (await browser.get("/login", params={"next": target})).headers["location"] == "/", target


# --- cookies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_cookies_are_out_of_reach_for_scripts_and_other_sites(tmp_path, secure):
    async with opened(tmp_path, secure=secure) as site:
        await person(site.workbench, "bob")
        await site.with_second_factor("tom")
        prefix = "__Host-" if secure else ""
        browser = site.browser()
        form, asked = set_cookies(await browser.get("/login")), set_cookies(await browser.sign_in("tom"))
        done = await browser.post_form("/login/code", code=site.code())
        session, ticket = set_cookies(done)[f"{prefix}wb_session"], asked[f"{prefix}wb_ticket"]
        for cookie, same_site in ((session, "lax"), (ticket, "strict"), (form[f"{prefix}wb_csrf"], "lax")):
            assert cookie["httponly"]
            assert cookie["path"] == "/"
            assert not cookie["domain"]
            assert cookie["samesite"] == same_site
            assert bool(cookie["secure"]) is secure
        assert session["max-age"] == str(12 * 3600)
        assert len(session.value) >= 43
        assert set_cookies(done)[f"{prefix}wb_ticket"]["max-age"] == "0"
        assert await browser.enters()
        assert ("strict-transport-security" in done.headers) is secure
        if secure:  # a cookie without the prefix could have been planted over plain HTTP
            assert (await site.browser(cookie=f"wb_session={session.value}").get("/_stcore/health")).status_code == 401


async def test_no_page_and_no_answer_is_kept_and_none_runs_a_script(site, browser):
    path = (await site.workbench.invite_user(ADMIN, "carol", Role.ANALYST)).path
    await browser.sign_in("dora")
    for address in ("/login", path, "/invite?token=x", "/login/code", "/setup", "/auth/logout"):
        answer = await browser.get(address)
        assert "no-store" in answer.headers["cache-control"], address
        assert "<script" not in answer.text
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors" in answer.headers["content-security-policy"]


async def test_a_token_that_was_there_before_the_sign_in_is_not_used(site):
    planted = "p" * 43
    browser = site.browser()
    browser.cookies.set("wb_session", planted, domain="127.0.0.1")
    await browser.sign_in("bob")
    assert browser.cookies.get("wb_session", domain="127.0.0.1") not in ("", planted)
    assert await site.workbench.authenticate(planted) is None


async def test_each_sign_in_has_a_new_token_and_ends_the_one_before_it(site, browser):
    form = hidden(await browser.get("/login")) | {"name": "bob", "password": PASSWORD}
    tokens = []
    for _ in range(3):
        assert (await browser.post("/login", data=form)).status_code == 303
        tokens.append(browser.token)
    assert len(set(tokens)) == 3
    assert [await site.workbench.authenticate(token) is not None for token in tokens] == [False, False, True]


async def test_another_role_needs_a_new_sign_in(site, browser):
    await browser.sign_in("bob")
    before = browser.token
    await site.workbench.set_role(ADMIN, (await user(site.workbench, "bob")).id, Role.OPERATOR)
    assert await site.workbench.authenticate(before) is None
    browser.cookies.delete("wb_session")
    await browser.sign_in("bob")
    principal = await site.workbench.authenticate(browser.token)
    assert principal.role is Role.OPERATOR
    assert browser.token != before


async def test_two_cookies_of_the_same_name_are_nobody(site, browser):
    await browser.sign_in("bob")
    both = site.browser(cookie=f"wb_session={browser.token}; wb_session={'p' * 43}")
    assert (await both.get("/_stcore/health")).status_code == 401


async def test_the_address_of_a_sign_in_is_that_of_the_connection(site):
    liar = site.browser("10.0.0.9", **{"x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7"})
    await liar.sign_in("bob")
    async with site.workbench.database.read() as session:
        assert set(await session.scalars(select(Session.ip))) == {"10.0.0.9"}
