"""Tabs that are open while their user loses a right: over real sockets, each change made by somebody else in the same database."""

import asyncio
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.assembly import Assembly
from engine.provider_views import Choice
from engine.security.gate_socket import REVOKED
from engine.security.passwords import BcryptHasher
from engine.settings import server_environment
from engine.testing import HashedWords, offline_settings
from engine.types import Principal, Right, Role
from tests.browser.conftest import ROOT, Server
from tests.security.driver import SCRIPT, rerun, run, seed_of, signed_in, tab, widget_id
from tests.security.people import PASSWORD
from tests.upstreams import openai
from tests.upstreams.server import KEY

LOCAL = Principal(user_id="local", name="test", role=Role.ADMIN)
CACHE_SECONDS = 1.0  # for which the gate may believe what it was told about a session
GENEROUS = 20.0
DRAWN = ("new_session", "delta", "navigation")
MEDIA = re.compile(rb"/media/[0-9a-f]+\.[a-z]+")
TRIES = 6


@pytest.fixture(scope="module")
def url(data):
    """A server with the environment that `serve` gives it; it locks an address after few tries."""
    environment = server_environment(offline_settings(data)) | {"WORKBENCH_ACCOUNTS__LOCK_ADDRESS_AFTER": str(TRIES)}
    server = Server(SCRIPT, environment)
    server.wait_for("URL:")
    seed_of(data)
    yield server.url
    server.close()


@pytest.fixture
async def office(url, data):
    """The engine in a second process over the same data folder, as the command line opens it."""
    assembly = Assembly(offline_settings(data), hasher=BcryptHasher(4))
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=False) as workbench:
        yield workbench


@pytest.fixture
async def newcomer(office, url):
    """Return a function that makes a user and gives the client of the user's sign-in."""

    async def made(name, role=Role.ANALYST):
        await office.create_user(LOCAL, name, PASSWORD, role)
        return await asyncio.to_thread(signed_in, url, name)

    return made


async def id_of(office, name):
    return next(one.id for one in await office.users(LOCAL) if one.name == name)


async def ended(websocket, page=""):
    """Rerun the page until the server closes; return the close code, and what was drawn once the gate had to ask anew."""
    begun, late = time.monotonic(), []
    while time.monotonic() - begun < GENEROUS:
        fresh = time.monotonic() - begun > CACHE_SECONDS
        try:
            if fresh:
                await websocket.send(rerun(page))
                while True:
                    message = ForwardMsg.FromString(await asyncio.wait_for(websocket.recv(), GENEROUS))
                    late += [message] if message.WhichOneof("type") in DRAWN else []
            await run(websocket, page)
        except ConnectionClosed as closed:
            return closed.rcvd.code, late
        await asyncio.sleep(0.2)
    raise AssertionError("the tab is still served")


# --- the session ends -----------------------------------------------------------------------------------------------------


async def demoted(office, name):
    await office.set_role(LOCAL, await id_of(office, name), Role.ANALYST)


async def disabled(office, name):
    await office.disable_user(LOCAL, await id_of(office, name))


async def reset(office, name):
    await office.reset_password(LOCAL, await id_of(office, name))


async def deleted(office, name):
    await office.delete_user(LOCAL, await id_of(office, name))


async def session_ended(office, name):
    [session] = await office.sessions(LOCAL, await id_of(office, name))
    await office.revoke_session(LOCAL, session.id)


@pytest.mark.parametrize("change", [demoted, disabled, reset, deleted, session_ended], ids=lambda change: change.__name__)
async def test_an_open_tab_closes_when_its_session_ends(url, office, newcomer, change):
    name = f"nora-{change.__name__}".replace("_", "-")
    client = await newcomer(name, Role.OPERATOR)
    async with tab(url, client.headers["cookie"]) as websocket:
        _, frames, _ = await run(websocket, "health")
        assert b"This page is for the role" not in b"".join(frames)
        await change(office, name)
        code, late = await ended(websocket, "health")
    assert code == REVOKED
    assert late == []
    with pytest.raises(InvalidStatus) as refused:
        async with tab(url, client.headers["cookie"]):
            pass
    assert refused.value.response.status_code == 403


async def test_the_command_line_closes_a_tab_too(url, data, newcomer):
    client = await newcomer("nora")
    environment = os.environ | {"WORKBENCH_DATA_DIR": str(data)}
    async with tab(url, client.headers["cookie"]) as websocket:
        await run(websocket)
        command = [sys.executable, "-m", "engine", "user", "disable", "nora"]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert (await ended(websocket))[0] == REVOKED


async def test_sign_out_everywhere_on_the_page_closes_the_other_tabs(url, newcomer):
    first = await newcomer("otto")
    second = await asyncio.to_thread(signed_in, url, "otto")
    async with tab(url, first.headers["cookie"]) as one, tab(url, second.headers["cookie"]) as other:
        await run(one)
        _, _, messages = await run(other, "account", "account_section=Sessions")
        pressed = widget_id(messages, "button", "Sign out everywhere")
        await other.send(rerun("account", "account_section=Sessions", id=pressed, trigger_value=True))
        codes = [(await ended(websocket))[0] for websocket in (one, other)]
    assert codes == [REVOKED, REVOKED]


# --- the session goes on --------------------------------------------------------------------------------------------------


async def test_a_role_comes_from_sql_at_the_next_run_of_the_page(url, data, newcomer, seed):
    client = await newcomer("olga", Role.ADMIN)
    async with tab(url, client.headers["cookie"]) as websocket:
        _, frames, _ = await run(websocket, "health")
        assert b"This page is for the role" not in b"".join(frames)
        _, frames, _ = await run(websocket, "documents", f"document={seed['document_id']}")
        assert b"report.pdf" in b"".join(frames)  # an admin sees what others own
        with contextlib.closing(sqlite3.connect(data / "workbench.db", timeout=30)) as database, database:
            assert database.execute("UPDATE users SET role = 'analyst' WHERE name = 'olga'").rowcount == 1
        _, frames, _ = await run(websocket, "documents", f"document={seed['document_id']}")
        assert b"report.pdf" not in b"".join(frames)
        _, frames, _ = await run(websocket, "health")
        assert b"This page is for the role" in b"".join(frames)


async def test_a_grant_that_is_taken_back_leaves_nothing_of_the_collection(url, office, newcomer, seed):
    document, collection = seed["document_id"], seed["collection_id"]
    client = await newcomer("paul")
    await office.grant(LOCAL, collection, "paul", Right.READ)
    async with tab(url, client.headers["cookie"]) as websocket:
        everybodys = set(MEDIA.findall(b"".join((await run(websocket))[1])))
        _, frames, _ = await run(websocket, "documents", f"document={document}")
        seen = b"".join(frames)
        assert b"report.pdf" in seen
        assert client.get(f"/files/documents/{document}").status_code == 200
        [picture] = set(MEDIA.findall(seen)) - everybodys
        assert client.get(picture.decode()).status_code == 200

        await office.grant(LOCAL, collection, "paul", None)
        assert client.get(f"/files/documents/{document}").status_code == 404
        for page in ("documents", "chat"):
            _, frames, _ = await run(websocket, page, f"document={document}")
            for secret in (b"report.pdf", b"Filings", b"Net sales", picture):
                assert secret not in b"".join(frames), (page, secret)
        assert client.get(picture.decode()).status_code == 404


async def test_a_passage_is_not_shown_again_once_its_collection_is_out_of_reach(url, office, newcomer, seed):
    client = await newcomer("petra")
    await office.grant(LOCAL, seed["collection_id"], "petra", Right.READ)
    async with tab(url, client.headers["cookie"]) as websocket:
        everybodys = set(MEDIA.findall(b"".join((await run(websocket))[1])))
        await asked(websocket, "By how much did net sales rise?")
        messages = await until(websocket, b"chat_cite_")
        cite = next(one.delta.new_element.button.id for one in messages if "report" in one.delta.new_element.button.label)
        await office.grant(LOCAL, seed["collection_id"], "petra", None)
        _, frames, _ = await run(websocket, id=cite, trigger_value=True)
    shown = b"".join(frames)
    assert b"You may no longer read this document" in shown
    assert set(MEDIA.findall(shown)) <= everybodys


# --- while an answer is written -------------------------------------------------------------------------------------------


async def asked(websocket, question):
    """Type a question into the chat."""
    _, _, messages = await run(websocket)
    box = widget_id(messages, "chat_input")
    await run(websocket, id=box, chat_input_value={"data": question})


async def until(websocket, text):
    """Run the chat again until it shows a text; return the messages of that run."""
    end = time.monotonic() + GENEROUS
    while time.monotonic() < end:
        _, frames, messages = await run(websocket)
        if text in b"".join(frames):
            return messages
        await asyncio.sleep(0.2)
    raise AssertionError(f"the page never showed {text!r}")


@pytest.fixture
async def slow(office):
    """A model that everybody is answered by, a word at a time, until `slow` is 0."""
    with openai.upstream() as upstream:
        upstream.text = " ".join(f"wombat{n}" for n in range(200)) + " [1]."
        upstream.slow = 0.15
        await office.add_provider(LOCAL, "openai", name="slow", base_url=upstream.url, key=KEY)
        version = (await office.choices(LOCAL)).version
        await office.choose(LOCAL, expected_version=version, chain=[Choice(provider="slow", model="m-1")])
        yield upstream
        version = (await office.choices(LOCAL)).version
        await office.choose(LOCAL, expected_version=version, chain=[Choice(provider="extractive")])


async def test_no_word_of_an_answer_comes_after_the_end_of_its_session(url, office, newcomer, seed, slow):
    client = await newcomer("quinn")
    await office.grant(LOCAL, seed["collection_id"], "quinn", Right.READ)
    async with tab(url, client.headers["cookie"]) as websocket:
        await asked(websocket, "By how much did net sales rise?")
        await until(websocket, b"wombat3")
        await session_ended(office, "quinn")
        code, late = await ended(websocket)
    assert code == REVOKED
    assert late == []
    assert slow.open_streams == 1, "it was to end while words were still to come"

    # The answer is the conversation's: it is whole when its user comes back.
    slow.slow = 0.0
    again = await asyncio.to_thread(signed_in, url, "quinn")
    async with tab(url, again.headers["cookie"]) as websocket:
        await until(websocket, b"wombat199")


# --- the way in -----------------------------------------------------------------------------------------------------------


async def test_a_websocket_without_an_origin_is_no_browser_and_needs_the_cookie_alone(url):
    """Browsers always name the origin (RFC 6455, 10.2): one that is missing cannot be a foreign page's, a foreign or hidden one is."""
    cookie = signed_in(url, "bob").headers["cookie"]
    for origin in (None, url):
        async with tab(url, cookie, origin=origin) as websocket:
            assert (await run(websocket))[0]
    host = url.removeprefix("http://")
    for origin in ("null", "https://evil.example", f"http://{host}.evil.example", f"http://{host}@evil.example",
                   f"http://evil@{host}", "http://127.0.0.1:1", "http://["):  # fmt: skip
        with pytest.raises(InvalidStatus) as refused:
            async with tab(url, cookie, origin=origin):
                pass
        assert refused.value.response.status_code == 403, origin


async def test_a_forwarded_address_that_is_made_up_neither_evades_the_lock_nor_puts_it_on_others(url, office, newcomer):
    (await newcomer("rosa")).close()
    with httpx.Client(base_url=url, timeout=30) as client:
        csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)[1]

        def tried(number, name="rosa", password="a wrong password"):
            headers = {"x-forwarded-for": f"203.0.113.{number}", "x-real-ip": f"203.0.113.{number}",
                       "forwarded": f"for=203.0.113.{number}", "cf-connecting-ip": f"203.0.113.{number}"}  # fmt: skip
            return client.post("/login", data={"csrf": csrf, "name": name, "password": password}, headers=headers)

        assert [tried(n).status_code for n in range(TRIES)] == [401] * TRIES
        locked = [tried(100), tried(101, "bob", PASSWORD), tried(102, "nobody-at-all")]
        rows = [row for row in await office.audit(LOCAL, limit=50) if row.action in ("auth.login", "auth.lock")]
        # Its tries are all of one account, so with them the address is free again for the tests of this module.
        await office.unlock_user(LOCAL, await id_of(office, "rosa"))
        assert tried(103, "bob", PASSWORD).status_code == 303
    assert [answer.status_code for answer in locked] == [429, 429, 429]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in locked)
    assert {row.ip for row in rows} == {"127.0.0.1"}
    assert [row.details["of"] for row in rows if row.action == "auth.lock"] == ["address"]
