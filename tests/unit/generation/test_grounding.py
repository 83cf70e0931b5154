from __future__ import annotations

import pytest

from engine.generation.grounding import ground
from engine.types import Support

from .conftest import hit
from .grounding_pairs import DEVELOPMENT, HELD_OUT


# Floors a little under the measured values of docs/answers.md.
@pytest.fixture(scope="module", params=[(DEVELOPMENT, 0.9, 0.8), (HELD_OUT, 0.65, 0.8)], ids=["development", "held out"])
def judged(request, embedder):
    pairs, precision, recall = request.param
    verdicts = [
        (text, carried, ground([(text, (1,))], [hit(passage)], embedder=embedder)[0]) for text, passage, carried in pairs
    ]
    return [(text, carried, one.support is Support.SUPPORTED) for text, carried, one in verdicts], precision, recall


def test_what_is_called_supported_is_supported(judged):
    verdicts, precision, _ = judged
    called = [(text, carried) for text, carried, supported in verdicts if supported]
    assert sum(carried for _, carried in called) >= precision * len(called), [text for text, carried in called if not carried]


def test_most_carried_sentences_are_recognised(judged):
    verdicts, _, recall = judged
    carried = [(text, supported) for text, carries, supported in verdicts if carries]
    assert sum(supported for _, supported in carried) >= recall * len(carried), [t for t, supported in carried if not supported]


def test_a_whole_sentence_word_for_word_is_supported_whatever_it_says(embedder):
    verdict = ground([("It isn't 5.", (1,))], [hit("Is it 5? It\nisn't 5. So it is.")], embedder=embedder)[0]
    assert verdict.support is Support.SUPPORTED
    assert (verdict.spans[0].start, verdict.spans[0].end) == (9, 20)


def test_part_of_a_sentence_that_says_the_opposite_is_not_supported(embedder):
    verdict = ground([("Profit rose in 2018.", ())], [hit("Profit never rose in 2018.")], embedder=embedder)[0]
    assert verdict.support is not Support.SUPPORTED


def test_a_wrong_citation_is_put_right_by_the_passage_that_carries_the_sentence(embedder):
    passages = [hit("The moon is made of rock.", id="a"), hit("The warranty covers two years.", id="b")]
    verdict = ground([("The warranty covers two years.", (1,))], passages, embedder=embedder)[0]
    assert [span.n for span in verdict.spans] == [2]


def test_two_cited_passages_carry_a_sentence_together(embedder):
    passages = [hit("Acme earned 5 million euros in 2017.", id="a"), hit("Globex earned 7 million euros in 2017.", id="b")]
    text = "Acme earned 5 million euros and Globex earned 7 million euros in 2017."
    verdict = ground([(text, (1, 2))], passages, embedder=embedder)[0]
    assert verdict.support is Support.SUPPORTED
    assert [span.n for span in verdict.spans] == [1, 2]


def test_something_else_is_unsupported(embedder):
    verdict = ground([("Penguins eat fish.", ())], [hit("The warranty covers two years.")], embedder=embedder)[0]
    assert verdict.support is Support.UNSUPPORTED
    assert verdict.spans == ()


def test_chinese_is_grounded(embedder):
    passages = [hit("公司的总部位于上海。公司成立于1998年。")]
    right, wrong = ground([("公司成立于1998年。", (1,)), ("公司成立于1989年。", (1,))], passages, embedder=embedder)
    assert right.support is Support.SUPPORTED
    assert wrong.support is not Support.SUPPORTED
