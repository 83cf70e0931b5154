"""The gate's limits by user and address, whom it takes for the client, which pages may open a websocket, and its memory."""

import asyncio
import logging
from dataclasses import replace

import pytest
from streamlit.proto.DownloadButton_pb2 import DownloadButton

from engine.errors import CircuitOpen, StoreError
from engine.security.gate import MINUTE, OPEN_REQUESTS, UNKNOWN_CREDENTIALS, USER_REQUESTS
from engine.security.gate_socket import LATER, POLICY
from engine.security.media_owners import MediaOwners
from engine.security.verdicts import Verdicts
from tests.unit.security.gate_calls import ADDRESS, App, Clock, Sessions, ask, connect, gate, principal, token_of

PROXY = "10.0.0.1"
HTML = ("accept", "text/html")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions():
    return Sessions()


@pytest.fixture
def app():
    return App()


@pytest.fixture
def door(app, sessions, clock):
    return gate(app, sessions, clock)


def forwarded(*lines):
    return [("x-forwarded-for", line) for line in lines]


async def statuses(door, count, path, name="", **options):
    return [(await ask(door, path, name, **options)).status for _ in range(count)]


# --- how much a user and an address may ask


async def test_a_user_has_600_requests_in_any_minute_over_all_sessions_and_ways(door, sessions, clock):
    sessions.rows["second-0123456789abcdef"] = replace(principal("anna"), session_id="s-second")
    assert USER_REQUESTS == 600
    assert set(await statuses(door, 300, "/page", "anna")) == {200}
    clock.now += 30
    assert set(await statuses(door, 300, "/api/v1/me", "anna")) == {200}
    refused = await ask(door, "/page", "anna")
    assert (refused.status, refused.headers[b"retry-after"]) == (429, b"30")
    assert b"30 seconds" in refused.body
    other = await ask(door, "/page", headers=[("cookie", "wb_session=second-0123456789abcdef")])
    assert other.status == 429
    assert (await ask(door, "/page", "bob")).status == 200
    clock.now += 29.9
    assert (await ask(door, "/page", "anna")).status == 429
    clock.now += 0.7  # past the minute, and past the hundredth of it within which hits are kept as one
    assert (await ask(door, "/page", "anna")).status == 200


async def test_pieces_of_the_page_are_not_counted(door):
    assert set(await statuses(door, USER_REQUESTS + 50, "/static/js/index.js", "anna")) == {200}
    assert (await ask(door, "/page", "anna")).status == 200
    assert (await ask(door, "/static/../page", "anna")).status == 400  # nothing else is reached under that name


async def test_the_sign_in_answers_120_requests_of_an_address_in_any_minute(door, clock):
    assert OPEN_REQUESTS == 120
    assert set(await statuses(door, 119, "/login")) == {200}
    clock.now += 20
    assert set(await statuses(door, 1, "/setup")) == {200}  # all open pages together
    refused = await ask(door, "/login")
    assert (refused.status, refused.headers[b"retry-after"]) == (429, b"40")
    assert (await ask(door, "/login", client="203.0.113.10")).status == 200
    assert (await ask(door, "/healthz/live")).status == 200
    assert (await ask(door, "/login/style.css")).status == 200
    assert (await ask(door, "/page", "anna")).status == 200  # who is signed in goes on working
    clock.now += 39.9
    assert (await ask(door, "/login")).status == 429
    clock.now += 0.7
    assert (await ask(door, "/login")).status == 200


async def test_a_client_is_its_whole_ipv6_network(door):
    for number in range(120):
        assert (await ask(door, "/login", client=f"2001:db8:1:2::{number:x}")).status == 200
    assert (await ask(door, "/login", client="2001:db8:1:2:ffff::1")).status == 429
    assert (await ask(door, "/login", client="2001:db8:1:3::1")).status == 200


async def test_after_120_unknown_credentials_an_address_waits_but_who_is_known_there_works_on(door, sessions, clock):
    assert UNKNOWN_CREDENTIALS == 120
    assert (await ask(door, "/page", "anna")).status == 200
    guesses = [(await ask(door, "/page", f"guess-{number}")).status for number in range(120)]
    assert set(guesses) == {401}
    asked = len(sessions.asked)
    refused = await ask(door, "/page", "one-more")
    assert (refused.status, refused.headers[b"retry-after"]) == (429, b"60")
    assert (await ask(door, "/api/v1/me", "one-more")).status == 429  # keys are guessed no further either
    assert await connect(door, "one-more") == [{"type": "websocket.close", "code": POLICY}]
    assert len(sessions.asked) == asked
    assert set(await statuses(door, 50, "/page", "anna")) == {200}
    clock.now += 10  # her verdict must be looked up again, and that is no guess
    assert (await ask(door, "/page", "anna")).status == 200
    assert (await ask(door, "/page", "bob", client="203.0.113.10")).status == 200
    clock.now += MINUTE
    assert (await ask(door, "/page", "one-more")).status == 401


async def test_requests_without_any_credential_are_no_guesses(door):
    assert set(await statuses(door, 200, "/page")) == {401}
    assert (await ask(door, "/page", "anna")).status == 200


async def test_good_credentials_are_no_guesses_however_many_people_share_an_address(door, sessions):
    names = [f"person-{number}" for number in range(300)]
    sessions.rows = {token_of(name): principal(name) for name in names}
    answers = [(await ask(door, "/page", name)).status for name in names]
    assert set(answers) == {200}
    together = await asyncio.gather(*(ask(door, "/static/x", names[0]) for _ in range(200)))
    assert {answer.status for answer in together} == {200}


async def test_a_page_that_asks_for_all_its_pieces_at_once_is_no_flood_of_guesses(door):
    assert {answer.status for answer in await asyncio.gather(*(ask(door, "/static/x", "anna") for _ in range(100)))} == {200}
    assert (await ask(door, "/page", "bob")).status == 200
    assert len(door._guesses) == 0


async def test_guesses_side_by_side_are_counted_before_they_are_answered(door, sessions):
    answers = await asyncio.gather(*(ask(door, "/page", f"guess-{number}") for number in range(200)))
    assert sorted(answer.status for answer in answers) == [401] * 120 + [429] * 80
    assert len(sessions.asked) == 120


# --- who the client is


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        (ADDRESS, ["6.6.6.6"], ADDRESS),
        (PROXY, ["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
        (PROXY, ["6.6.6.6", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (PROXY, ["6.6.6.6, nonsense"], PROXY),
        (PROXY, ["2001:DB8:0::7"], "2001:db8::7"),
        ("fd00::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("2001:db8::1", ["198.51.100.7"], "2001:db8::1"),
        (PROXY, [], PROXY),
    ],
)
async def test_a_key_is_tried_from_the_address_that_trusted_proxies_tell(app, sessions, clock, peer, lines, client):
    door = gate(app, sessions, clock, trusted_proxies=["10.0.0.0/8", "fd00::/8"])
    assert (await ask(door, "/api/v1/me", "anna", client=peer, headers=forwarded(*lines))).status == 200
    assert sessions.asked == [(token_of("anna"), client)]
    assert app.scopes[0]["client"] == (client, 1)


async def test_an_untrusted_peer_escapes_no_limit_by_naming_other_addresses(app, sessions, clock):
    for proxies in ((), ("10.0.0.0/8",)):
        door = gate(app, sessions, clock, trusted_proxies=proxies)
        for number in range(120):
            await ask(door, "/login", headers=forwarded(f"198.51.100.{number}"))
        assert (await ask(door, "/login", headers=forwarded("192.0.2.1"))).status == 429
        assert (await ask(door, "/login", client="192.0.2.1")).status == 200  # nor spends what others have


async def test_behind_a_trusted_proxy_the_client_is_limited_whatever_it_wrote_itself(app, sessions, clock):
    door = gate(app, sessions, clock, trusted_proxies=["10.0.0.0/8"])
    for number in range(120):
        await ask(door, "/login", client=PROXY, headers=forwarded(f"192.0.2.{number}, 198.51.100.7"))
    assert (await ask(door, "/login", client=PROXY, headers=forwarded("192.0.2.200, 198.51.100.7"))).status == 429
    assert (await ask(door, "/login", client=PROXY, headers=forwarded("192.0.2.200, 198.51.100.8"))).status == 200


@pytest.mark.parametrize(
    ("peer", "lines", "own", "seen"),
    [
        (PROXY, ["https"], "http", "https"),
        (PROXY, [" HTTPS "], "http", "https"),
        (PROXY, ["http"], "https", "http"),
        (PROXY, ["https", "http"], "http", "http"),  # one of the two is the client's own invention
        (PROXY, ["http, https"], "http", "http"),
        (PROXY, ["gopher"], "http", "http"),
        (PROXY, [], "http", "http"),
        (ADDRESS, ["https"], "http", "http"),
    ],
)
async def test_only_a_trusted_proxy_tells_the_scheme(app, sessions, clock, peer, lines, own, seen):
    door = gate(app, sessions, clock, trusted_proxies=["10.0.0.0/8"])
    await ask(door, "/page", "anna", client=peer, scheme=own, headers=[("x-forwarded-proto", line) for line in lines])
    assert app.scopes[0]["scheme"] == seen


async def test_a_peer_without_an_address_is_limited_too(door):
    assert set(await statuses(door, 120, "/login", client="")) == {200}
    assert (await ask(door, "/login", client="")).status == 429


# --- which pages may open a websocket


class Accepting(App):
    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        await send({"type": "websocket.accept"})


async def opened(origin, *, scheme="ws", client=ADDRESS, host="test", headers=()):
    app = Accepting()
    door = gate(app, Sessions(), Clock(), trusted_proxies=["10.0.0.0/8"])
    told = [("origin", origin)] if origin is not None else []
    sent = await connect(door, "anna", headers=[*told, *headers], scheme=scheme, client=client)
    assert len(sent) == 1
    assert (sent[0]["type"] == "websocket.accept") is bool(app.scopes)
    return bool(app.scopes)


@pytest.mark.parametrize("origin", [None, "http://test", "https://test", "HTTP://TEST"])
async def test_our_own_pages_and_programs_that_are_no_page_open_a_websocket(origin):
    # A browser sends Origin with every handshake (RFC 6455, 4.1); https may have ended at a proxy that is not named.
    assert await opened(origin)


@pytest.mark.parametrize(
    "origin",
    ["null", "http://test:8080", "http://test:80", "https://test.evil.example", "http://evil.example/test", "http://test@evil.example",
     "http://user@test", "file://test", "ws://test", "test", "//test", "http://", "http://[test", " "],
)  # fmt: skip
async def test_pages_of_another_place_port_or_kind_open_no_websocket(origin):
    assert not await opened(origin)


async def test_a_page_without_tls_opens_no_websocket_of_a_server_with_it():
    assert await opened("https://test", scheme="wss")
    assert not await opened("http://test", scheme="wss")
    told = [("x-forwarded-proto", "https")]
    assert await opened("https://test", client=PROXY, headers=told)
    assert not await opened("http://test", client=PROXY, headers=told)
    assert await opened("http://test", headers=told)  # nobody whom we believe said so


# --- when nobody can be looked up


@pytest.mark.parametrize("error", [StoreError("the database failed"), CircuitOpen("refused without a call")])
@pytest.mark.parametrize(("path", "headers"), [("/page", []), ("/page", [HTML]), ("/api/v1/me", []), ("/static/x", [])])
async def test_a_database_that_is_away_is_503_and_no_open_door(door, app, sessions, error, path, headers):
    sessions.error = error
    answer = await ask(door, path, "anna", headers=headers)
    assert (answer.status, answer.headers[b"retry-after"]) == (503, b"5")
    assert b"cannot be checked now" in answer.body
    assert str(error).encode() not in answer.body
    assert app.scopes == []
    sessions.error = None
    assert (await ask(door, path, "anna", headers=headers)).status == 200


async def test_without_the_database_open_pages_answer_and_strangers_are_sent_to_them(door, sessions):
    sessions.error = StoreError("the database failed")
    assert (await ask(door, "/healthz/live")).status == 200
    assert (await ask(door, "/login")).status == 200
    assert (await ask(door, "/page", headers=[HTML])).status == 303


async def test_a_handshake_without_the_database_is_refused_before_it_is_accepted(door, app, sessions):
    sessions.error = StoreError("the database failed")
    assert await connect(door, "anna") == [{"type": "websocket.close", "code": LATER}]
    assert app.scopes == []


async def test_a_503_carries_the_security_headers_and_the_log_no_token(app, sessions, clock, caplog):
    sessions.error = StoreError(f"the database failed at {token_of('anna')}")
    door = gate(app, sessions, clock, headers=[(b"x-content-type-options", b"nosniff")])
    with caplog.at_level(logging.DEBUG):
        answer = await ask(door, "/page", "anna")
    assert answer.headers[b"x-content-type-options"] == b"nosniff"
    assert "StoreError" in caplog.text
    assert token_of("anna") not in caplog.text


async def test_a_known_user_is_not_let_in_past_the_second_when_the_database_goes(door, sessions, clock):
    assert (await ask(door, "/page", "anna")).status == 200
    sessions.error = StoreError("the database failed")
    clock.now += 0.9
    assert (await ask(door, "/page", "anna")).status == 200
    clock.now += 0.1
    assert (await ask(door, "/page", "anna")).status == 503


async def test_a_mistake_in_the_look_up_opens_no_door_either(door, app, sessions):
    sessions.error = KeyError("a bug")
    with pytest.raises(KeyError):
        await ask(door, "/page", "anna")
    assert app.scopes == []


async def test_an_engine_error_of_the_application_is_not_taken_for_one_of_the_look_up(sessions, clock):
    async def failing(scope, receive, send):
        raise StoreError("an index failed")

    with pytest.raises(StoreError):
        await ask(gate(failing, sessions, clock), "/page", "anna")


# --- what is remembered


class Lookups:
    def __init__(self):
        self.count = 0
        self.answers = {}
        self.error = None
        self.open = asyncio.Event()
        self.open.set()

    def of(self, credential):
        async def ask():
            self.count += 1
            await self.open.wait()
            if self.error:
                raise self.error
            return self.answers.get(credential)

        return ask


@pytest.fixture
def lookups():
    return Lookups()


async def test_verdicts_remember_a_bounded_number_and_strangers_push_no_user_out(lookups, clock):
    verdicts = Verdicts(seconds=1, clock=clock, size=10)
    lookups.answers["good"] = principal("anna")
    await verdicts.of("good", lookups.of("good"))
    for number in range(1000):
        await verdicts.of(f"bad {number}", lookups.of(f"bad {number}"))
    assert len(verdicts) == 11
    assert verdicts.known("good")
    for number in range(100):
        lookups.answers[f"user {number}"] = principal(f"user {number}")
        await verdicts.of(f"user {number}", lookups.of(f"user {number}"))
    assert len(verdicts) == 20
    assert verdicts._asking == {}
    assert "good" not in repr(vars(verdicts))  # only digests are kept


async def test_a_revoked_session_is_noticed_within_the_seconds_that_a_verdict_lasts(lookups, clock):
    verdicts = Verdicts(seconds=2, clock=clock)
    lookups.answers["t"] = principal("anna")
    assert await verdicts.of("t", lookups.of("t"))
    del lookups.answers["t"]
    clock.now += 1.9
    assert await verdicts.of("t", lookups.of("t"))  # using it does not prolong it
    clock.now += 0.1
    assert await verdicts.of("t", lookups.of("t")) is None
    assert not await verdicts.of("t", lookups.of("t"))
    assert lookups.count == 2


async def test_a_verdict_is_as_old_as_its_question_not_its_answer(lookups, clock):
    verdicts = Verdicts(seconds=1, clock=clock)
    lookups.answers["t"] = principal("anna")
    lookups.open.clear()
    waiting = asyncio.create_task(verdicts.of("t", lookups.of("t")))
    await asyncio.sleep(0)
    clock.now += 1
    lookups.open.set()
    assert await waiting
    await verdicts.of("t", lookups.of("t"))
    assert lookups.count == 2


async def test_requests_that_come_together_share_one_look_up(lookups, clock):
    verdicts = Verdicts(seconds=1, clock=clock)
    lookups.answers["t"] = principal("anna")
    lookups.open.clear()
    waiting = [asyncio.create_task(verdicts.of("t", lookups.of("t"))) for _ in range(50)]
    other = asyncio.create_task(verdicts.of("u", lookups.of("u")))
    await asyncio.sleep(0)
    waiting[0].cancel()  # the one who asked goes away; the others still hear
    lookups.open.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [principal("anna")] * 49
    assert await other is None
    assert lookups.count == 2


async def test_a_fresh_question_is_asked_each_time_for_a_good_credential(lookups, clock):
    verdicts = Verdicts(seconds=1, clock=clock)
    lookups.answers["k"] = principal("anna")
    for _ in range(3):
        assert await verdicts.of("k", lookups.of("k"), fresh=True)
    assert lookups.count == 3
    del lookups.answers["k"]
    for _ in range(3):
        assert await verdicts.of("k", lookups.of("k"), fresh=True) is None
    assert lookups.count == 4


async def test_a_look_up_that_raises_does_so_for_all_who_wait_and_is_asked_again(lookups, clock):
    verdicts = Verdicts(seconds=1, clock=clock)
    lookups.answers["t"] = principal("anna")
    lookups.error = StoreError("the database failed")
    answers = await asyncio.gather(*(verdicts.of("t", lookups.of("t")) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreError] * 5
    assert (lookups.count, len(verdicts), verdicts._asking) == (1, 0, {})
    assert not verdicts.known("t")
    lookups.error = None
    assert await verdicts.of("t", lookups.of("t")) == principal("anna")


def test_a_media_address_is_known_whatever_follows_it_in_the_frame():
    """A download button's next field is its type or its icon, whose first byte is a letter."""
    for more in ({"type": "primary"}, {"icon": ":material/download:"}, {"ignore_rerun": True}, {}):
        media = MediaOwners()
        media.note("anna", DownloadButton(label="x", url="/media/6267716969ac2e58.csv", **more).SerializeToString())
        assert media.may_read("anna", "6267716969ac2e58.csv"), more
        assert not media.may_read("anna", "6267716969ac2e5.csv")


def test_media_are_for_whom_they_were_sent_to_in_bounded_memory():
    media = MediaOwners(max_users=2, max_files=3)
    media.note("anna", b"..\x0a/media/one.png\x12 and /media/two.mp3..")
    assert media.may_read("anna", "one.png")
    assert media.may_read("anna", "two.mp3")
    assert not media.may_read("bob", "one.png")
    media.note("anna", b"/media/three.png /media/one.png /media/four.png")
    assert not media.may_read("anna", "two.mp3")  # the one that was not sent for longest
    assert media.may_read("anna", "one.png")
    for name in ("bob", "anna", "carl"):
        media.note(name, b"/media/x.png")
    assert media.may_read("anna", "one.png")
    assert not media.may_read("bob", "x.png")
    media.note("dora", b"no address in here")
    assert media.may_read("carl", "x.png")
