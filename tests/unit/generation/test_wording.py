from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.generation.wording import amounts, counted, counts, expected_kind, figures, names, negated, numbers, offers, states


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
        ("What were Acme's net sales?", "amount"),
        ("What sales strategy does it follow?", "other"),
        ("Which colour is it?", "other"),
    ],
)
def test_the_kind_of_answer_that_is_asked_for(question, kind):
    assert expected_kind(question) == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FOOT LOCKER, INC.", False),
        ("About Ulta Beauty", False),
        ("2019 2018 Cumulative Amount", False),
        ("Year ended December 31, 2017", False),
        ("58", False),
        ("An analysis of the liability is as follows:", False),
        ("(4) Registration Statement (Form S-8 No. 333-123501) pertaining to the 2002 Stock Plan", False),
        ("Net sales $ 3,226.8 $ 2,729.4", True),
        ("DO NOT OPEN THE VALVE", True),
        ("Headquarters: Leeds", True),
        ("Sunny with light winds.", True),
        ("the company opened two plants", True),
        ("公司总部在北京", True),
    ],
)
def test_headings_and_header_rows_state_nothing(text, expected):
    assert states(text) is expected


def test_labels_are_no_figures_and_dates_are_no_amounts():
    assert figures("(4) Form S-8 No. 333-123501, 2002 Plan") == {"2002"}
    assert amounts("On December 31, 2017 we had 5,500 employees and a 401(k) plan") == {"5500"}
    assert amounts("$2,017 or 20.15") == {"2017", "20.15"}


def test_a_percentage_is_no_amount():
    assert not offers("amount", "Operating income (as a percentage of net sales) 13.9%", asked=frozenset())
    assert offers("amount", "Net sales rose 18.2% to $3.2 billion", asked=frozenset())


def test_what_is_counted_stands_near_its_number():
    things = counted("How many employees does it have?")
    assert counts(things, "As of December 31, 2017, we had approximately 5,500 total employees.")
    assert not counts(things, "Employees may, as all other members of the plan, pay up to 60% of their salary.")
