"""What every embedder of the registry promises."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from engine import registry
from engine.errors import (
    BadResponse,
    MissingDependency,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from engine.protocols import Embedder
from engine.types import PROBE_TEXT, Endpoint
from tests.upstreams import upstream_of
from tests.upstreams.server import KEY

TEXTS = [
    "Revenue rose by five percent.",
    "",
    "The cat sat on the mat.",
    "收入增加了百分之五。",
    "word " * 120,
    "a",
    "The cat sat on the mat.",
    "x" * 5000,
]
REMOTE = sorted(name for name, spec in registry.EMBEDDERS.items() if spec.url)
PREFIXED = sorted(
    name for name, spec in registry.EMBEDDERS.items() if any(field.name == "query_prefix" for field in spec.fields)
)
FAULTS = {
    "400": ProviderRejected,
    "401": ProviderRejected,
    "403": ProviderRejected,
    "404": ProviderRejected,
    "413": ProviderRejected,
    "429": RateLimited,
    "500": ProviderUnavailable,
    "503": ProviderUnavailable,
    "hang": ProviderTimeout,
    "reset": ProviderUnavailable,
    "garbage": BadResponse,
}


def built(name, endpoint, *, threads=1):
    try:
        return registry.build(registry.EMBEDDERS, "embedder", name, endpoint, threads=threads)
    except MissingDependency as missing:
        pytest.skip(f"{missing}; {missing.hint}")


@pytest.fixture(scope="module", params=sorted(registry.EMBEDDERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def upstream(name):
    """The server behind the embedder, None where there is none to set up."""
    with upstream_of(name) or nullcontext() as server:
        yield server


@pytest.fixture(scope="module")
def endpoint(upstream):
    return upstream.endpoint if upstream else Endpoint()


@pytest.fixture(scope="module")
def real(upstream):
    """Whether a trained model answers; other upstreams know words only."""
    return upstream is None or getattr(upstream, "real", False)


@pytest.fixture(scope="module")
def embedder(name, endpoint):
    made = built(name, endpoint)
    yield made
    made.close()


@pytest.fixture(scope="module")
def vectors(embedder):
    return embedder.embed_documents(TEXTS)


@pytest.fixture
def server(request):
    """A fresh server of a vendor, for tests that spoil it."""
    with upstream_of(request.param) as running:
        running.name = request.param
        yield running


def test_it_is_an_embedder(embedder):
    assert isinstance(embedder, Embedder)


def test_shape_type_and_length(embedder, vectors):
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts(embedder):
    none = embedder.embed_documents([])
    assert none.shape == (0, embedder.dimension)
    assert none.dtype == np.float32


def test_batch_equals_one_by_one_in_order(embedder, vectors):
    alone = np.stack([embedder.embed_documents([text])[0] for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)
    assert np.allclose(vectors[2], vectors[6], atol=1e-4)
    assert not np.allclose(vectors[0], vectors[2], atol=1e-2)


def test_query_finds_its_document(embedder, vectors, real):
    query = embedder.embed_query("How much did revenue grow?" if real else "percent revenue rose")
    assert query.shape == (embedder.dimension,)
    assert query.dtype == np.float32
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    assert int(np.argmax(vectors @ query)) == 0


def test_long_text_is_read_to_its_end(embedder):
    start = "the weather is mild today " * (embedder.max_tokens // 4)
    times = embedder.max_tokens // 4
    one, other = embedder.embed_documents([start + "quarterly revenue of the bank " * times, start + "football match " * times])
    assert float(one @ other) < 0.98
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)


def test_a_long_question_is_read_to_its_end(embedder):
    start = "the weather is mild today " * (embedder.max_tokens // 4)
    assert float(embedder.embed_query(start) @ embedder.embed_query(start + "football match " * embedder.max_tokens)) < 0.98


def test_several_threads(embedder, vectors):
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(embedder.embed_documents, [TEXTS] * 4):
            np.testing.assert_allclose(result, vectors, atol=1e-4)


def test_input_is_not_changed(embedder):
    texts = ["b b b", "a"]
    embedder.embed_documents(texts)
    assert texts == ["b b b", "a"]


def test_tokens_count_and_point_into_the_text(embedder):
    text = "Net sales (in U.S. dollars) rose\n5%. 收入"
    offsets = embedder.tokens.offsets(text)
    assert len(offsets) == embedder.tokens.count(text)
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    assert text[offsets[0][0] :].startswith("Net")
    assert {text[start:end].strip() for start, end in offsets} >= {"(", "5", "%"}
    assert embedder.tokens.count("") == 0
    assert embedder.max_tokens > 100


def test_model_id_names_the_space(embedder, name, endpoint):
    assert embedder.model_id
    assert embedder.model_id == built(name, endpoint, threads=2).model_id


def test_discover_tells_what_embedding_gives(embedder, real, upstream):
    space = embedder.discover()
    assert (space.model_id, space.dimension, space.max_tokens) == (embedder.model_id, embedder.dimension, embedder.max_tokens)
    probe = np.frombuffer(space.probe, dtype="<f4")
    np.testing.assert_allclose(probe, embedder.embed_documents([PROBE_TEXT])[0], atol=1e-4)
    assert space.normalised is getattr(upstream, "normalised", real)


def test_models_are_sorted_names(embedder, name):
    models = embedder.models()
    assert models == sorted(models)
    assert all(isinstance(model, str) and model for model in models)
    assert bool(models) == (name in REMOTE)


def test_close_twice(name, endpoint):
    embedder = built(name, endpoint)
    embedder.close()
    embedder.close()


@pytest.mark.parametrize("prefixed", PREFIXED)
def test_prefixes_make_another_space_and_tell_questions_from_passages(prefixed):
    with upstream_of(prefixed) as server:
        plain = built(prefixed, server.endpoint)
        options = {**server.endpoint.options, "query_prefix": "search question: ", "document_prefix": "search passage: "}
        other = built(prefixed, replace(server.endpoint, options=options))
        text = "Net sales rose."
        assert np.allclose(other.embed_query(text), plain.embed_query("search question: " + text), atol=1e-4)
        assert np.allclose(other.embed_documents([text]), plain.embed_documents(["search passage: " + text]), atol=1e-4)
        assert other.model_id != plain.model_id


@pytest.mark.parametrize("server", sorted(set(REMOTE) - set(PREFIXED)), indirect=True)
def test_the_vendor_is_told_questions_from_passages(server):
    embedder = built(server.name, server.endpoint)
    assert embedder.dimension
    embedder.embed_query("Net sales rose.")
    asked = server.calls[-1].body
    embedder.embed_documents(["Net sales rose."])
    assert server.calls[-1].body != asked


@pytest.mark.parametrize("server", REMOTE, indirect=True)
def test_nothing_to_embed_is_no_request(server):
    embedder = built(server.name, server.endpoint)
    assert server.calls == []
    assert embedder.dimension
    before = len(server.calls)
    embedder.embed_documents([])
    assert len(server.calls) == before


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("server", REMOTE, indirect=True)
def test_a_fault_is_one_request_and_an_error_of_ours(server, fault, caplog):
    caplog.set_level(logging.INFO)
    endpoint = replace(server.endpoint, timeout_seconds=1.0 if fault == "hang" else 20.0)
    ready = built(server.name, endpoint)
    ready.embed_documents(["a"])
    calls = {
        "documents": lambda: ready.embed_documents(["a", "b"]),
        "query": lambda: ready.embed_query("a"),
        "models": ready.models,
        "discover": built(server.name, endpoint).discover,
    }
    for what, call in calls.items():
        server.heal()
        server.fail(fault, times=5)
        before = len(server.calls)
        with pytest.raises(FAULTS[fault]) as caught:
            call()
        assert len(server.calls) == before + 1, what
        error = caught.value
        assert type(error) is FAULTS[fault], what
        assert KEY not in f"{error} {error!r} {error.hint}", what
        assert error.hint, what
        if fault == "429":
            assert error.retry_after_seconds == 7
    assert KEY not in caplog.text
    server.heal()
    assert ready.embed_query("a").shape == (ready.dimension,)


@pytest.mark.parametrize("name", REMOTE)
def test_nobody_at_the_address(name):
    with upstream_of(name) as server:
        endpoint = server.endpoint
    with pytest.raises(ProviderUnavailable) as caught:
        built(name, endpoint).embed_documents(["a"])
    assert KEY not in f"{caught.value!r} {caught.value.hint}"
