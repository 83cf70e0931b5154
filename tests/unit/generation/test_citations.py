from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.generation.citations import bind, cite
from engine.generation.grounding import Grounding, Span
from engine.types import Prompt, Support

from .conftest import hit

PROMPT = Prompt(question="?", passages=(hit("One is odd. Two is even.", id="a"), hit("Three is odd [7].", id="b", start=100)))


def cited(text):
    return [(one.text, one.cited) for one in bind(text, PROMPT).statements]


def test_a_marker_counts_for_the_sentence_that_it_follows():
    assert cited("One is odd [1]. Two is even. [1][2]\nThree [1, 2].") == [
        ("One is odd.", (1,)),
        ("Two is even.", (1, 2)),
        ("Three.", (1, 2)),
    ]


def test_a_marker_at_the_beginning_of_a_line_counts_for_what_follows():
    assert cited("Zero.\n[2] Three is odd.") == [("Zero.", ()), ("Three is odd.", (2,))]


def test_numbers_that_no_passage_has_are_rejected_and_never_shifted():
    bound = bind("One is odd [3]. Two is even [0][2].", PROMPT)
    assert [one.cited for one in bound.statements] == [(), (2,)]
    assert bound.rejected == (3, 0)
    assert "[" not in bound.clean


def test_a_bracket_of_the_quoted_document_is_text():
    prompt = Prompt(question="?", passages=(hit("The measured value was high [1] in May."), hit("x")))
    bound = bind("The measured value was high [1] in May. [2]", prompt)
    assert bound.clean == "The measured value was high [1] in May."
    assert bound.statements[0].cited == (2,)


def test_links_and_code_hold_no_markers():
    text = "See [1](http://x.test) here.\n\n```\nvalue = row[1]\n```\nOne is odd 【1】."
    bound = bind(text, PROMPT)
    assert [(one.is_code, one.cited) for one in bound.statements] == [(False, ()), (True, ()), (False, (1,))]
    assert "row[1]" in bound.statements[1].text


def test_lists_and_tables_keep_their_shape_and_headings_are_no_statements():
    text = "# Title\n- One is odd [1]\n- Two is even [1]\n\n| n | kind |\n|---|---|\n| three | odd [2] |"
    assert cited(text) == [
        ("One is odd", (1,)),
        ("Two is even", (1,)),
        ("| n | kind |", ()),
        ("| three | odd |", (2,)),
    ]


def test_citations_are_numbered_in_order_of_first_use_and_slice_the_page_exactly():
    bound = bind("Three is odd [2]. One is odd [1]. Three again [2].", PROMPT)
    spans = [Span(n=2, start=0, end=5), Span(n=1, start=0, end=11), Span(n=2, start=0, end=5)]
    groundings = [Grounding(support=Support.SUPPORTED, spans=(span,)) for span in spans]
    text, used, citations = cite(bound, groundings, PROMPT)
    assert text == "Three is odd. [1] One is odd. [2] Three again. [1]"
    assert used == [(1,), (2,), (1,)]
    assert [(one.n, one.chunk_id, one.start, one.end, one.text) for one in citations] == [
        (1, "b", 100, 105, "Three"),
        (2, "a", 0, 11, "One is odd."),
    ]


def test_a_marker_in_a_table_row_stays_inside_its_last_cell():
    bound = bind("| three | odd [2] |", PROMPT)
    text, _, _ = cite(bound, [Grounding(support=Support.SUPPORTED, spans=(Span(n=2, start=0, end=5),))], PROMPT)
    assert text == "| three | odd  [1]|"


@given(st.text(alphabet="ab [],1239]|#-*`\n.!。【】(:)", max_size=120))
def test_no_text_breaks_the_binding(text):
    bound = bind(text, PROMPT)
    for one in bound.statements:
        assert bound.clean[one.start : one.end] == one.text
        assert set(one.cited) <= {1, 2}
    assert [one.start for one in bound.statements] == sorted(one.start for one in bound.statements)
    assert all(number not in (1, 2) for number in bound.rejected)


@given(st.text(max_size=200))
def test_any_text_at_all_can_be_bound(text):
    bind(text, PROMPT)


@pytest.mark.parametrize("text", [" " * 50_000, "[1" * 20_000, "```\n" * 5_000, "|" * 20_000, "> " * 10_000, "[1]" * 5_000])
@pytest.mark.timeout(20)
def test_hostile_texts_take_no_long_time(text):
    bind(text, PROMPT)
