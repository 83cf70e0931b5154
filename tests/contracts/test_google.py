"""What only Google's rows promise, on top of the suites of generators and embedders."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import threading
from contextlib import aclosing, suppress
from dataclasses import replace
from types import SimpleNamespace

import google.auth.exceptions
import google.genai.errors
import httpx2
import numpy as np
import pytest
import requests

from engine import registry
from engine.embedding.gemini import GeminiEmbedder, VertexEmbedder
from engine.errors import (
    BadResponse,
    ConfigError,
    MissingSecret,
    NoAnswer,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from engine.generation import gemini_legacy
from engine.generation.gemini import GeminiGenerator, VertexGenerator
from engine.generation.gemini_legacy import GeminiLegacyGenerator
from engine.types import Endpoint, Message, Prompt, Usage
from engine.vendors import google_client
from engine.vendors.google import LONGEST_REST, LONGEST_TOKEN, Reading, checked_place
from tests.upstreams import gemini, vertex
from tests.upstreams import gemini_legacy as legacy_upstream
from tests.upstreams.google import DIMENSION, PROJECT, TOKEN, service_account, vector
from tests.upstreams.server import KEY, Reply

PROMPT = Prompt(question="How many people work there?", passages=(), system="Answer from passages.", answer_tokens=77)
GENERATORS = {"gemini": GeminiGenerator, "vertex": VertexGenerator, "gemini-legacy": GeminiLegacyGenerator}
UPSTREAMS = {"gemini": gemini, "vertex": vertex, "gemini-legacy": legacy_upstream}
every_generator = pytest.mark.parametrize("name", sorted(GENERATORS))
FAMILY = {429: RateLimited, 408: ProviderTimeout, 504: ProviderTimeout, 409: ProviderUnavailable}
ENDPOINT = Endpoint(api_key=KEY)


@pytest.fixture
def upstream(name):
    with UPSTREAMS[name].upstream() as running:
        yield running


@pytest.fixture
def gemini_server():
    with gemini.upstream() as running:
        yield running


@pytest.fixture
def vertex_server():
    with vertex.upstream() as running:
        yield running


async def answer(generator, prompt=PROMPT):
    deltas = [delta async for delta in generator.stream(prompt)]
    return "".join(delta.text for delta in deltas), deltas[-1].usage


def family(status: int) -> type[ProviderError]:
    fallback = ProviderUnavailable if status >= 500 else ProviderRejected if status >= 300 else BadResponse
    return FAMILY.get(status, fallback)


# --- errors ----------------------------------------------------------------------------------------------------------


def exceptions_of(module) -> list[type[Exception]]:
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception)]
    return [one for one in found if not issubclass(one, Warning)]


@pytest.mark.parametrize("kind", exceptions_of(google.genai.errors), ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_has_its_place(kind):
    if not issubclass(kind, google.genai.errors.APIError):
        error = google_client.error_of(kind(f"it was {KEY}"), ENDPOINT, provider="gemini")
        assert type(error) is (ProviderUnavailable if kind.__name__ == "ContinuationInterruptedError" else BadResponse)
        assert KEY not in str(error) + error.hint
        return
    for status in (302, 400, 401, 403, 404, 408, 409, 413, 429, 499, 500, 502, 503, 504, 529):
        body = {"error": {"code": status, "message": f"your key {KEY}", "status": "X"}}
        for response in (None, httpx2.Response(status, headers={"retry-after": "9"})):
            error = google_client.error_of(kind(status, body, response), ENDPOINT, provider="gemini")
            assert type(error) is family(status)
            assert KEY not in str(error) + error.hint
            if isinstance(error, RateLimited):
                assert error.retry_after_seconds == (9 if response else None)


@pytest.mark.parametrize("kind", exceptions_of(gemini_legacy.exceptions), ids=lambda kind: kind.__name__)
def test_every_error_of_the_former_sdk_has_its_place(kind):
    cause = [ValueError(KEY)] if kind is gemini_legacy.exceptions.RetryError else []
    made = kind(f"it was {KEY}", *cause)
    error = gemini_legacy.error_of(made, ENDPOINT)
    unsaid = BadResponse if kind.__name__ == "AsyncRestUnsupportedParameterError" else ProviderUnavailable
    status = getattr(made, "code", None)
    assert type(error) is (family(int(status)) if status else unsaid)
    assert KEY not in str(error) + error.hint


@pytest.mark.parametrize("kind", exceptions_of(google.auth.exceptions), ids=lambda kind: kind.__name__)
def test_every_error_of_signing_in_has_its_place(kind):
    error = google_client.error_of(kind(f"it was {KEY}"), ENDPOINT, provider="vertex")
    assert type(error) is (BadResponse if issubclass(kind, ValueError) else ProviderRejected)
    assert KEY not in str(error)
    assert google_client.error_of(google.auth.exceptions.RefreshError("x", retryable=True), ENDPOINT, provider="v").retryable


# Requests of ours have no cookies to be in conflict.
@pytest.mark.parametrize(
    "kind", sorted({*exceptions_of(httpx2)} - {httpx2.CookieConflict}, key=str), ids=lambda kind: kind.__name__
)
def test_every_error_of_the_http_library_has_its_place(kind):
    arguments = {"request": None, "response": None} if kind is httpx2.HTTPStatusError else {}
    try:
        made = kind(f"it was {KEY}", **arguments)
    except TypeError:
        made = kind()
    with pytest.raises(ProviderError) as caught, google_client.translated(ENDPOINT, provider="gemini"):
        raise made
    assert isinstance(caught.value, ProviderTimeout) == issubclass(kind, httpx2.TimeoutException)
    assert caught.value.retryable or kind is httpx2.InvalidURL
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("kind", exceptions_of(requests.exceptions), ids=lambda kind: kind.__name__)
def test_every_error_of_the_other_http_library_has_its_place(kind):
    rest = ["", 0] if issubclass(kind, json.JSONDecodeError) else []
    made = kind(f"it was {KEY}", *rest)
    with pytest.raises(ProviderError) as caught, gemini_legacy.translated(ENDPOINT):
        raise made
    assert isinstance(caught.value, ProviderTimeout) == issubclass(kind, requests.Timeout)
    assert KEY not in str(caught.value)


@every_generator
async def test_how_long_to_wait_may_stand_in_the_body(name, upstream):
    upstream.retry_after, upstream.retry_delay = "", "41.5s"
    upstream.fail("429")
    with pytest.raises(RateLimited) as caught:
        await answer(GENERATORS[name](upstream.endpoint))
    assert caught.value.retry_after_seconds == 41.5


@every_generator
async def test_an_error_within_a_stream_is_that_error(name, upstream):
    whole = upstream.routes

    def routes(call):
        reply = whole(call)
        first = next(reply.stream)
        error = json.dumps(upstream.error_body(503)).encode()
        parts = [first, b"data: " + error + b"\r\n\r\n" if first.startswith(b"data") else b",\r\n" + error + b"]"]
        return replace(reply, stream=iter(parts))

    upstream.routes = routes
    with pytest.raises(ProviderUnavailable) as caught:
        await answer(GENERATORS[name](upstream.endpoint))
    assert KEY not in str(caught.value)


async def test_an_array_that_is_not_ended_is_a_stream_that_broke_off():
    with legacy_upstream.upstream() as upstream:
        whole = upstream.routes
        upstream.routes = lambda call: replace(whole(call), stream=list(whole(call).stream)[:3])
        with pytest.raises(ProviderUnavailable):
            await answer(GeminiLegacyGenerator(upstream.endpoint))


@every_generator
async def test_a_redirect_does_not_carry_the_key_away(name, upstream, gemini_server):
    whole = upstream.routes
    upstream.routes = lambda call: replace(
        whole(call), status=307, headers={"Location": gemini_server.url + call.path}, stream=None
    )
    with pytest.raises(ProviderError):
        await answer(GENERATORS[name](upstream.endpoint))
    assert not gemini_server.calls


def test_a_redirect_of_the_embedder_is_not_followed_either(gemini_server, vertex_server):
    embedder = VertexEmbedder(vertex_server.endpoint)
    whole = vertex_server.routes
    vertex_server.routes = lambda call: replace(whole(call), status=307, headers={"Location": gemini_server.url})
    with pytest.raises(ProviderError):
        embedder.embed_query("a")
    assert not gemini_server.calls
    embedder.close()


# --- answers ---------------------------------------------------------------------------------------------------------


@every_generator
async def test_the_request_is_what_the_reference_asks_for(name, upstream):
    history = (Message(role="user", text="Where?"), Message(role="assistant", text="There [1]."))
    await answer(GENERATORS[name](upstream.endpoint), replace(PROMPT, history=history))
    (call,) = upstream.calls
    assert [one["role"] for one in call.body["contents"]] == ["user", "model", "user"]
    assert call.body["contents"][1]["parts"] == [{"text": "There [1]."}]
    assert call.body["systemInstruction"]["parts"] == [{"text": PROMPT.system}]
    assert call.body["generationConfig"] == {"maxOutputTokens": 77, "temperature": 0}
    assert call.headers["x-goog-api-key"] == KEY
    assert KEY not in call.path


@every_generator
@pytest.mark.filterwarnings("ignore:.*FinishReason:UserWarning")
@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "A_REASON_OF_TOMORROW"])
async def test_a_filter_that_acts_on_the_answer_is_a_refusal(name, reason, upstream):
    upstream.finish = reason
    with pytest.raises(ProviderRejected) as caught:
        await answer(GENERATORS[name](upstream.endpoint))
    assert "refused the answer" in str(caught.value)
    assert ("99" if name == "gemini-legacy" and "TOMORROW" in reason else reason) in str(caught.value)
    assert caught.value.hint


@every_generator
async def test_a_filter_that_acts_on_the_prompt_is_a_refusal(name, upstream):
    upstream.blocked = "PROHIBITED_CONTENT"
    with pytest.raises(ProviderRejected, match=r"refused the prompt .*PROHIBITED_CONTENT"):
        await answer(GENERATORS[name](upstream.endpoint))


@every_generator
async def test_an_answer_at_the_limit_of_tokens_is_an_answer(name, upstream):
    upstream.finish = "MAX_TOKENS"
    assert (await answer(GENERATORS[name](upstream.endpoint)))[0] == upstream.text


@every_generator
@pytest.mark.parametrize(
    ("finish", "text", "kind"),
    [("", "One word", ProviderUnavailable), ("OTHER", "One word", NoAnswer), ("MAX_TOKENS", "", NoAnswer)],
)
async def test_an_answer_that_is_none_is_an_error(name, finish, text, kind, upstream):
    upstream.finish, upstream.text = finish, text
    with pytest.raises(kind) as caught:
        await answer(GENERATORS[name](upstream.endpoint))
    assert type(caught.value) is kind


@pytest.mark.parametrize("name", ["gemini", "vertex"])
async def test_thoughts_are_paid_for_and_not_shown(name, upstream):
    upstream.thoughts = "The user wants a number"
    text, usage = await answer(GENERATORS[name](upstream.endpoint))
    assert text == upstream.text
    assert usage == Usage(input_tokens=upstream.usage[0], output_tokens=upstream.usage[1] + 5)


@every_generator
async def test_tokens_are_counted_where_the_server_does_not_tell(name, upstream):
    upstream.reports_usage = False
    generator = GENERATORS[name](upstream.endpoint)
    _, usage = await answer(generator)
    assert usage.output_tokens == generator.count_tokens(upstream.text)
    assert usage.input_tokens >= generator.count_tokens(PROMPT.question) + generator.count_tokens(PROMPT.system)


@every_generator
async def test_only_models_that_answer_are_listed(name, upstream):
    assert await GENERATORS[name](upstream.endpoint).models() == ["gemini-2.5-flash", "gemini-2.5-pro"]
    assert len(upstream.calls) == 2  # pages


@every_generator
async def test_stop_closes_the_connection_before_the_first_word(name):
    closed = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        asked.set()
        with connection:
            while connection.recv(65536):
                pass
        closed.set()

    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        base_url = f"http://127.0.0.1:{server.getsockname()[1]}"
        reader = asyncio.create_task(answer(GENERATORS[name](Endpoint(base_url=base_url, api_key=KEY))))
        assert await asyncio.to_thread(asked.wait, 10)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert await asyncio.to_thread(closed.wait, 5)


@every_generator
async def test_no_connection_outlives_its_answer(name, upstream):
    before = threading.active_count()
    generator = GENERATORS[name](upstream.endpoint)
    upstream.slow, upstream.text = 0.1, "word " * 200
    for _ in range(3):
        async with aclosing(generator.stream(PROMPT)) as stream:
            await anext(stream)
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    # The server has a thread for each connection; they and the workers of the event loop are all there may be.
    await generator.close()
    await asyncio.sleep(0.5)
    assert threading.active_count() <= before + 2


# --- answers of an enemy ---------------------------------------------------------------------------------------------

DEEP = b"[" * 100_000 + b"]" * 100_000
FAR = {"Retry-After": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}
HOSTILE = {
    "deep": Reply(body=DEEP),
    "deep event": Reply(body=b"data: " + DEEP + b"\n\n", content_type="text/event-stream"),
    "deep error": Reply(body=DEEP, status=400),
    "far retry": Reply(body=b"{}", status=429, headers=FAR),
    "code": Reply(body=b'{"error": {"code": "abc", "message": 7, "status": []}}'),
    "charset": Reply(body=b"a" * 100 + b"..", status=400, content_type="text/plain; charset=idna"),
    "compressed": Reply(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
    "endless": Reply(stream=[bytes(10**6)] * 300),
}


async def all_of(name, endpoint):
    """Yield the ways to ask the provider, each to be awaited."""
    generator = GENERATORS[name](endpoint)
    yield answer(generator)
    yield generator.models()
    if name in registry.EMBEDDERS:
        embedder = registry.build(registry.EMBEDDERS, "embedder", name, endpoint)
        yield asyncio.to_thread(embedder.embed_query, "a")
        yield asyncio.to_thread(embedder.models)
        embedder.close()


@every_generator
@pytest.mark.parametrize("case", HOSTILE)
async def test_whatever_comes_is_an_error_of_ours(case, name, upstream):
    upstream.routes = lambda call: HOSTILE[case]
    async for asked in all_of(name, upstream.endpoint):
        with suppress(ProviderError):  # a list of models without models is one
            assert await asked == []
    assert {call.headers["accept-encoding"] for call in upstream.calls} == {"identity"}


@every_generator
@pytest.mark.parametrize("status", [200, 500])
async def test_no_more_is_read_than_the_limits_allow(status, name, upstream):
    pieces = []

    def endless():
        while not upstream.closing.is_set():
            pieces.append(10**6)
            yield b" " * 10**6

    upstream.routes = lambda call: Reply(stream=endless(), status=status)
    with pytest.raises(ProviderUnavailable if status == 500 else BadResponse):
        await GENERATORS[name](upstream.endpoint).models()
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    assert sum(pieces) < (20 if status == 500 else 100) * 10**6  # what lies in buffers on the way included


@every_generator
async def test_an_answer_that_drips_ends_in_time(name, upstream):
    upstream.slow = 0.2
    upstream.routes = lambda call: Reply(stream=iter([b"["] + [b" "] * 100))
    async for asked in all_of(name, replace(upstream.endpoint, timeout_seconds=1)):
        with pytest.raises(ProviderTimeout):
            await asyncio.wait_for(asked, 10)


@every_generator
async def test_an_answer_longer_than_its_tokens_is_cut(name, upstream):
    upstream.text = "word " * 20_000
    text, _ = await answer(GENERATORS[name](upstream.endpoint))
    assert len(text) == 77 * LONGEST_TOKEN + LONGEST_REST
    assert await asyncio.to_thread(upstream.wait_until_no_stream)


@every_generator
async def test_text_and_counts_are_what_a_database_takes(name, upstream):
    # The half of a pair, which is below, neither SDK lets through.
    upstream.text, upstream.usage = "one\0two", (-5, 2**31 - 1)
    text, usage = await answer(GENERATORS[name](upstream.endpoint))
    assert text == "one\ufffdtwo"
    assert usage.input_tokens == 0
    assert 0 < usage.output_tokens < 2**53


def test_counts_without_end_are_none():
    counts = SimpleNamespace(prompt_token_count=float("inf"), total_token_count=10**400, candidates_token_count=True)
    reading = Reading(ENDPOINT, provider="gemini", allowed=7)
    part = SimpleNamespace(text="a \ud800 b\0", thought=False)
    candidate = SimpleNamespace(finish_reason="STOP", content=SimpleNamespace(parts=[part]))
    reading.add(SimpleNamespace(prompt_feedback=None, usage_metadata=counts, candidates=[candidate])).encode()
    assert reading.finish(len, "four") == Usage(input_tokens=4, output_tokens=6)


@every_generator
async def test_names_of_models_are_clean(name, upstream):
    odd = ["gemini-\u202e", "gemini-" + "x" * 999, *(f"gemini-{n}" for n in range(3_000))]
    field = "publisherModels" if name == "vertex" else "models"
    listed = [{"name": f"models/{one}", "supportedGenerationMethods": ["generateContent"]} for one in odd]
    upstream.routes = lambda call: Reply(body={field: listed})
    names = await GENERATORS[name](upstream.endpoint).models()
    assert len(names) == 1_000
    assert all(one.isprintable() and len(one) < 200 for one in names)


@pytest.mark.filterwarnings("ignore:.*FinishReason:UserWarning", "ignore:.*BlockedReason:UserWarning")
@pytest.mark.parametrize("name", ["gemini", "vertex"])
@pytest.mark.parametrize("reason", [f"your key {KEY}", "x" * 100_000])
@pytest.mark.parametrize("where", ["finish", "blocked"])
async def test_a_reason_is_redacted_and_short(where, reason, name, upstream):
    setattr(upstream, where, reason)
    with pytest.raises(ProviderRejected) as caught:
        await answer(GENERATORS[name](upstream.endpoint))
    assert KEY not in str(caught.value)
    assert len(str(caught.value)) < 150


def test_the_sdk_does_not_warn_in_words_of_the_server():
    code = "from engine.vendors import google_client; google_client.types.FinishReason('sk-1')"
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)


@every_generator
async def test_neither_netrc_nor_a_proxy_is_used(name, upstream, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login env-user password env-word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async for asked in all_of(name, upstream.endpoint):
        with suppress(ProviderRejected):  # the embedder of this model that answers
            await asked
    assert upstream.calls
    assert not any("authorization" in call.headers for call in upstream.calls)


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_two_keys_of_the_former_sdk_do_not_mix():
    with legacy_upstream.upstream() as one, legacy_upstream.upstream() as other:
        other.keys, other.text = {"another-key-1"}, "The other answer."
        generators = [
            GeminiLegacyGenerator(one.endpoint),
            GeminiLegacyGenerator(replace(other.endpoint, api_key="another-key-1")),
        ]
        answers = await asyncio.gather(*(answer(generators[n % 2]) for n in range(8)))
        assert [text for text, _ in answers] == [one.text, other.text] * 4
        assert {call.headers["x-goog-api-key"] for call in one.calls} == {KEY}
        assert {call.headers["x-goog-api-key"] for call in other.calls} == {"another-key-1"}
    from google.generativeai import client

    assert client._client_manager.clients == {}
    assert client._client_manager.client_config["client_options"].api_key is None


ENVIRONMENT = {
    "GOOGLE_API_KEY": "env-key", "GEMINI_API_KEY": "env-key", "GOOGLE_CLOUD_PROJECT": "env-project",
    "GOOGLE_CLOUD_LOCATION": "env-place", "GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9", "GOOGLE_VERTEX_BASE_URL": "http://127.0.0.1:9",
    "GOOGLE_GENAI_API_VERSION": "v7", "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json",
}  # fmt: skip


@every_generator
async def test_the_environment_is_not_asked(name, upstream, monkeypatch):
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    generator = GENERATORS[name](upstream.endpoint)
    assert (await answer(generator))[0] == upstream.text
    if name == "vertex":
        assert (await answer(VertexGenerator(upstream.signed_endpoint())))[0] == upstream.text
    sent = "\n".join(f"{call.path} {call.headers}" for call in upstream.calls)
    assert "env-" not in sent
    with pytest.raises(MissingSecret) as caught:
        await answer(GENERATORS[name](replace(upstream.endpoint, api_key="")))
    assert caught.value.hint


@pytest.mark.parametrize("kind", [GeminiEmbedder, VertexEmbedder])
@pytest.mark.parametrize("key", ["", "  ", "clé", "two\nlines"])
def test_an_embedder_without_a_key_says_so(kind, key):
    embedder = kind(Endpoint(api_key=key))
    with pytest.raises(MissingSecret):
        embedder.embed_query("a")


@every_generator
async def test_an_address_that_is_none_is_named(name):
    with pytest.raises(ConfigError, match="no web address"):
        await answer(GENERATORS[name](Endpoint(api_key=KEY, base_url="localhost")))


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_a_location_has_its_own_address(location, address):
    assert google_client._vertex(location) == address


# --- a service account -----------------------------------------------------------------------------------------------


async def test_a_service_account_gets_one_token_for_many_questions(vertex_server):
    generator = VertexGenerator(vertex_server.signed_endpoint())
    for _ in range(2):
        assert (await answer(generator))[0] == vertex_server.text
    place = f"/v1beta1/projects/{PROJECT}/locations/europe-west4/publishers/google/models/gemini-2.5-flash"
    path = f"{place}:streamGenerateContent?alt=sse"
    assert [call.path for call in vertex_server.calls] == ["/token", path, path]
    assert [call.headers.get("authorization") for call in vertex_server.calls] == [None, *[f"Bearer {TOKEN}"] * 2]
    assert await generator.models() == ["gemini-2.5-flash", "gemini-2.5-pro"]


def test_an_embedder_renews_its_token(vertex_server):
    embedder = VertexEmbedder(vertex_server.signed_endpoint(model="gemini-embedding-001"))
    embedder.embed_documents(["a", "b"])
    assert [call.path for call in vertex_server.calls].count("/token") == 1
    embedder._access._account.expiry = embedder._access._account.expiry.replace(year=2020)
    embedder.embed_query("a")
    assert [call.path for call in vertex_server.calls].count("/token") == 2
    embedder.close()


async def test_the_project_may_stand_in_the_key(vertex_server):
    generator = VertexGenerator(vertex_server.signed_endpoint(options={}))
    await answer(generator)
    assert f"/projects/{PROJECT}/locations/global/" in vertex_server.calls[-1].path


async def test_without_a_project_there_is_no_service_account(vertex_server):
    key = service_account(vertex_server.url, project_id="")
    with pytest.raises(ConfigError, match="project") as caught:
        await answer(VertexGenerator(vertex_server.signed_endpoint(api_key=key, options={"project": ""})))
    assert not isinstance(caught.value, MissingSecret)
    assert not vertex_server.calls


@pytest.mark.parametrize("change", ["cut", "field", "pem", "kind", "empty"])
async def test_a_key_that_cannot_be_read_says_so_without_showing_it(change, vertex_server):
    whole = service_account(vertex_server.url)
    secret = json.loads(whole)["private_key"].splitlines()[3]
    key = {
        "cut": whole[:-40],
        "field": json.dumps({name: value for name, value in json.loads(whole).items() if name != "token_uri"}),
        "pem": whole.replace("BEGIN PRIVATE KEY", "BEGIN SOMETHING"),
        "kind": service_account(vertex_server.url, private_key=7),
        "empty": "{}",
    }[change]
    with pytest.raises(MissingSecret) as caught:
        await answer(VertexGenerator(vertex_server.signed_endpoint(api_key=key)))
    assert caught.value.hint
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("400", ProviderRejected), ("401", ProviderRejected), ("429", RateLimited), ("500", ProviderUnavailable),
     ("503", ProviderUnavailable), ("reset", ProviderUnavailable), ("hang", ProviderTimeout), ("garbage", BadResponse)],
)  # fmt: skip
async def test_a_token_that_does_not_come_is_one_request_and_one_clear_error(fault, kind, vertex_server):
    vertex_server.fail(fault, times=5)
    with pytest.raises(ProviderError) as caught:
        await answer(VertexGenerator(vertex_server.signed_endpoint(timeout_seconds=2)))
    assert type(caught.value) is kind
    assert [call.path for call in vertex_server.calls] == ["/token"]
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("location", ["evil.example/x?", "x@evil.example/", "evil.example#", "Europe", "a" * 41, "eu\nrope"])
async def test_a_location_that_is_another_host_is_refused_before_anything_is_sent(location, vertex_server):
    for endpoint in (vertex_server.signed_endpoint(options={"location": location}), vertex_server.endpoint):
        async for asked in all_of("vertex", replace(endpoint, options={"project": PROJECT, "location": location})):
            with pytest.raises(ConfigError, match="location"):
                await asked
    assert not vertex_server.calls


@pytest.mark.parametrize("project", ["a/../b", "a?b", "a" * 65])
@pytest.mark.parametrize("where", ["options", "key"])
async def test_a_project_that_is_a_path_is_refused_before_anything_is_sent(where, project, vertex_server):
    options = {"project": project if where == "options" else ""}
    key = service_account(vertex_server.url, project_id=project)
    async for asked in all_of("vertex", vertex_server.signed_endpoint(api_key=key, options=options)):
        with pytest.raises(ConfigError, match="project"):
            await asked
    assert not vertex_server.calls


def test_a_place_may_be_left_out():
    assert checked_place("", "") == ("", "")
    assert checked_place(" example.com:my-project-7 ", " europe-west4 ") == ("example.com:my-project-7", "europe-west4")


async def test_neither_token_nor_assertion_is_repeated(vertex_server):
    token = "eyJACCESSTOKEN.abcdefgh"

    def routes(call):
        if call.path == "/token":
            return Reply(body={"access_token": token, "expires_in": 3599, "token_type": "Bearer"})
        return Reply(status=400, body={"error": {"code": 400, "message": f"not {call.headers['authorization'].split()[1]}!"}})

    vertex_server.routes = routes
    async for asked in all_of("vertex", vertex_server.signed_endpoint()):
        with pytest.raises(ProviderRejected, match="not .*!") as caught:
            await asked
        assert token not in str(caught.value)
    for status, body in ((400, {"error": "invalid_grant"}), (400, {}), (200, {})):
        echo = lambda call, body=body, status=status: Reply(status=status, body={**body, "echo": call.body.decode()})  # noqa: E731
        vertex_server.routes = echo
        with pytest.raises(ProviderRejected) as caught:
            await answer(VertexGenerator(vertex_server.signed_endpoint()))
        assert ("invalid_grant" in str(caught.value)) == bool(body)
        assert "assertion" not in str(caught.value)
        assert caught.value.__cause__ is None


# --- vectors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gemini", "vertex"])
def test_passages_and_questions_are_different_tasks(name, upstream):
    embedder = registry.build(registry.EMBEDDERS, "embedder", name, replace(upstream.endpoint, model="gemini-embedding-001"))
    made = [embedder.embed_documents(["net sales"])[0], embedder.embed_query("net sales")]
    for one, task in zip(made, ("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"), strict=True):
        np.testing.assert_allclose(one, np.array(vector("net sales", task, DIMENSION)) / 3, atol=1e-6)
    assert all(f":{'batchEmbedContents' if name == 'gemini' else 'embedContent'}" in call.path for call in upstream.calls)
    embedder.close()


def test_a_model_of_vertex_with_another_api(vertex_server):
    embedder = VertexEmbedder(vertex_server.signed_endpoint(model="text-embedding-005"))
    made = embedder.embed_documents(["net sales", "net sales of pumps"])
    np.testing.assert_allclose(made[0], np.array(vector("net sales", "RETRIEVAL_DOCUMENT", DIMENSION)) / 3, atol=1e-6)
    assert all(call.path.endswith(":predict") for call in vertex_server.calls if call.path != "/token")
    embedder.close()


@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
def test_texts_go_in_batches_and_come_back_in_order(model, gemini_server):
    embedder = GeminiEmbedder(replace(gemini_server.endpoint, model=model))
    texts = [f"text number {n}" for n in range(230)]
    made = embedder.embed_documents(texts)
    assert [len(call.body["requests"]) for call in gemini_server.calls] == [100, 100, 30]
    sent = (texts[199], "RETRIEVAL_DOCUMENT") if model.endswith("001") else (f"title: none | text: {texts[199]}", "")
    np.testing.assert_allclose(made[199], np.array(vector(*sent, DIMENSION)) / 3, atol=1e-6)
    embedder.close()


def test_a_model_without_task_types_is_told_in_words(gemini_server):
    embedder = GeminiEmbedder(replace(gemini_server.endpoint, model="models/gemini-embedding-2"))
    embedder.embed_query("net sales")
    (request,) = gemini_server.calls[0].body["requests"]
    assert request["content"]["parts"] == [{"text": "task: search result | query: net sales"}]
    assert "taskType" not in request
    assert embedder.model_id == "gemini:gemini-embedding-2"
    embedder.close()


def test_a_long_text_is_the_mean_of_its_windows(gemini_server):
    embedder = GeminiEmbedder(gemini_server.endpoint)
    made = embedder.embed_documents(["one " * 2048 + "two " * 2048])[0]
    assert [len(call.body["requests"]) for call in gemini_server.calls] == [2]
    both = np.array(vector("one", "RETRIEVAL_DOCUMENT", DIMENSION)) + np.array(vector("two", "RETRIEVAL_DOCUMENT", DIMENSION))
    np.testing.assert_allclose(made, both / np.linalg.norm(both), atol=1e-5)
    assert all(
        embedder.tokens.count(one["content"]["parts"][0]["text"]) <= embedder.max_tokens
        for one in gemini_server.calls[0].body["requests"]
    )
    embedder.close()


@pytest.mark.parametrize("name", ["gemini", "vertex"])
def test_vectors_can_be_shortened(name, upstream):
    endpoint = replace(upstream.endpoint, model="gemini-embedding-001", options={"dimensions": 64})
    embedder = registry.build(registry.EMBEDDERS, "embedder", name, endpoint)
    space = embedder.discover()
    assert (space.model_id, space.dimension, space.normalised) == (f"{name}:gemini-embedding-001@64", 64, False)
    assert np.linalg.norm(np.frombuffer(space.probe, dtype="<f4")) == pytest.approx(1, abs=1e-5)
    assert embedder.dimension == 64
    upstream.spoil = lambda body: json.loads(json.dumps(body).replace('"values": [', '"values": [0.5, '))
    with pytest.raises(BadResponse, match="another length"):
        embedder.embed_query("a")
    embedder.close()


@pytest.mark.parametrize(
    "body", [{}, {"embeddings": []}, {"embeddings": [{}]}, {"embeddings": [{"values": [0.0, 0.0]}]}, [], 7]
)
def test_vectors_of_another_world_are_not_understood(body, gemini_server):
    embedder = GeminiEmbedder(gemini_server.endpoint)
    gemini_server.spoil = lambda _: body
    with pytest.raises(BadResponse):
        embedder.embed_documents(["a"])
    embedder.close()


def test_only_models_that_embed_are_listed(gemini_server, vertex_server):
    for embedder in (GeminiEmbedder(gemini_server.endpoint), VertexEmbedder(vertex_server.endpoint)):
        assert embedder.models() == ["gemini-embedding-001", "gemini-embedding-2"]
        embedder.close()
        embedder.close()


# --- packages --------------------------------------------------------------------------------------------------------


def loaded(code: str, *names: str) -> list[str]:
    script = f"import sys\n{code}\nprint(*[name for name in {names!r} if name in sys.modules])"
    command = [sys.executable, "-W", "error::FutureWarning", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_former_sdk_is_loaded_by_its_own_row_alone():
    both = ("google.genai", "google.generativeai")
    assert loaded("import engine.generation.gemini, engine.embedding.gemini", *both) == ["google.genai"]
    assert loaded("import engine.generation.gemini_legacy", *both) == ["google.generativeai"]
    assert loaded("import engine.vendors.google", *both) == []
