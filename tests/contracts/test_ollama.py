"""What only Ollama does: lines of JSON, thoughts, models to pull, weights that change under a name."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import numpy as np
import ollama
import pytest

from engine.documents import Chunk
from engine.embedding.ollama import OllamaEmbedder
from engine.errors import (
    BadResponse,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from engine.generation.ollama import OllamaGenerator
from engine.types import Endpoint, Hit, Message, Prompt, Usage
from engine.vendors.ollama import error_of, translated
from engine.vendors.spaces import unit_rows
from tests.upstreams.ollama import CHAT, EMBEDDING, upstream
from tests.upstreams.server import KEY, Reply

PASSAGE = Hit(
    chunk=Chunk(
        id="c", collection_id="k", document_id="d", document_name="d.pdf", version=1, version_id="v", ordinal=0, page=1,
        start=0, end=5, text="The Northfield plant employs 412 people.",
    ),
    score=1.0,
)  # fmt: skip
PROMPT = Prompt(
    question="How many people?", passages=(PASSAGE,), system="Answer from the passages.", tokens=60, answer_tokens=50,
    history=(Message(role="user", text="Hello"), Message(role="assistant", text="Hi")),
)  # fmt: skip


@pytest.fixture
def server():
    with upstream() as running:
        yield running


async def answer(endpoint, prompt=PROMPT):
    generator = OllamaGenerator(endpoint)
    try:
        return [delta async for delta in generator.stream(prompt)]
    finally:
        await generator.close()


def text_of(deltas):
    return "".join(delta.text for delta in deltas)


# --- the answer ------------------------------------------------------------------------------------------------------


async def test_what_is_asked_and_what_comes_back(server):
    endpoint = replace(server.endpoint, options={"context_tokens": 4096})
    deltas = await answer(endpoint)
    assert text_of(deltas) == server.text
    assert len(deltas) > 5
    assert deltas[-1].usage == Usage(input_tokens=321, output_tokens=17)
    (call,) = server.calls
    assert (call.method, call.path) == ("POST", "/api/chat")
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert call.body["options"] == {"num_ctx": 4096, "num_predict": 50, "temperature": 0}
    assert call.body["think"] is False
    assert [one["role"] for one in call.body["messages"]] == ["system", "user", "assistant", "user"]
    assert "412 people" in call.body["messages"][-1]["content"]


async def test_without_counts_they_are_estimated(server):
    server.usage = (None, None)
    usage = (await answer(server.endpoint))[-1].usage
    assert usage.input_tokens == PROMPT.tokens
    assert usage.output_tokens >= len(server.text.split())


async def test_thoughts_are_not_shown(server):
    server.thinking = "SECRETLY I wonder"
    assert text_of(await answer(server.endpoint)) == server.text


async def test_only_thoughts_are_no_answer(server):
    server.thinking, server.text = "I wonder", ""
    with pytest.raises(BadResponse, match="no text") as caught:
        await answer(server.endpoint)
    assert "thinking" in caught.value.hint


async def test_a_stream_without_its_end_is_no_answer(server):
    server.without_end = True
    with pytest.raises(ProviderUnavailable, match="broke off"):
        await answer(server.endpoint)


async def test_a_stream_that_breaks_is_no_answer(server):
    server.fail("cut")
    with pytest.raises(ProviderUnavailable):
        await answer(server.endpoint)
    assert len(server.calls) == 1


async def test_an_error_in_the_middle_of_a_stream(server):
    server.broken = f"model runner has unexpectedly stopped, {KEY}"
    seen = []

    async def read():
        async for delta in OllamaGenerator(server.endpoint).stream(PROMPT):
            seen.append(delta.text)

    with pytest.raises(ProviderUnavailable, match="unexpectedly stopped") as caught:
        await read()
    assert "".join(seen) == server.text
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    assert KEY not in f"{caught.value!r}{caught.value.hint}"


async def test_stop_ends_the_request(server):
    server.slow = 0.1
    stream = OllamaGenerator(server.endpoint).stream(PROMPT)
    assert (await anext(stream)).text
    assert server.open_streams == 1
    await stream.aclose()
    assert await asyncio.to_thread(server.wait_until_no_stream)


async def test_the_deadline_ends_the_request(server):
    server.slow = 0.4
    with pytest.raises(ProviderTimeout):
        await answer(replace(server.endpoint, timeout_seconds=1.0))
    assert await asyncio.to_thread(server.wait_until_no_stream)


async def test_a_model_that_is_not_pulled(server):
    with pytest.raises(ProviderRejected, match="not found") as caught:
        await answer(replace(server.endpoint, model="mistral"))
    assert "ollama pull mistral" in caught.value.hint
    with pytest.raises(ProviderRejected) as caught:
        await asyncio.to_thread(OllamaEmbedder(replace(server.endpoint, model="bge-m3")).embed_query, "a")
    assert "ollama pull bge-m3" in caught.value.hint


async def test_models_by_what_they_are_for(server):
    assert await OllamaGenerator(server.endpoint).models() == [CHAT]
    assert OllamaEmbedder(server.endpoint).models() == [EMBEDDING]


async def test_the_environment_of_the_machine_is_not_asked(server, monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "sk-of-the-machine")
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    await answer(replace(server.endpoint, api_key=""))
    OllamaEmbedder(replace(server.endpoint, api_key="")).models()
    assert all("authorization" not in call.headers for call in server.calls)
    before = len(server.calls)
    with pytest.raises(ProviderUnavailable):  # nothing runs at Ollama's own port here
        await answer(Endpoint(model="llama3.2"))
    assert len(server.calls) == before


async def test_a_redirect_is_not_followed(server):
    server.routes = lambda call: _redirect(server.url)
    with pytest.raises(ProviderRejected, match="307"):
        await answer(server.endpoint)
    assert len(server.calls) == 1


def _redirect(url):
    return Reply(status=307, headers={"Location": url + "/elsewhere"}, body={})


# --- errors ----------------------------------------------------------------------------------------------------------


def instances():
    """Each exception that the SDK and its HTTP client define, and what else JSON and sockets raise."""
    yield ollama.RequestError(f"bad {KEY}"), ProviderRejected
    for status, kind in [(400, ProviderRejected), (401, ProviderRejected), (404, ProviderRejected), (429, RateLimited),
                         (500, ProviderUnavailable), (503, ProviderUnavailable), (-1, ProviderUnavailable)]:  # fmt: skip
        yield ollama.ResponseError(json.dumps({"error": f"said {KEY}"}), status), kind
    yield ConnectionError(f"Failed to connect {KEY}"), ProviderUnavailable
    yield RuntimeError("Cannot send a request, as the client has been closed."), ProviderUnavailable
    yield json.JSONDecodeError("no JSON", KEY, 0), BadResponse
    yield RecursionError(f"too deep {KEY}"), BadResponse
    yield OverflowError(f"too large {KEY}"), BadResponse
    yield AssertionError(KEY), BadResponse
    yield TypeError(f"argument must be a mapping {KEY}"), BadResponse
    yield AttributeError(f"'list' object has no attribute 'get' {KEY}"), BadResponse
    request = httpx.Request("GET", "http://127.0.0.1")
    for kind in (one for one in vars(httpx).values() if inspect.isclass(one) and issubclass(one, Exception)):
        if kind is httpx.HTTPStatusError:
            yield kind(KEY, request=request, response=httpx.Response(503, request=request)), ProviderUnavailable
        elif issubclass(kind, httpx.StreamError):
            yield (kind(KEY) if kind is httpx.StreamError else kind()), ProviderUnavailable
        elif issubclass(kind, httpx.TimeoutException):
            yield kind(KEY, request=request), ProviderTimeout
        elif issubclass(kind, httpx.UnsupportedProtocol):
            yield kind(KEY, request=request), ProviderRejected
        elif issubclass(kind, httpx.TransportError):
            yield kind(KEY, request=request), ProviderUnavailable
        elif kind in (httpx.InvalidURL,):
            yield kind(KEY), ProviderRejected
        elif kind in (httpx.CookieConflict, httpx.HTTPError):
            yield kind(KEY), BadResponse
        else:
            yield (kind(KEY, request=request) if issubclass(kind, httpx.RequestError) else kind(KEY)), BadResponse


@pytest.mark.parametrize(("error", "kind"), list(instances()), ids=lambda one: getattr(type(one), "__name__", ""))
def test_every_error_of_the_sdk_is_one_of_ours(error, kind):
    endpoint = Endpoint(api_key=KEY)
    with pytest.raises(ProviderError) as caught, translated(endpoint):
        raise error
    assert type(caught.value) is kind is type(error_of(error, endpoint))
    assert caught.value.hint
    assert KEY not in f"{caught.value!r}{caught.value.hint}"
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_the_sdk_defines_no_other_error():
    from ollama import _types

    defined = {one for one in vars(_types).values() if inspect.isclass(one) and issubclass(one, Exception)}
    assert defined == {ollama.RequestError, ollama.ResponseError}


async def test_how_long_to_wait(server):
    server.fail("429")
    with pytest.raises(RateLimited) as caught:
        await answer(server.endpoint)
    assert caught.value.retry_after_seconds == 7
    server.retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    server.fail("429")
    with pytest.raises(RateLimited) as caught:
        await answer(server.endpoint)
    assert 60 < caught.value.retry_after_seconds <= 90
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("body", [[1, 2], {"models": 3}, {"error": {"message": "x"}}, "text", None, {"embeddings": [[]]}])
async def test_json_of_another_world(server, body):
    server.routes = lambda call: Reply(body=body)
    for call in (answer(server.endpoint), asyncio.to_thread(OllamaEmbedder(server.endpoint).models)):
        with pytest.raises(ProviderError) as caught:
            await call
        assert caught.value.hint


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://127.0.0.1:none", "http://[::1", "   "])
def test_an_address_that_is_none(url):
    with pytest.raises(ProviderError):
        OllamaEmbedder(Endpoint(model="a", base_url=url, timeout_seconds=2)).embed_query("a")


async def test_after_close(server):
    generator, embedder = OllamaGenerator(server.endpoint), OllamaEmbedder(server.endpoint)
    await generator.close()
    embedder.close()
    with pytest.raises(ProviderUnavailable):
        await anext(generator.stream(PROMPT))
    with pytest.raises(ProviderUnavailable):
        embedder.embed_query("a")


@pytest.mark.parametrize(("path", "status"), [("/api/tags", 200), ("/api/tags", 429), ("/api/embed", 200), ("/api/embed", 500)])
async def test_hostile_bodies(server, path, status):
    bodies = [b"[" * 100_000, b'{"error": ' + b"9" * 10_000 + b"}", b'{"embeddings": [[1' + b"0" * 400 + b"]]}",
              b'{"embeddings": [[1e300]]}', json.dumps({"embeddings": [[1.0] * 16_385]}).encode(), b"\xff\xfe"]  # fmt: skip
    kinds = {200: BadResponse, 429: RateLimited, 500: ProviderUnavailable}
    for body in bodies:
        server.routes = lambda call, body=body: Reply(body=body, status=status, content_type="text/plain; charset=idna")
        embedder = OllamaEmbedder(server.endpoint)
        raw = {
            "/api/tags": embedder.models,
            "/api/embed": lambda e=embedder: unit_rows(e._raw(["a"], "p", 9), count=1, provider="x"),
        }
        if path == "/api/tags" and status == 200 and b"embeddings" in body:
            continue
        with pytest.raises(ProviderError) as caught:
            await asyncio.to_thread(raw[path])
        assert type(caught.value) is kinds[status], body[:40]


def line(content="", **more):
    return (
        json.dumps({"model": "m", "message": {"role": "assistant", "content": content}, "done": False, **more}).encode() + b"\n"
    )


async def test_an_answer_without_end_is_cut(server):
    server.routes = lambda call: Reply(stream=itertools.repeat(line("word " * 100)))
    deltas = await answer(server.endpoint)
    assert len(text_of(deltas)) == 16 * 50 + 2_000
    assert deltas[-1].usage.output_tokens > 0
    assert await asyncio.to_thread(server.wait_until_no_stream)


async def test_hostile_pieces(server):
    last = line("b", done=True, prompt_eval_count=2**60, eval_count=-5)
    server.routes = lambda call: Reply(stream=iter([line("a\0\ud83d"), last]))
    deltas = await answer(server.endpoint)
    assert text_of(deltas) == "a\ufffd?b"
    assert deltas[-1].usage.input_tokens == PROMPT.tokens
    assert 0 < deltas[-1].usage.output_tokens < 20


async def test_hostile_names(server):
    names = ["a\nb", "x" * 300, *(f"m{n}" for n in range(2000))]
    server.routes = lambda call: Reply(body={"models": [{"model": name} for name in names]})
    listed = await OllamaGenerator(server.endpoint).models()
    assert len(listed) == 1_000
    assert "m0" in listed


@pytest.mark.parametrize("second", [{"embeddings": [[1.0] * 9] * 8}, {"embeddings": [[1.0] * 64] * 9}])
def test_batches_of_different_shapes(server, second):
    embedder = OllamaEmbedder(server.endpoint)
    embedder.embed_query("a")
    usual = server.routes
    server.routes = lambda call: Reply(body=second) if len(call.body["input"]) == 8 else usual(call)
    with pytest.raises(BadResponse):
        embedder.embed_documents(["text"] * 40)


# --- vectors ---------------------------------------------------------------------------------------------------------


def test_the_space_is_named_by_its_weights(server):
    embedder = OllamaEmbedder(server.endpoint)
    before = embedder.discover()
    assert before.model_id == f"ollama:llama3.2@{server.digest[:12]}"
    server.digest = "f" * 64
    after = embedder.discover()
    assert after.model_id == f"ollama:llama3.2@{'f' * 12}" == embedder.model_id
    assert after.probe != before.probe


def test_a_server_that_lists_nothing(server):
    server.routes = lambda call, known=server.routes: _nothing() if call.path == "/api/tags" else known(call)
    assert OllamaEmbedder(server.endpoint).model_id == "ollama:llama3.2"
    assert OllamaEmbedder(server.endpoint).models() == []


def _nothing():
    return Reply(body={"models": []})


@pytest.mark.parametrize(("told", "context"), [(512, 512), (40_960, 8_192), (None, 2_048)])
def test_what_the_model_reads_is_asked_for(server, told, context):
    server.context_length = told
    embedder = OllamaEmbedder(server.endpoint)
    assert context - 32 <= embedder.max_tokens < context
    embedder.embed_documents(["word " * 9000])
    sent = [call.body for call in server.calls if call.path == "/api/embed"]
    assert all(one["truncate"] is False and one["options"]["num_ctx"] == context for one in sent)
    assert all(embedder.tokens.count(text) <= embedder.max_tokens for one in sent for text in one["input"])
    read = " ".join(text for one in sent[1:] for text in one["input"])
    assert len(read.split()) == 9000


def test_text_that_is_no_valid_unicode(server):
    assert OllamaEmbedder(server.endpoint).embed_query("half a pair: \ud83d").shape == (64,)


def test_many_texts_go_in_batches(server):
    embedder = OllamaEmbedder(server.endpoint)
    embedder.embed_query("a")
    server.calls.clear()
    rows = embedder.embed_documents([f"text number {n}" for n in range(100)])
    assert len(server.calls) == 4
    assert np.allclose(rows[57], embedder.embed_documents(["text number 57"])[0], atol=1e-5)


async def test_a_hanging_server_is_given_up_in_time(server):
    server.fail("hang")
    started = time.monotonic()
    with pytest.raises(ProviderTimeout):
        await answer(replace(server.endpoint, timeout_seconds=1.0))
    assert time.monotonic() - started < 8
