"""What every embedder of the registry promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine import registry
from engine.errors import MissingDependency

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


@pytest.fixture(scope="module", params=sorted(registry.EMBEDDERS))
def embedder(request):
    try:
        return registry.build(registry.EMBEDDERS, "embedder", request.param, threads=1)
    except MissingDependency as missing:
        pytest.skip(f"{missing}; {missing.hint}")


@pytest.fixture(scope="module")
def vectors(embedder):
    return embedder.embed_documents(TEXTS)


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


def test_query_finds_its_document(embedder, vectors):
    query = embedder.embed_query("How much did revenue grow?")
    assert query.shape == (embedder.dimension,)
    assert query.dtype == np.float32
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    assert int(np.argmax(vectors @ query)) == 0


def test_long_text_is_read_to_its_end(embedder):
    start = "the weather is mild today " * (embedder.max_tokens // 4)
    one, other = embedder.embed_documents([start + "quarterly revenue of the bank " * 60, start + "football match " * 60])
    assert float(one @ other) < 0.98


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
    assert [text[start:end] for start, end in offsets][:3] == ["Net", "sales", "("]
    assert embedder.tokens.count("") == 0
    assert embedder.max_tokens > 100


def test_model_id_names_the_space(embedder):
    assert embedder.model_id
    assert embedder.model_id == registry.build(registry.EMBEDDERS, "embedder", "local", threads=2).model_id
