"""What only the OpenAI parts promise: every error of the SDK, the shapes of an answer, embeddings, and a second real server."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import httpx2
import numpy as np
import openai
import pytest
from openai import _exceptions

from engine import registry
from engine.documents import Chunk
from engine.embedding import openai as embedding
from engine.embedding.openai import OpenAIEmbedder
from engine.errors import (
    BadResponse,
    ConfigError,
    EngineError,
    NoAnswer,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from engine.generation.openai import OpenAIGenerator
from engine.generation.prompt import assemble
from engine.tokens import ApproximateTokens
from engine.types import PROBE_TEXT, Endpoint, Hit, Prompt, Usage
from engine.vendors import openai as vendor
from tests.models import smollm2_folder
from tests.upstreams.openai import DIMENSION, LENGTH, event, upstream, vector
from tests.upstreams.server import KEY, Reply
from tests.upstreams.transformers_serve import served

PROMPT = Prompt(question="How many people?", passages=(), system="Answer.", answer_tokens=50)
ENDPOINT = Endpoint(api_key=KEY, timeout_seconds=3)


@pytest.fixture
def server():
    with upstream() as running:
        yield running


@pytest.fixture
async def generator(server):
    made = OpenAIGenerator(server.endpoint)
    yield made
    await made.close()


@pytest.fixture
def embedder(server):
    made = embedder_of(server)
    yield made
    made.close()


def embedder_of(server, *, model="text-embedding-3-small", timeout_seconds=10.0, **options) -> OpenAIEmbedder:
    endpoint = dataclasses.replace(server.endpoint, model=model, timeout_seconds=timeout_seconds, options=options)
    return OpenAIEmbedder(endpoint, threads=1)


async def drained(generator, prompt=PROMPT):
    return [delta async for delta in generator.stream(prompt)]


def text_of(deltas) -> str:
    return "".join(delta.text for delta in deltas)


# --- errors of the SDK -----------------------------------------------------------------------------------------------

REQUEST = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")
FAMILIES = {
    "OpenAIError": BadResponse,
    "SubjectTokenProviderError": BadResponse,
    "APIError": ProviderUnavailable,
    "APIResponseValidationError": BadResponse,
    "APIStatusError": ProviderRejected,
    "APIConnectionError": ProviderUnavailable,
    "APITimeoutError": ProviderTimeout,
    "BadRequestError": ProviderRejected,
    "AuthenticationError": ProviderRejected,
    "OAuthError": ProviderRejected,
    "PermissionDeniedError": ProviderRejected,
    "NotFoundError": ProviderRejected,
    "ConflictError": ProviderUnavailable,
    "UnprocessableEntityError": ProviderRejected,
    "RateLimitError": RateLimited,
    "InternalServerError": ProviderUnavailable,
    "LengthFinishReasonError": BadResponse,
    "ContentFilterFinishReasonError": ProviderRejected,
    "InvalidWebhookSignatureError": BadResponse,
    "WebSocketConnectionClosedError": BadResponse,
    "WebSocketQueueFullError": BadResponse,
}


def errors_of(module) -> dict[str, type[Exception]]:
    found = {name: value for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, Exception)}
    return {name: value for name, value in found.items() if value.__module__.partition(".")[0] == "openai"}


def an_error(kind: type[Exception], *, body=None, headers=None, status: int | None = None) -> Exception:
    """Make an instance, whatever its constructor wants, that says the key."""
    given = {"message": f"no: {KEY}", "request": REQUEST, "body": body if body is not None else {"message": f"no: {KEY}"}}
    status = status or getattr(kind, "status_code", 500 if kind.__name__ == "InternalServerError" else 418)
    given["response"] = httpx2.Response(status, request=REQUEST, headers=headers or {})
    given |= {"unsent_messages": [], "completion": type("Completion", (), {"usage": KEY})()}
    if kind.__init__ in (Exception.__init__, ValueError.__init__):
        return kind(given["message"])
    return kind(**{name: given[name] for name in inspect.signature(kind).parameters})


def test_every_error_of_the_sdk_has_its_place():
    kinds = errors_of(_exceptions)
    assert set(kinds) == set(FAMILIES)
    for name, kind in kinds.items():
        error = vendor.error_of(an_error(kind), ENDPOINT)
        assert type(error) is FAMILIES[name], name
        assert error.retryable == (FAMILIES[name] in (RateLimited, ProviderUnavailable, ProviderTimeout))
        assert error.hint, name
        assert KEY not in f"{error!r} {error} {error.hint}"


def test_every_error_of_the_http_library_has_its_place():
    kinds = [kind for kind in vars(httpx2).values() if inspect.isclass(kind) and issubclass(kind, httpx2.HTTPError)]
    assert len(kinds) > 10
    for kind in kinds:
        response = {"request": REQUEST, "response": httpx2.Response(500)} if kind is httpx2.HTTPStatusError else {}
        error = vendor.error_of(kind(f"no: {KEY}", **response), ENDPOINT)
        family = {httpx2.DecodingError: BadResponse}.get(kind, ProviderUnavailable)
        assert type(error) is (ProviderTimeout if issubclass(kind, httpx2.TimeoutException) else family)
        assert KEY not in str(error)


@pytest.mark.parametrize("status", [402, 408, 409, 413, 422, 425, 429, 451, 500, 502, 504, 529])
def test_every_status(status):
    error = vendor.error_of(an_error(openai.APIStatusError, status=status), ENDPOINT)
    assert error.retryable == (status >= 500 or status in (408, 409, 425, 429))
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "no such model", "code": "model_not_found"}, "no such model"),
        ({"detail": "Not Found"}, "Not Found"),
        ("plain words", "plain words"),
        ([{"loc": ["body"]}], "loc"),
    ],
)
def test_the_words_of_the_server_are_passed_on_without_json(body, words):
    error = vendor.error_of(an_error(openai.NotFoundError, body=body), ENDPOINT)
    assert str(error).startswith("openai answered 404: ")
    assert words in str(error)


# --- address and environment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/api/v3", "/api/v3/chat/completions"),
    ],
)
async def test_an_address_without_a_path_gets_v1(server, given, path):
    server.fail("503")
    generator = OpenAIGenerator(dataclasses.replace(server.endpoint, base_url=server.url + given))
    with pytest.raises(ProviderUnavailable):
        await drained(generator)
    assert server.calls[0].path == path


@pytest.mark.parametrize("given", ["localhost:8000", "http://", "http://host:port", "http://[::1", "ftp://host/v1", f"//{KEY}"])
def test_what_is_no_web_address_is_said_at_once(given):
    endpoint = Endpoint(model="m", base_url=given, api_key=KEY)
    for part in (OpenAIGenerator, OpenAIEmbedder):
        with pytest.raises(ConfigError) as caught:
            part(endpoint)
        assert caught.value.hint
        assert KEY not in str(caught.value)


def test_the_vendors_own_address_is_known():
    assert str(vendor.address(Endpoint())) == "https://api.openai.com/v1"
    for url in ("", "https://api.openai.com", "https://eu.api.openai.com/v1"):
        assert vendor.is_own(Endpoint(base_url=url))
    for url in ("http://localhost:1", "https://api.openai.com.example.org", "https://notapi.openai.com"):
        assert not vendor.is_own(Endpoint(base_url=url))


async def test_the_environment_of_the_machine_is_not_read(server, monkeypatch):
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"OPENAI_{name}", "from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://from-the-environment/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: from-the-environment")
    assert await drained(OpenAIGenerator(server.endpoint))
    embedder_of(server).embed_query("a")
    with pytest.raises(ProviderRejected):
        await drained(OpenAIGenerator(dataclasses.replace(server.endpoint, api_key="")))
    assert server.calls[-1].headers["authorization"] == "Bearer none"
    assert "from-the-environment" not in json.dumps([[call.headers, call.body] for call in server.calls])
    assert not any(name.startswith("openai-") for call in server.calls for name in call.headers)


async def test_other_servers_get_the_older_name_of_the_limit(server, generator, monkeypatch):
    await drained(generator)
    assert (server.calls[-1].body["max_tokens"], "max_completion_tokens" in server.calls[-1].body) == (50, False)
    monkeypatch.setattr(vendor, "OWN_HOST", "127.0.0.1")
    await drained(generator)
    assert (server.calls[-1].body["max_completion_tokens"], "max_tokens" in server.calls[-1].body) == (50, False)


async def test_reasoning_effort_is_sent_only_when_it_is_set(server, generator):
    await drained(generator)
    assert "reasoning_effort" not in server.calls[-1].body
    await drained(OpenAIGenerator(dataclasses.replace(server.endpoint, options={"reasoning_effort": "low"})))
    assert server.calls[-1].body["reasoning_effort"] == "low"


async def test_the_vendors_list_is_sorted_out_by_what_models_do(server, generator, embedder, monkeypatch):
    assert "whisper-1" in await generator.models()
    assert "whisper-1" in embedder.models()
    monkeypatch.setattr(vendor, "OWN_HOST", "127.0.0.1")
    assert await generator.models() == ["gpt-4.1", "gpt-5-mini"]
    assert embedder.models() == ["text-embedding-3-small"]


async def test_defaults_are_those_of_the_registry(server):
    assert OpenAIGenerator(Endpoint()).model == registry.GENERATORS["openai"].model
    assert OpenAIGenerator(Endpoint()).context_tokens == 32_000
    assert OpenAIGenerator(Endpoint(options={"context_tokens": 9_000})).context_tokens == 9_000
    assert OpenAIEmbedder(Endpoint()).max_tokens == 8_191
    assert OpenAIEmbedder(Endpoint(options={"max_tokens": 512})).max_tokens == 512


# --- shapes of an answer ---------------------------------------------------------------------------------------------


def chunk(delta=None, finish=None) -> bytes:
    return event({"id": "1", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]})


async def test_an_answer_cut_by_its_limit_is_an_answer(server, generator):
    server.finish = "length"
    assert text_of(await drained(generator)) == server.text


async def test_tokens_are_counted_where_the_server_does_not_tell(server, generator):
    server.reports_usage = False
    usage = (await drained(generator))[-1].usage
    tokens = ApproximateTokens()
    sent = server.calls[-1].body["messages"]
    assert usage == Usage(
        input_tokens=sum(tokens.count(message["content"]) for message in sent), output_tokens=tokens.count(server.text)
    )


@pytest.mark.parametrize(
    ("sent", "kind", "words"),
    [
        ([chunk({"content": "Half an"})], ProviderUnavailable, "broke off"),
        ([chunk({"content": "Half an"}), chunk(finish="content_filter")], ProviderRejected, "content filter"),
        (
            [chunk({"refusal": "I can't "}), chunk({"refusal": "help."}), chunk(finish="stop")],
            ProviderRejected,
            "I can't help.",
        ),
        ([chunk({"content": ""}), chunk(finish="length")], NoAnswer, "before its first word"),
        ([b"data: {not json\n\n"], BadResponse, "cannot be understood"),
        ([b"data: \xff\xfe\n\n"], BadResponse, "cannot be understood"),
        ([event(17), event([1]), event("x")], ProviderUnavailable, "broke off"),
        ([b"data: " + b"[" * 100_000 + b"\n\n"], BadResponse, "understood"),
        ([b'{"choices": [{"message": {"content": "not streamed"}}]}\n\n'], BadResponse, "no stream"),
        ([b": a comment\n\n", b"data: [DONE]\n\n"], BadResponse, "no stream"),
        ([event({"error": {"message": "too fast", "code": "rate_limit_exceeded"}})], RateLimited, "too fast"),
        ([event({"error": {"message": "too long", "type": "BadRequestError", "code": 400}})], ProviderRejected, "too long"),
        ([chunk({"content": "a"}), event({"error": {"message": "gone", "type": "server_error"}})], ProviderUnavailable, "gone"),
        ([chunk({"content": "a"}), event({"error": "out of memory"})], ProviderUnavailable, "out of memory"),
        ([event({"error": {"message": f"bad key {KEY}", "code": "401"}})], ProviderRejected, "bad key [key]"),
    ],
)
async def test_odd_streams_end_in_the_right_error(server, generator, sent, kind, words):
    server.chunks = lambda body: iter(sent)
    with pytest.raises(EngineError, match=".") as caught:
        await drained(generator)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert caught.value.hint
    assert KEY not in str(caught.value)


async def test_what_servers_add_or_leave_out_does_no_harm(server, generator):
    extra = {"choices": [{"delta": {"reasoning_content": "hm", "content": None}}]}
    server.chunks = lambda body: iter(
        [event({"choices": []}), event(extra), event({"choices": None}), chunk({"content": "Yes."}), chunk(finish="stop")]
    )
    assert text_of(await drained(generator)) == "Yes."


@pytest.mark.parametrize("usage", [{"prompt_tokens": {}}, {"prompt_tokens": float("inf"), "completion_tokens": -1}, [1], "x"])
async def test_counts_that_are_none_are_estimated(server, generator, usage):
    last = {"choices": [{"delta": {"content": "a\0\ud83d"}, "finish_reason": "stop"}], "usage": usage}
    server.chunks = lambda body: iter([event(last)])
    deltas = await drained(generator)
    assert text_of(deltas) == "a\ufffd?"
    assert 0 < deltas[-1].usage.output_tokens < deltas[-1].usage.input_tokens < 200


async def test_an_answer_without_end_is_cut(server, generator):
    server.chunks = lambda body: itertools.repeat(chunk({"content": "word " * 100}))
    deltas = await drained(generator)
    assert len(text_of(deltas)) == 16 * 50 + 2_000
    assert deltas[-1].usage.output_tokens > 0
    assert await asyncio.to_thread(server.wait_until_no_stream)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(server, generator, embedder, status):
    reply = Reply(status=status, headers={"Location": f"{server.url}/elsewhere"}, body={})
    server.routes = lambda call: reply
    for ask in (drained(generator), generator.models(), asyncio.to_thread(embedder.embed_query, "a")):
        server.calls.clear()
        with pytest.raises(ProviderRejected, match=str(status)):
            await ask
        assert len(server.calls) == 1


async def test_hostile_names(server, generator):
    names = ["a\nb", "x" * 300, 3, *(f"m{n}" for n in range(2000))]
    server.routes = lambda call: Reply(body={"data": [{"id": name} for name in names]})
    listed = await generator.models()
    assert len(listed) == 1_000
    assert "m0" in listed


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(body=b"[" * 100_000), BadResponse),
        (Reply(body=b"[" * 100_000, status=503), ProviderUnavailable),
        (Reply(body=b"x", headers={"Content-Encoding": "gzip"}), BadResponse),
        (Reply(body=b'{"data": [{"index": 1e400, "embedding": [1]}]}'), BadResponse),
        (Reply(body=b'{"data": [{"index": 0, "embedding": [1' + b"0" * 400 + b"]}]}"), BadResponse),
        (Reply(body=b'{"data": [{"index": 0, "embedding": [1e300]}]}'), BadResponse),
        (Reply(body={"data": [{"index": 0, "embedding": [1.0] * 16_385}]}), BadResponse),
        (Reply(body=b"x", status=429, headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}), RateLimited),
        (Reply(body={"error": {"message": {"key": KEY}}}, status=400), ProviderRejected),
        (Reply(body=b"abc", status=400, content_type="text/plain; charset=base64"), EngineError),
        (Reply(body=b"x" * 50_000_000, status=500), ProviderUnavailable),
    ],
)
def test_hostile_answers(server, embedder, reply, kind):
    server.routes = lambda call: reply
    for ask in (lambda: embedder.embed_documents(["a"]), embedder.discover):
        with pytest.raises(kind) as caught:
            ask()
        assert KEY not in f"{caught.value!r}{caught.value.hint}"
        assert len(str(caught.value)) < 500


def test_a_body_that_drips_is_given_up_in_time(server):
    server.slow = 0.1
    server.routes = lambda call: Reply(stream=itertools.repeat(b" "))
    with pytest.raises(ProviderTimeout):
        embedder_of(server, timeout_seconds=1).embed_query("a")
    assert server.wait_until_no_stream()


# --- embeddings ------------------------------------------------------------------------------------------------------


def unit(text: str, dimension: int = DIMENSION) -> np.ndarray:
    return vector(text, dimension) / LENGTH


def test_vectors_come_in_order_and_with_unit_length(server, embedder):
    texts = [f"text number {i}" for i in range(20)]
    found = embedder.embed_documents(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [unit(text) for text in texts], atol=1e-5)
    np.testing.assert_allclose(embedder.embed_query(texts[3]), found[3], atol=1e-6)
    assert server.calls[0].body["encoding_format"] == "float"
    assert "dimensions" not in server.calls[0].body


def test_the_length_is_found_once(server, embedder):
    assert not server.calls
    assert embedder.dimension == DIMENSION
    assert embedder.embed_documents([]).shape == (0, DIMENSION)
    assert len(server.calls) == 1


def test_shortened_vectors(server):
    embedder = embedder_of(server, dimensions=32)
    np.testing.assert_allclose(embedder.embed_query("a b"), unit("a b", 32), atol=1e-5)
    assert server.calls[-1].body["dimensions"] == 32
    assert embedder.dimension == 32
    assert embedder.model_id.endswith(":text-embedding-3-small@32")


def test_text_before_questions_and_passages(server):
    embedder = embedder_of(server, query_prefix="query: ", document_prefix="passage: ")
    embedder.embed_query("a")
    embedder.embed_documents(["b", ""])
    assert [call.body["input"] for call in server.calls] == [["query: a"], ["passage: b", "passage: "]]
    assert embedder.discover().probe == pytest.approx(unit("passage: " + PROBE_TEXT).tobytes())
    assert server.calls[-1].body["input"] == ["passage: " + PROBE_TEXT]


def test_an_empty_text_has_a_vector_too(server, embedder):
    found = embedder.embed_documents(["", "a", ""])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert server.calls[-1].body["input"] == [" ", "a", " "]


def test_a_broken_character_does_not_stop_an_upload(server, embedder):
    assert embedder.embed_documents(["half a pair \ud83d"]).shape == (1, DIMENSION)


def test_a_long_text_is_read_in_windows_to_its_end(server):
    embedder = embedder_of(server, max_tokens=100, document_prefix="p: ")
    text = " ".join(f"w{i}" + "ordlengths" * (i % 4) for i in range(250))
    found = embedder.embed_documents(["short", text])
    sent = server.calls[-1].body["input"]
    assert sent[0] == "p: short"
    windows = [one.removeprefix("p: ") for one in sent[1:]]
    assert "".join(windows) == text
    assert max(map(embedder.tokens.count, sent)) <= 100
    counts = list(map(embedder.tokens.count, windows))
    mean = sum(unit("p: " + one) * count for one, count in zip(windows, counts, strict=True))
    np.testing.assert_allclose(found[1], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(found[0], unit("p: short"), atol=1e-5)


def test_requests_stay_within_what_the_api_takes(server, embedder, monkeypatch):
    texts = [f"t{i}" for i in range(embedding.REQUEST_TEXTS + 2)]
    found = embedder.embed_documents(texts)
    assert [len(call.body["input"]) for call in server.calls] == [embedding.REQUEST_TEXTS, 2]
    np.testing.assert_allclose(found[-1], unit(texts[-1]), atol=1e-5)
    server.calls.clear()
    monkeypatch.setattr(embedding, "REQUEST_TOKENS", 50)
    embedder.embed_documents(["one two three " * 5] * 6)
    assert len(server.calls) > 1
    assert all(embedder.tokens.count(" ".join(call.body["input"])) <= 50 for call in server.calls)


def test_several_threads(embedder):
    texts = [f"text {i}" for i in range(50)]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(embedder.embed_documents, [texts] * 8):
            np.testing.assert_allclose(found, [unit(text) for text in texts], atol=1e-5)


def test_the_space_tells_that_vectors_had_another_length(server, embedder):
    space = embedder.discover()
    assert (space.model_id, space.dimension, space.max_tokens) == (embedder.model_id, DIMENSION, 8_191)
    assert not space.normalised
    np.testing.assert_allclose(np.frombuffer(space.probe, "<f4"), unit(PROBE_TEXT), atol=1e-6)


def test_the_name_of_the_space_tells_servers_and_lengths_apart():
    def name(url="", model="m", **options):
        return OpenAIEmbedder(Endpoint(model=model, base_url=url, api_key=KEY, options=options)).model_id

    assert name() == "openai:m"
    assert name(dimensions=256) == "openai:m@256"
    assert name("http://user:secret@gpu:8000/v1") == "openai(gpu:8000):m"
    names = [name(), name(dimensions=9), name("http://a"), name("http://a:1"), name(model="n"), name(document_prefix="p")]
    assert len(set(names)) == len(names)


def drop_one(body):
    return {**body, "data": body["data"][1:]}


def same_index(body):
    return {**body, "data": [{**item, "index": 0} for item in body["data"]]}


@pytest.mark.parametrize(
    "spoil",
    [
        drop_one,
        same_index,
        lambda body: {**body, "data": [{"embedding": item["embedding"]} for item in body["data"]]},
        lambda body: {**body, "data": None},
        lambda body: {"unexpected": True},
        lambda body: [],
        lambda body: {**body, "data": [{**item, "embedding": item["embedding"][: 9 + item["index"]]} for item in body["data"]]},
        lambda body: {**body, "data": [{**item, "embedding": []} for item in body["data"]]},
        lambda body: {**body, "data": [{**item, "embedding": [0.0] * 8} for item in body["data"]]},
        lambda body: {**body, "data": [{**item, "embedding": [float("nan")] * 8} for item in body["data"]]},
        lambda body: {**body, "data": [{**item, "embedding": "AACAPwAAgD8="} for item in body["data"]]},
        lambda body: {**body, "data": [{**item, "embedding": None} for item in body["data"]]},
    ],
)
def test_vectors_that_are_no_vectors(server, embedder, spoil):
    server.spoil = spoil
    with pytest.raises(BadResponse) as caught:
        embedder.embed_documents(["a", "b"])
    assert caught.value.hint


def test_a_server_that_cannot_shorten_is_noticed(server):
    server.spoil = lambda body: {**body, "data": [{**item, "embedding": [1.0] * 64} for item in body["data"]]}
    with pytest.raises(BadResponse, match="another length than 32"):
        embedder_of(server, dimensions=32).embed_query("a")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("400", ProviderRejected),
        ("401", ProviderRejected),
        ("413", ProviderRejected),
        ("429", RateLimited),
        ("500", ProviderUnavailable),
        ("503", ProviderUnavailable),
        ("hang", ProviderTimeout),
        ("reset", ProviderUnavailable),
        ("garbage", BadResponse),
    ],
)
def test_a_fault_is_one_request_and_one_clear_error(server, fault, kind):
    embedder = embedder_of(server, timeout_seconds=1)
    for ask in (lambda: embedder.embed_documents(["a"]), embedder.discover, embedder.models, lambda: embedder.dimension):
        server.calls.clear()
        server.fail(fault, times=3)
        with pytest.raises(EngineError) as caught:
            ask()
        assert type(caught.value) is kind
        assert len(server.calls) == 1
        assert KEY not in f"{caught.value} {caught.value!r} {caught.value.hint}"
        assert caught.value.__cause__ is None
        server.heal()


def test_closing_twice_is_closing(embedder):
    embedder.close()
    embedder.close()


# --- another implementation of the API -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def another():
    with served(smollm2_folder()) as running:
        yield running


def passages(*texts: str) -> list[Hit]:
    return [
        Hit(
            chunk=Chunk(
                id=f"c{i}", collection_id="k", document_id="d", document_name="report.pdf", version=1, version_id="v",
                ordinal=i, page=1, start=0, end=len(text), text=text,
            ),
            score=1.0,
        )
        for i, text in enumerate(texts)
    ]  # fmt: skip


async def test_a_real_model_answers(another):
    generator = OpenAIGenerator(another.endpoint)
    hits = passages("The plant employs 412 people and makes pumps.", "The harbour is 40 kilometres away.")
    prompt = assemble("How many people?", hits, history=(), count_tokens=generator.count_tokens, budget_tokens=2000)
    deltas = await drained(generator, dataclasses.replace(prompt, answer_tokens=20))
    usage = deltas[-1].usage
    assert text_of(deltas).strip()
    assert len(deltas) > 2
    assert 0 < usage.output_tokens <= 20
    # The budget of the prompt was counted from above: the model's own tokenizer finds fewer.
    assert 0 < usage.input_tokens <= prompt.tokens
    assert await generator.models() == []
    await generator.close()


async def test_stop_ends_the_work_of_a_real_model(another):
    generator = OpenAIGenerator(another.endpoint)
    prompt = dataclasses.replace(PROMPT, question="Write a very long story about the sea.", answer_tokens=7000)
    async with aclosing(generator.stream(prompt)) as stream:
        async for delta in stream:
            if delta.text:
                break
        assert await asyncio.to_thread(another.busy) > 0.3
    for _ in range(10):
        if (load := await asyncio.to_thread(another.busy)) < 0.2:
            break
    assert load < 0.2
    await generator.close()


async def test_what_a_real_server_refuses_is_an_error_of_ours(another):
    lost = OpenAIGenerator(dataclasses.replace(another.endpoint, base_url=another.endpoint.base_url + "/v2"))
    with pytest.raises(ProviderRejected, match="openai answered 404: Not Found"):
        await drained(lost)
    await lost.close()
