"""What every reranker of the registry promises."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import pytest

from engine import registry
from engine.documents import Chunk
from engine.errors import ProviderRejected
from engine.protocols import Reranker
from engine.types import Endpoint, Hit
from tests.upstreams import upstream_of

TEXTS = ("The plant employs 412 people.", "", "Pumps are shipped every Tuesday. " * 200, "收入增加了百分之五。", "a")
QUESTION = "How many people does the plant employ?"


def hit(text, context=""):
    return Hit(
        chunk=Chunk(
            id="c", collection_id="k", document_id="d", document_name="d.pdf", version=1, version_id="v", ordinal=0, page=1,
            start=0, end=len(text), text=text, context=context,
        ),
        score=0.5,
    )  # fmt: skip


HITS = [hit(text) for text in TEXTS]


@pytest.fixture(scope="module", params=sorted(registry.RERANKERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def endpoint(name):
    with upstream_of(name) or nullcontext() as server:
        yield server.endpoint if server else Endpoint()


@pytest.fixture(scope="module")
def reranker(name, endpoint):
    made = registry.build(registry.RERANKERS, "reranker", name, endpoint, threads=1)
    yield made
    made.close()


def test_it_says_who_it_is(reranker, endpoint):
    assert isinstance(reranker, Reranker)
    assert reranker.model == endpoint.model


def test_one_relevance_for_each_hit_in_order(reranker):
    scores = reranker.score(QUESTION, HITS)
    assert len(scores) == len(HITS)
    assert all(isinstance(score, float) and 0 <= score <= 1 for score in scores)
    assert len(set(scores)) > 1
    alone = [reranker.score(QUESTION, [one])[0] for one in HITS]
    assert scores == pytest.approx(alone, abs=1e-4)
    assert reranker.score(QUESTION, HITS[::-1]) == pytest.approx(scores[::-1], abs=1e-4)


def test_question_and_context_matter(reranker):
    plain = reranker.score(QUESTION, [hit("412")])
    assert reranker.score(QUESTION, [hit("412", context="Plant | People")]) != plain
    assert reranker.score("Who sells pumps?", [hit("412")]) != plain


def test_the_same_again(reranker):
    assert reranker.score(QUESTION, HITS) == reranker.score(QUESTION, HITS)


def test_text_that_is_no_valid_unicode(reranker):
    assert len(reranker.score("half a pair: \ud83d", [hit("another \udc00")])) == 1


def test_no_hits(reranker):
    assert reranker.score(QUESTION, []) == []


def test_several_threads(reranker):
    expected = reranker.score(QUESTION, HITS)
    with ThreadPoolExecutor(4) as pool:
        assert all(scores == expected for scores in pool.map(lambda _: reranker.score(QUESTION, HITS), range(8)))


def test_what_is_no_model(name, endpoint, tmp_path):
    broken = registry.build(registry.RERANKERS, "reranker", name, replace(endpoint, model=str(tmp_path)), threads=1)
    with pytest.raises(ProviderRejected) as caught:
        broken.score(QUESTION, HITS)
    assert caught.value.hint


def test_close_twice(name, endpoint):
    made = registry.build(registry.RERANKERS, "reranker", name, endpoint, threads=1)
    made.close()
    made.close()
