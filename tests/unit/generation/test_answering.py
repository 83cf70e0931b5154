from __future__ import annotations

import pytest

from engine.generation.answering import finish
from engine.generation.prompt import REFUSAL
from engine.types import Prompt, Support, Usage

from .conftest import hit

PAGE = "Intro. The warranty covers defects in material for two years. It excludes wear. Batteries last 500 cycles."
PROMPT = Prompt(
    question="How long is the warranty?",
    passages=(
        hit("Nothing to see here.", id="a"),
        hit(PAGE[7:], id="b", start=7, page=3),
        hit("x y", id="c"),
        hit("z", id="d"),
    ),
)


@pytest.fixture
def done(embedder):
    def run(text, *, refused=False):
        return finish(
            text,
            prompt=PROMPT,
            refused=refused,
            provider="p",
            model="m",
            usage=Usage(),
            embedder=embedder,
            trace={"steps": 1},
            query="q",
        )

    return run


def test_each_sentence_is_cited_by_the_exact_slice_of_its_page(done):
    answer = done("Batteries last 500 cycles. [2] The warranty covers defects in material for two years. [2]")
    assert [one.support for one in answer.sentences] == [Support.SUPPORTED] * 2
    assert [one.citations for one in answer.sentences] == [(1,), (2,)]
    assert [(one.n, one.page, one.text) for one in answer.citations] == [
        (1, 3, "Batteries last 500 cycles."),
        (2, 3, "The warranty covers defects in material for two years."),
    ]
    assert all(PAGE[one.start : one.end] == one.text for one in answer.citations)
    assert answer.text == "Batteries last 500 cycles. [1] The warranty covers defects in material for two years. [2]"


def test_an_uncited_sentence_gets_the_passage_that_carries_it(done):
    answer = done("The warranty excludes wear. Penguins eat fish.")
    assert answer.sentences[0].citations == (1,)
    assert answer.citations[0].chunk_id == "b"
    assert answer.sentences[1].support is Support.UNSUPPORTED
    assert answer.sentences[1].citations == ()


def test_a_stopped_text_is_finished_as_far_as_it_goes(done):
    answer = done("Batteries last 500 cycles. [2] The warranty cov")
    assert [one.text for one in answer.sentences] == ["Batteries last 500 cycles.", "The warranty cov"]
    assert answer.sentences[0].support is Support.SUPPORTED


def test_invented_numbers_are_recorded_in_the_trace(done):
    answer = done("Batteries last 500 cycles. [9]")
    assert answer.trace == {"steps": 1, "rejected_citations": [9]}
    assert answer.sentences[0].citations == (1,)


@pytest.mark.parametrize(("text", "flag"), [("I cannot tell.", True), (REFUSAL, False)])
def test_a_refusal_cites_nothing_and_shows_the_nearest_passages(done, text, flag):
    answer = done(text, refused=flag)
    assert answer.refused
    assert answer.citations == answer.sentences == ()
    assert [one.chunk.id for one in answer.nearest] == ["a", "b", "c"]
