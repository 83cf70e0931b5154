"""One set of rules before real servers: FastAPI, Flask, Django over ASGI and WSGI, all asked over sockets.

`pytest tests/security/test_integration_apps.py -s -k table` prints what each of them answered.
"""
# ruff: noqa: B008 - FastAPI's way to name a dependency

import asyncio
import contextlib
import io
import json
import time

import httpx
import jwt as pyjwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.errors import ConfigError
from engine.security import SecurityIntegration, apply_security_to_django
from engine.security.api_key import new_api_key
from tests.security.web_apps import OWN_POLICY, STACKS, fastapi_app, flask_app, running, serving

SECRET = "a-secret-of-tests-0123456789-abcdefghij"
KEY_ID, KEY, KEY_DIGEST = new_api_key()
OLD_ID, OLD_KEY, OLD_DIGEST = new_api_key()
KEYS = {
    KEY_ID: {"sha256": KEY_DIGEST, "user": "robot", "scopes": ["read"], "expires_at": None},
    OLD_ID: {"sha256": OLD_DIGEST, "user": "robot", "scopes": [], "expires_at": time.time() - 1},
}
BASIC = {"jwt_secret": SECRET, "auth_method": "jwt_or_api_key", "api_keys": KEYS, "public_paths": ["/health"]}
PROMISED = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
ASGI = [kind for kind in STACKS if kind in {"fastapi", "django-asgi"}]


def config(seen=None, **changes):
    return {
        **BASIC,
        "rate_limit_per_minute": 1000,
        "failure_threshold": 1000,
        "audit": (seen if seen is not None else []).append,
        **changes,
    }


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def forged(key=SECRET, algorithm="HS256", headers=None, **changes):
    now = int(time.time())
    plain = {
        "iss": "engine.security",
        "aud": "engine.security",
        "sub": "root",
        "sid": "s",
        "jti": "j",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    return pyjwt.encode(plain | changes, key, algorithm=algorithm, headers=headers)


def cases(security):
    """Return (what is tried, method, target, headers, body, expected status)."""
    good = bearer(security.tokens.issue("anna", sid="s1"))
    revoked = security.tokens.issue("anna", sid="s2")
    security.revoke(security.tokens.verify(revoked).jti)
    ended = security.tokens.issue("anna", sid="s3")
    security.revoke("s3")
    as_json = good | {"content-type": "application/json"}
    now = int(time.time())
    return [
        ("a valid token", "POST", "/chat?query=hello", good, None, 200),
        ("a valid API key", "POST", "/chat?query=hello", {"x-api-key": KEY}, None, 200),
        ("an API key as bearer", "POST", "/chat?query=hello", bearer(KEY), None, 200),
        ("nothing, on a public path", "GET", "/health", {}, None, 200),
        ("an old token, on a public path", "GET", "/health", bearer(revoked), None, 200),
        ("a JSON body", "POST", "/echo", as_json, b'{"a": [1, "b"]}', 200),
        ("nothing", "POST", "/chat?query=hello", {}, None, 401),
        ("nothing, where nobody asked for it", "GET", "/forgotten", {}, None, 401),
        ("nothing, the API's description", "GET", "/openapi.json", {}, None, 401),
        ("nothing, an unknown path", "GET", "/nowhere", {}, None, 401),
        ("a public path by another name", "GET", "/health/", {}, None, 401),
        ("basic authentication", "GET", "/forgotten", {"authorization": "Basic YTpi"}, None, 401),
        ("alg none", "GET", "/forgotten", bearer(forged(key=None, algorithm="none") + "AAAA"), None, 401),
        ("another key", "GET", "/forgotten", bearer(forged(key="another-secret-0123456789-abcdefghijk")), None, 401),
        (
            "a key that comes along",
            "GET",
            "/forgotten",
            bearer(forged(headers={"jwk": {"kty": "oct", "k": "AAAA"}})),
            None,
            401,
        ),
        ("a key's name", "GET", "/forgotten", bearer(forged(headers={"kid": "/dev/null"})), None, 401),
        ("expired", "GET", "/forgotten", bearer(forged(iat=now - 90, nbf=now - 90, exp=now - 30)), None, 401),
        ("lives for an hour", "GET", "/forgotten", bearer(forged(exp=now + 3600)), None, 401),
        ("another audience", "GET", "/forgotten", bearer(forged(aud="others")), None, 401),
        ("another issuer", "GET", "/forgotten", bearer(forged(iss="others")), None, 401),
        ("a revoked token", "GET", "/forgotten", bearer(revoked), None, 401),
        ("a token of an ended session", "GET", "/forgotten", bearer(ended), None, 401),
        ("a token and an API key", "GET", "/forgotten", good | {"x-api-key": KEY}, None, 401),
        ("an expired API key", "GET", "/forgotten", {"x-api-key": OLD_KEY}, None, 401),
        ("an API key with a wrong secret", "GET", "/forgotten", {"x-api-key": KEY[:-2] + "__"}, None, 401),
        ("steps upwards in the path", "GET", "/a/%2e%2e/health", good, None, 400),
        ("steps upwards, encoded twice", "GET", "/%252e%252e/health", good, None, 400),
        ("overlong UTF-8", "GET", "/%c0%af", good, None, 400),
        ("NUL in the query", "POST", "/chat?query=%00", good, None, 400),
        ("a line break in the query", "POST", "/chat?query=a%0d%0ab", good, None, 400),
        ("half a percent sign", "POST", "/chat?query=100%25%", good, None, 400),
        ("a name twice in JSON", "POST", "/echo", as_json, b'{"a": 1, "a": 2}', 400),
        ("JSON of 40 levels", "POST", "/echo", as_json, b"[" * 40 + b"]" * 40, 400),
        ("broken JSON", "POST", "/echo", as_json, b"{", 400),
        ("a method that is not allowed", "TRACE", "/health", good, None, 405),
        ("2 MB of JSON", "POST", "/echo", as_json, b'"' + b"x" * 2_000_000 + b'"', 413),
        ("XML", "POST", "/echo", good | {"content-type": "application/xml"}, b"<a/>", 415),
        ("a very long address", "GET", "/health?q=" + "x" * 9000, {}, None, 414),
        ("an error inside", "GET", "/boom", good, None, 500),
    ]


@pytest.mark.parametrize("kind", STACKS)
def test_the_table_of_answers(kind):
    seen, rows, wrong = [], [], []
    with serving(kind, config(seen)) as (base, security), httpx.Client(base_url=base) as client:
        for tried, method, target, headers, body, expected in cases(security):
            answer = client.request(method, target, headers=headers, content=body)
            rows.append(f"{kind:12} {tried:36} {method:6} {target[:28]:28} {expected} {answer.status_code}")
            if answer.status_code != expected or problems(answer):
                wrong.append(f"{rows[-1]} {problems(answer)} {answer.text[:100]}")
        wait_for(seen, len(rows))
    print("\n" + "\n".join(rows))
    assert not wrong
    check_audit(seen, cases_count=len(rows))


def wait_for(seen, count):
    """Wait for the entries of requests that were answered: they are written at the end, and the server is another thread."""
    until = time.monotonic() + 10
    while len(seen) < count and time.monotonic() < until:
        time.sleep(0.01)
    assert len(seen) == count


def problems(answer):
    found = [name for name, value in PROMISED.items() if answer.headers.get_list(name) != [value]]
    found += ["x-request-id"] * (len(answer.headers.get("x-request-id", "")) != 32) + ["hsts over http"] * (
        "strict-transport-security" in answer.headers
    )
    if answer.status_code == 401 and answer.headers["www-authenticate"] != "Bearer":
        found.append("no challenge")
    if "secret detail" in answer.text:
        found.append("tells about its inside")
    ours = answer.status_code >= 400 and answer.status_code != 500 and answer.request.method != "HEAD"
    if ours and set(answer.json()) != {"error", "hint", "request_id"}:
        found.append("another body")
    return found


def check_audit(entries, cases_count):
    text = json.dumps(entries)
    assert len(entries) == cases_count
    assert {entry["status"] for entry in entries} == {200, 400, 401, 405, 413, 414, 415, 500}
    assert {entry["user"] for entry in entries} == {None, "anna", "robot"}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    assert len({entry["request_id"] for entry in entries}) == cases_count
    for secret in (SECRET, KEY, KEY[16:], KEY_DIGEST, "hello", "eyJ"):
        assert secret not in text


@pytest.mark.parametrize("kind", STACKS)
def test_a_user_has_one_budget_wherever_from_and_strangers_have_one_for_each_address(kind):
    with serving(kind, config(rate_limit_per_minute=3)) as (base, security), httpx.Client(base_url=base) as client:
        anna, bob = (bearer(security.tokens.issue(name, sid=name)) for name in ("anna", "bob"))
        answers = [client.get("/forgotten", headers=anna) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert answers[3].headers["x-ratelimit-limit"] == "3"
        assert 55 <= int(answers[3].headers["retry-after"]) <= 60
        assert not problems(answers[3])
        assert client.get("/forgotten", headers=bob).status_code == 200  # the address is not used up by its users
        strangers = [client.get("/forgotten", headers=bearer("x.y.z")).status_code for _ in range(4)]
        assert strangers == [401, 401, 401, 429]
        # A changing header of the client is no new address.
        spoofed = [client.get("/health", headers={"x-forwarded-for": f"9.9.9.{n}"}).status_code for n in range(3)]
        assert spoofed == [429, 429, 429]


@pytest.mark.parametrize("kind", STACKS)
def test_failures_in_a_row_open_the_breaker_and_health_stays_reachable(kind):
    with (
        serving(kind, config(failure_threshold=3, public_paths=["/health", "/unavailable"])) as (base, security),
        httpx.Client(base_url=base) as client,
    ):
        anna = bearer(security.tokens.issue("anna", sid="s"))
        assert [client.get("/nowhere", headers=anna).status_code for _ in range(5)] == [404] * 5
        assert [client.get("/unavailable").status_code for _ in range(5)] == [503] * 5  # public: not counted
        assert [client.get("/boom", headers=anna).status_code for _ in range(3)] == [500] * 3
        answer = client.post("/chat?query=x", headers=anna)
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert not problems(answer)
        assert client.get("/health").status_code == 200
        assert client.get("/forgotten").status_code == 401  # strangers learn nothing of it


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("kind", ["fastapi", "flask"])
def test_the_breaker_closes_after_a_trial_that_succeeds(kind):
    clock = Clock()
    plain, _ = {"fastapi": fastapi_app, "flask": flask_app}[kind](config(enable_auth=False, enable_circuit_breaker=False))
    security = SecurityIntegration({"enable_auth": False, "failure_threshold": 2}, clock=clock)
    app = security.asgi(plain) if kind == "fastapi" else security.wsgi(plain)
    with running(app, kind) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert [client.get("/boom").status_code for _ in range(3)] == [500, 500, 503]
        clock.now += 30
        assert [client.get("/unavailable").status_code, client.get("/own-headers").status_code] == [503, 503]
        clock.now += 30
        assert [client.get("/own-headers").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("kind", STACKS)
def test_networks_are_refused_by_the_address_that_a_trusted_proxy_reports(kind):
    rules = {"deny_networks": ["203.0.113.0/24", "2001:db8::/32"], "trusted_proxies": ["127.0.0.0/8"]}
    seen = []
    with serving(kind, config(seen, **rules)) as (base, _), httpx.Client(base_url=base) as client:
        table = {
            "203.0.113.5": 403,
            "198.51.100.1": 200,
            "198.51.100.1, 203.0.113.5": 403,
            "203.0.113.5, 198.51.100.1": 200,
            "2001:db8::5": 403,
            "[2001:DB8:0::5]:443": 403,
            "::ffff:203.0.113.5": 403,
            "2001:db9::5": 200,
        }
        for forwarded, expected in table.items():
            answer = client.get("/health", headers={"x-forwarded-for": forwarded})
            assert (forwarded, answer.status_code) == (forwarded, expected)
            assert not problems(answer)
        wait_for(seen, len(table))
    assert {entry["address"] for entry in seen} == {"203.0.113.5", "198.51.100.1", "2001:db8::5", "2001:db9::5"}
    with serving(kind, config(deny_networks=["203.0.113.0/24"])) as (base, _), httpx.Client(base_url=base) as client:
        # Nobody is trusted: the header changes nothing, neither into the list nor out of it.
        assert client.get("/health", headers={"x-forwarded-for": "203.0.113.5"}).status_code == 200
    with serving(kind, config(deny_networks=["127.0.0.0/8"])) as (base, _), httpx.Client(base_url=base) as client:
        assert client.get("/health", headers={"x-forwarded-for": "198.51.100.1"}).status_code == 403


@pytest.mark.parametrize("kind", STACKS)
def test_identity_comes_from_us_alone_and_headers_of_the_application_stay(kind):
    with serving(kind, config()) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        posted = {"content-type": "application/json", "x-remote-user": "root", "x_remote_user": "root", "x-wb-user": "root"}
        assert client.post("/echo", headers=token | posted, content=b"{}").json() == {"length": 2, "spoofed": None}
        assert client.get("/health", headers=token).json() == {"user": "anna"}
        assert client.get("/health", headers={"x-security-user": "root"}).json() == {"user": None}
        assert client.get("/own-headers", headers=token).headers.get_list("content-security-policy") == [OWN_POLICY]
        big = b"x" * 3_000_000
        form = token | {"content-type": "multipart/form-data; boundary=b"}
        assert client.post("/echo", headers=form, content=big).json()["length"] == len(big)


@pytest.mark.parametrize("kind", ["fastapi", "django-asgi", "flask"])
def test_a_body_of_unannounced_length_is_counted_while_it_comes(kind):
    def pieces():
        for _ in range(30):
            yield b"x" * 10_000

    with serving(kind, config(max_body_bytes=100_000)) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        for content_type in ("multipart/form-data; boundary=b", "application/json"):
            answer = client.post("/echo", headers=token | {"content-type": content_type}, content=pieces())
            assert (content_type, answer.status_code) == (content_type, 413)
            assert not problems(answer)
        answer = client.post("/echo", headers=token | {"content-type": "application/json"}, content=iter([b'{"a":', b"1}"]))
        assert answer.json()["length"] == 7


@pytest.mark.parametrize("kind", STACKS)
def test_attempts_are_seen_in_the_log_and_refused_only_when_asked_to(kind):
    seen = []
    attempt = {"params": {"query": "' OR 1=1 --"}}
    with serving(kind, config(seen)) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        assert client.post("/chat", headers=token, **attempt).status_code == 200
        assert client.post("/echo", headers=token, json={"deep": [{"x": "<script>"}]}).status_code == 200
        wait_for(seen, 2)
    assert [entry["flags"] for entry in seen] == [["sql"], ["markup"]]
    assert "OR 1=1" not in json.dumps(seen)
    with serving(kind, config(suspicious_input="block")) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        assert client.post("/chat", headers=token, **attempt).status_code == 400
        assert client.post("/chat?query=hello", headers=token).status_code == 200


@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_audit_log_that_fails_stops_changes_but_not_reading(kind, asynchronous):
    def failing(entry):
        raise OSError("disk full")

    async def failing_later(entry):
        await asyncio.sleep(0)
        raise OSError("disk full")

    sink = failing_later if asynchronous else failing
    with serving(kind, config(audit=sink, audit_required=True)) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        refused = client.post("/chat?query=x", headers=token)
        assert (refused.status_code, refused.json()["error"]) == (503, "the audit log cannot be written")
        assert client.get("/forgotten", headers=token).status_code == 200


@pytest.mark.parametrize("kind", STACKS)
def test_hooks_may_be_coroutines_and_refuse_when_they_fail(kind):
    revoked = set()

    async def is_revoked(jti, sid):
        await asyncio.sleep(0)
        if sid == "broken":
            raise RuntimeError(jti)
        return sid in revoked

    async def find(identifier):
        await asyncio.sleep(0)
        return KEYS.get(identifier)

    with serving(kind, config(is_revoked=is_revoked, api_keys=find)) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        assert client.get("/forgotten", headers=token).status_code == 200
        revoked.add("s")
        assert client.get("/forgotten", headers=token).status_code == 401
        assert client.get("/forgotten", headers=bearer(security.tokens.issue("anna", sid="broken"))).status_code == 503
        assert client.get("/forgotten", headers={"x-api-key": KEY}).status_code == 200
        assert client.get("/forgotten", headers={"x-api-key": new_api_key()[1]}).status_code == 401


def test_a_scope_that_is_missing_is_a_403_in_the_same_form():
    seen = []
    with serving("fastapi", config(seen)) as (base, security), httpx.Client(base_url=base) as client:
        may, may_not = (bearer(security.tokens.issue("anna", sid="s", scopes=scopes)) for scopes in (["write"], ["read"]))
        assert client.delete("/documents/7", headers=may).json() == {"deleted": 7, "user": "anna"}
        refused = client.delete("/documents/7", headers=may_not)
        assert refused.status_code == 403
        assert not problems(refused)
        wait_for(seen, 2)
    assert [entry["path"] for entry in seen] == ["/documents/{number}"] * 2  # the template, not the number
    assert [entry["outcome"] for entry in seen] == ["ok", "refused: the credential does not allow this"]


def test_hsts_is_sent_only_over_tls_as_a_trusted_proxy_reports_it():
    with serving("fastapi", config(trusted_proxies=["127.0.0.1"])) as (base, _), httpx.Client(base_url=base) as client:
        assert (
            client.get("/health", headers={"x-forwarded-proto": "https"}).headers["strict-transport-security"]
            == "max-age=31536000"
        )
        assert "strict-transport-security" not in client.get("/health").headers
        kept = client.get("/health", headers={"x-request-id": "from-the-proxy-1"})
        assert kept.headers["x-request-id"] == "from-the-proxy-1"
    with serving("fastapi", config()) as (base, _), httpx.Client(base_url=base) as client:
        spoofed = client.get("/health", headers={"x-forwarded-proto": "https", "x-request-id": "from-the-client"})
        assert "strict-transport-security" not in spoofed.headers
        assert spoofed.headers["x-request-id"] != "from-the-client"


async def test_a_websocket_is_refused_before_it_opens_and_closed_when_its_session_ends():
    seen = []
    with serving("fastapi", config(seen, websocket_messages_per_minute=5)) as (base, security):
        address = base.replace("http", "ws") + "/ws"
        for headers in ({}, bearer("x.y.z")):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(address, additional_headers=headers):
                    pass
            assert refused.value.response.status_code == 401
            assert refused.value.response.headers["x-content-type-options"] == "nosniff"
        async with connect(address, additional_headers=bearer(security.tokens.issue("anna", sid="s1"))) as socket:
            await socket.send("hello")
            assert await socket.recv() == "anna: hello"
            security.revoke("s1")
            await socket.send("still there?")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == 4401
        async with connect(address, additional_headers=bearer(security.tokens.issue("bob", sid="s2"))) as socket:
            for _ in range(5):
                await socket.send("x")
                await socket.recv()
            await socket.send("one too many")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd.code == 1013
        await asyncio.to_thread(wait_for, seen, 4)
    assert [(entry["method"], entry["status"]) for entry in seen] == [
        ("WEBSOCKET", 401),
        ("WEBSOCKET", 401),
        ("WEBSOCKET", 101),
        ("WEBSOCKET", 101),
    ]
    assert [entry["outcome"] for entry in seen][2:] == ["closed with 4401", "closed with 1013"]


async def test_an_exception_leaves_no_trace_and_reaches_the_server():
    async def broken(scope, receive, send):
        raise ValueError("inside")

    sent, seen = [], []
    security = SecurityIntegration({"enable_auth": False, "audit": seen.append, "failure_threshold": 1})
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    with pytest.raises(ValueError, match="inside"):
        await security.asgi(broken)(scope, receive, send)
    assert sent[0]["status"] == 500
    assert b"inside" not in sent[1]["body"]
    assert (seen[0]["outcome"], seen[0]["status"], seen[0]["address"]) == ("failed", 500, "unknown")
    await security.asgi(broken)(scope, receive, send)
    assert sent[2]["status"] == 503


async def test_a_client_that_leaves_is_no_failure_of_the_application():
    async def reads(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ConnectionError("the client left")

    seen = []
    security = SecurityIntegration(
        {"enable_auth": False, "audit": seen.append, "failure_threshold": 1, "content_types": ["text/plain"]}
    )
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-type", b"text/plain"), (b"content-length", b"9")],
    }

    async def receive():
        return {"type": "http.disconnect"}

    for _ in range(3):
        with pytest.raises(ConnectionError):
            await security.asgi(reads)(scope, receive, None)
    assert [entry["outcome"] for entry in seen] == ["aborted"] * 3


def test_a_body_that_breaks_half_way_counts_as_a_failure_and_is_closed_once():
    closed, seen = [], []

    class Body:
        def __iter__(self):
            yield b"half"
            raise ValueError("inside")

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        start_response("200 OK", [("content-type", "text/plain")])
        return Body()

    security = SecurityIntegration({"enable_auth": False, "audit": seen.append, "failure_threshold": 1})
    wrapped, environ, heads = security.wsgi(app), {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": None}, []
    result = wrapped(environ, lambda *head: heads.append(head))
    with pytest.raises(ValueError, match="inside"):
        list(result)
    result.close()
    result.close()
    assert (closed, heads[0][0], seen[0]["outcome"]) == ([True], "200 OK", "failed")
    list(wrapped(environ, lambda *head: heads.append(head)))
    assert heads[1][0].startswith("503")


@pytest.mark.parametrize("kind", ["fastapi"])
def test_the_example_refuses_its_placeholder_and_runs_with_a_secret(kind):
    from fastapi import Depends, FastAPI

    from engine.errors import MissingSecret
    from engine.security import apply_security_to_fastapi

    example = {"enable_auth": True, "auth_method": "jwt", "enable_rate_limiting": True, "rate_limit_per_minute": 100}
    with pytest.raises(MissingSecret):
        apply_security_to_fastapi(FastAPI(), example | {"jwt_secret": "your-secret-key"})
    app = FastAPI()
    security = apply_security_to_fastapi(app, example | {"jwt_secret": SECRET})
    auth_dependency = security.create_auth_dependency()

    @app.post("/chat")
    async def chat(query: str, user=Depends(auth_dependency)):
        return {"query": query, "user": user.subject}

    with running(app, kind) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.post("/chat?query=hi").status_code == 401
        token = bearer(security.tokens.issue("anna", sid="s1"))
        assert client.post("/chat?query=hi", headers=token).json() == {"query": "hi", "user": "anna"}
        assert client.get("/docs").status_code == 401


def test_the_default_log_is_one_line_of_json_whatever_the_path_says(caplog):
    caplog.set_level("INFO", "engine.security.audit")
    with serving("fastapi", {"jwt_secret": SECRET}) as (base, _), httpx.Client(base_url=base) as client:
        client.get("/a%0d%0a%E2%80%A8fake?query=private", headers=bearer("x.y.z"))
    (record,) = [record for record in caplog.records if record.name == "engine.security.audit"]
    line = record.getMessage()
    assert line.splitlines() == [line]
    assert json.loads(line)["path"] == "/a\r\n\u2028fake"
    assert "private" not in line
    assert "x.y.z" not in line


def environ(**more):
    return {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_TYPE": "application/json", **more}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (environ(CONTENT_LENGTH="10", **{"wsgi.input": io.BytesIO(b"{}")}), "400"),  # the client left half-way
        (environ(HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input": io.BytesIO(b"{}")}), "411"),
        (environ(HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input": io.BytesIO(b"{}"), "wsgi.input_terminated": True}), "200"),
        (environ(CONTENT_LENGTH="2", **{"wsgi.input": io.BytesIO(b"{}GET /next")}), "200"),
    ],
)
def test_a_wsgi_body_is_read_to_its_announced_end_and_no_further(given, status):
    read, heads = [], []

    def app(environ, start_response):
        read.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [b""]

    list(SecurityIntegration({"enable_auth": False}).wsgi(app)(given, lambda *head: heads.append(head)))
    assert heads[0][0].startswith(status)
    assert read == ([b"{}"] if status == "200" else [])


@pytest.mark.parametrize("content_type", [b"text/xml", b"application/xml+json"])
async def test_a_body_that_was_never_announced_is_checked_when_it_comes(content_type):
    # HTTP/2 has neither Content-Length nor Transfer-Encoding for it.
    async def app(scope, receive, send):
        await receive()
        raise AssertionError("the body came through")

    sent = []
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", content_type)]}

    async def receive():
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        sent.append(message)

    await SecurityIntegration({"enable_auth": False}).asgi(app)(scope, receive, send)
    assert sent[0]["status"] == 415


def test_an_application_without_api_keys_may_use_that_header_for_itself():
    only_tokens = {"jwt_secret": SECRET, "auth_method": "jwt"}
    with serving("fastapi", only_tokens) as (base, security), httpx.Client(base_url=base) as client:
        token = bearer(security.tokens.issue("anna", sid="s"))
        assert client.get("/forgotten", headers=token | {"x-api-key": "for something else"}).status_code == 200
        assert client.get("/forgotten", headers=bearer(KEY)).status_code == 401


def test_what_is_no_application_is_refused():
    with pytest.raises(ConfigError):
        apply_security_to_django(lambda environ: None, {"jwt_secret": SECRET})
    with pytest.raises(ConfigError):
        apply_security_to_django(None, {"jwt_secret": SECRET})


async def test_a_lifespan_passes_untouched():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    scope = {"type": "lifespan"}
    await SecurityIntegration({"jwt_secret": SECRET}).asgi(app)(scope, None, None)
    assert seen == [scope]


def test_a_default_log_that_nobody_keeps_says_so_once(caplog, monkeypatch):
    from engine.security import request_audit

    request_audit._say_that_nothing_is_kept.cache_clear()
    monkeypatch.setattr(request_audit.logger, "level", 30)
    request_audit.logger.manager._clear_cache()
    security = SecurityIntegration({"enable_auth": False})
    for _ in range(2):
        security.wsgi(lambda environ, start: [])({"REQUEST_METHOD": "GET", "wsgi.input": None}, lambda *head: None).close()
    request_audit.logger.manager._clear_cache()
    assert [record.levelname for record in caplog.records if record.name == request_audit.logger.name] == ["WARNING"]


async def test_an_application_that_swallows_the_end_of_the_budget_answers_413_all_the_same():
    async def app(scope, receive, send):
        with contextlib.suppress(Exception):
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    sent = []
    headers = [(b"content-type", b"multipart/form-data"), (b"transfer-encoding", b"chunked")]

    async def receive():
        return {"type": "http.request", "body": b"x" * 60, "more_body": True}

    async def send(message):
        sent.append(message)

    security = SecurityIntegration({"enable_auth": False, "max_body_bytes": 100})
    await security.asgi(app)({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive, send)
    assert [message.get("status") for message in sent] == [413, None]
    assert b"fine" not in sent[1]["body"]
