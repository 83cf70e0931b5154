from __future__ import annotations

import pytest

from engine.generation.answerability import THRESHOLD, judge
from engine.generation.extractive import MAX_SENTENCES, choose, shown

from .conftest import hit


def test_the_sentence_that_answers_is_ranked_first(embedder):
    passages = [
        hit("Cells divide. The factory in Leeds employs 340 people and runs three shifts. It was painted blue.", id="a"),
        hit("People like factories. Leeds is a city.", id="b"),
    ]
    judgement = judge("How many people does the Leeds factory employ?", passages, embedder=embedder)
    assert "340" in judgement.ranked[0].candidate.text
    assert judgement.answerability > 0.5


def test_a_sentence_of_overlapping_chunks_is_shown_once(embedder):
    text = "The factory in Leeds employs 340 people."
    judgement = judge("How many people work in the Leeds factory?", [hit(text, id="a"), hit(text, id="b")], embedder=embedder)
    assert len(choose(judgement.ranked)) == 1


def test_never_more_than_four_sentences(embedder):
    text = " ".join(f"The factory in town {name} employs people." for name in "ABCDEFGH")
    judgement = judge("How many people do factories employ?", [hit(text)], embedder=embedder)
    assert 1 <= len(choose(judgement.ranked)) <= MAX_SENTENCES


@pytest.mark.parametrize(
    ("row", "context", "expected"),
    [
        ("| 2015 | 5.2 |", "| Year | Revenue |", "Year: 2015; Revenue: 5.2"),
        ("Leeds,340", "Town,People", "Town: Leeds; People: 340"),
        ("Total 340", "Town People Year", "Town People Year: Total 340"),
        ("two\nlines", "", "two lines"),
    ],
)
def test_a_table_row_is_shown_with_its_header(row, context, expected):
    assert shown(row, hit(row, context=context).chunk) == expected


def test_no_sentences_no_answer(embedder):
    assert judge("Why?", [hit("...")], embedder=embedder).answerability == 0
    assert judge("", [hit("A sentence.")], embedder=embedder).answerability == 0


def test_the_row_of_a_table_is_found_by_its_header(embedder):
    rows = hit("2015 | 5.2 | 0.4\n2016 | 6.1 | 0.5\n2017 | 7.0 | 0.7", context="Year | Revenue | Profit")
    judgement = judge("What was the revenue in 2016?", [rows, hit("We sell pumps in Leeds.", id="b")], embedder=embedder)
    assert judgement.ranked[0].candidate.text == "2016 | 6.1 | 0.5"
    assert judgement.answerability > THRESHOLD
