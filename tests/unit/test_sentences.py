"""Sentence ends in prose, filings, lists, tables and scripts other than Latin."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sentences import MAX_CHARS, MAX_PROSE_CHARS, character_cut, sentence_spans

CASES = {
    "abbreviations": [
        "The U.S. Government paid Acme Inc. $3.5 million in Jan. 2020.",
        "See Fig. 3 and Smith et al. (2019) for details.",
        "Dr. J. Smith, Jr. agreed.",
    ],
    "abbreviation at the end": ["Sales were made in the U.S.", "The company grew.", "We sold it to Best Buy Co.", "It failed."],
    "initials and times": ["Version 2.0.", "Released at 5 p.m. EST by J. R. R. Tolkien."],
    "number or no": ["No. 5 is best.", "Was it?", "No.", "It was not."],
    "quotes and brackets": ['He said "Stop!" and left.', '"Why?" she asked.', "(It was late.)", "Then it ended."],
    "ellipses": ["Then… silence.", "Wait... what?", "Yes...", "No."],
    "citation marks": ["Revenue rose 5%. [1]", "Costs fell [2].", "The text ends here.[3]", "Next."],
    "chinese": ["这是第一句。", "这是第二句！", "“你好。”", "他说。", "价格是3.5元。"],
    "japanese": ["これは文です。", "「はい。」と言った。", "終わり？"],
    "arabic": ["ما هذا؟", "هذا كتاب.", "نعم"],
    "hindi": ["यह वाक्य है।", "दूसरा वाक्य है।", "तीसरा"],
    "decimals and domains": ["It grew 3.5% on example.com in FY 2.", "It fell later."],
}


@pytest.mark.parametrize("sentences", CASES.values(), ids=CASES.keys())
def test_prose(sentences):
    joiner = "" if ord(sentences[0][-1]) > 0x2FFF else " "
    text = joiner.join(sentences)
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


LAYOUT = {
    "wrapped prose stays together": [
        "Net sales increased 31% in 2017, compared to the prior year, mostly because of growth\nin units and services.",
        "The rest of the\nparagraph follows.",
    ],
    "heading, prose, table": [
        "ITEM 7. MANAGEMENT'S DISCUSSION",
        "Net sales increased 31% in 2017, compared to the prior year, mostly because of growth\nin units of the company:",
        "Year Ended December 31,",
        "2015 2016 2017",
        "Net sales $ 107,006 $ 135,987 $ 177,866",
        "Purchases of property, including software and website development, net\nof proceeds (4,589) (6,737) (10,058)",
        "Total 1 2 3",
    ],
    "list": ["The following:", "• apples", "• pears and\nplums", "(a) first", "2. second"],
    "paragraphs": ["No full stop here", "And none here"],
}


@pytest.mark.parametrize("units", LAYOUT.values(), ids=LAYOUT.keys())
def test_lines(units):
    text = ("\n\n" if units[0].startswith("No full") else "\n").join(units)
    assert [text[start:end] for start, end in sentence_spans(text)] == units


def test_long_run_without_punctuation_breaks_at_line_ends():
    text = "\n".join("some words of a table without any end or number" for _ in range(40))
    spans = sentence_spans(text)
    assert all(end - start <= MAX_CHARS for start, end in spans)
    assert all(text[end : end + 1] in ("\n", "") for _, end in spans)


def test_long_legal_sentence_stays_whole():
    text = "Subject to the terms, including those of Section, and as amended, " * 9 + "the agreement ends."
    assert MAX_CHARS < len(text) < MAX_PROSE_CHARS
    assert sentence_spans(text) == [(0, len(text))]


def test_thai_breaks_at_spaces():
    text = "รายได้ของบริษัทเพิ่มขึ้นอย่างต่อเนื่อง " * 20
    spans = sentence_spans(text)
    assert len(spans) > 3
    assert all(text[end : end + 1] == " " for _, end in spans)


def test_letters_keep_their_marks():
    assert character_cut("ae\u0301b", 0, 2) == 1
    assert character_cut("a\U0001f468\u200d\U0001f469b", 0, 2) == 1
    assert character_cut("abc", 0, 2) == 2


@given(st.text(alphabet=st.sampled_from("ab.!?…。 \n\t\r\f\"')]1٣中ไ\u0301\u200dÉ-"), max_size=300) | st.text(max_size=300))
def test_spans_cover_all_text_once(text):
    spans = sentence_spans(text)
    covered = [False] * len(text)
    before = 0
    for start, end in spans:
        assert before <= start < end
        assert text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
        before = end
    assert all(seen or character.isspace() for character, seen in zip(text, covered, strict=True))


HOSTILE = [
    "." * 200_000 + "a",
    "e.g. " * 40_000,
    "(" * 200_000,
    "x" * 1_000_000,
    "1" * 200_000 + "x",
    "." + ")" * 200_000 + "x",
]


@pytest.mark.parametrize("text", [*HOSTILE, "a\n" * 100_000, "e" + "\u0301" * 100_000, ". " + "[1]" * 60_000], ids=range(9))
def test_no_text_takes_long(text):
    start = time.process_time()
    sentence_spans(text)
    assert time.process_time() - start < 10


def test_an_initial_at_the_start_of_a_line_is_no_list_item() -> None:
    text = "As part of a planned succession process, Richard\nA. Johnson will retire as President. Mary N. Dillon follows."
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        "As part of a planned succession process, Richard\nA. Johnson will retire as President.",
        "Mary N. Dillon follows.",
    ]
