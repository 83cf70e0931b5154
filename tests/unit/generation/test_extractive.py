from __future__ import annotations

from dataclasses import replace

import pytest

from engine.generation.answerability import THRESHOLD, judge
from engine.generation.extractive import MAX_SENTENCES, choose, repeats, shown

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


def test_headings_and_header_rows_are_not_quoted(embedder):
    letter = hit("ACME STEEL, INC.\nAbout Acme Steel\nAcme Steel makes rails in Leeds.", id="a")
    rows = hit("Steel | Place\nAcme | Leeds", context="Steel | Place", id="b")
    judgement = judge("What does Acme Steel make?", [letter, rows], embedder=embedder)
    assert {one.candidate.text for one in judgement.ranked} == {"Acme Steel makes rails in Leeds.", "Acme | Leeds"}


def test_a_passage_of_headings_alone_is_still_weighed(embedder):
    assert judge("Where is Acme?", [hit("About Acme")], embedder=embedder).ranked


def test_a_sentence_that_adds_nothing_is_not_quoted(embedder):
    lines = (
        "The plant in Leeds makes steel rails, see Form A-1 No. 333-77.",
        "The plant in Leeds makes steel rails, see Form A-2 No. 333-78.",
        "The plant in Leeds makes 40 steel rails.",
    )
    judgement = judge("What does the plant in Leeds make?", [hit(" ".join(lines))], embedder=embedder)
    first, second, figure = sorted((one.candidate for one in judgement.ranked), key=lambda one: one.position)
    assert repeats(second, first)
    assert not repeats(figure, first)
    assert not {first.text, second.text} <= {one.candidate.text for one in choose(judgement.ranked)}


def test_a_sentence_that_dominates_stands_alone(embedder):
    candidate = judge("What is steel?", [hit("Steel is an alloy. Iron rusts in rain.")], embedder=embedder).ranked
    clear = [replace(candidate[0], score=1.0), replace(candidate[1], score=0.0)]
    close = [replace(candidate[0], score=1.0), replace(candidate[1], score=0.9)]
    assert (len(choose(clear)), len(choose(close))) == (1, 2)


def test_a_superlative_asks_for_the_extreme_row(embedder):
    header = "Team | Place | Cups"
    tables = [
        hit("Blues | Leeds | 1\nFlyers | York | 2\nLeafs | Hull | 13", context=header, id="a"),
        hit("Reds | Bath | 4\nOwls | Ely | 0", context=header, id="b"),
    ]
    most = judge("Which team has won the most cups?", tables, embedder=embedder).ranked
    least = judge("Which team has won the fewest cups?", tables, embedder=embedder).ranked
    assert most[0].candidate.text == "Leafs | Hull | 13"
    assert least[0].candidate.text == "Owls | Ely | 0"


def test_an_amount_is_preferred_to_a_share_of_it(embedder):
    lines = "Operating income (as a percentage of net sales) 13.9% 13.8%\nNet sales $ 3,226.8 $ 2,729.4"
    best = judge("What were Ulta's net sales?", [hit(lines, title="Ulta")], embedder=embedder).ranked[0]
    assert best.candidate.text == "Net sales $ 3,226.8 $ 2,729.4"
