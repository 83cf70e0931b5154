from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.generation.wording import expected_kind, names, negated, numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.5", {"1234.5"}),
        ("1234.50", {"1234.5"}),
        ("1.234,50 Euro", {"1234.5"}),
        ("the 10th of three", {"10", "3"}),
        ("$5 million, 12%", {"5", "12"}),
        ("B2B and COVID19", set()),
        ("100", {"100"}),
        ("192.168.0.1", {"192.168.0.1"}),
    ],
)
def test_equal_numbers_are_equal_however_written(text, expected):
    assert numbers(text) == expected


@given(st.integers(0, 10**12))
def test_separators_do_not_matter(number):
    assert numbers(f"{number:,}") == numbers(str(number)) == {str(number)}


@given(st.text(max_size=100))
def test_any_text_has_numbers_and_names(text):
    numbers(text)
    names(text)


def test_names_are_capitalised_words_inside_a_sentence():
    assert "acm" in names("In 2015 Acme grew.")
    assert not names("Revenue grew. Costs fell.")


@pytest.mark.parametrize(
    ("text", "expected"), [("It isn’t so.", True), ("公司没有支付股息。", True), ("A note about knots.", False)]
)
def test_negation(text, expected):
    assert negated(text) is expected


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was it?", "time"),
        ("In what year did it end?", "time"),
        ("How many were there?", "number"),
        ("What percentage was sold?", "number"),
        ("Who won?", "person"),
        ("Where is it?", "place"),
        ("Why did it end?", "reason"),
        ("Which colour is it?", "other"),
    ],
)
def test_the_kind_of_answer_that_is_asked_for(question, kind):
    assert expected_kind(question) == kind
