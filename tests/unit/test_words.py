"""Terms: what must be equal is equal, in each script, and nothing depends on the rest of the text."""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.words import MAX_TERM_CHARS, STOP_WORDS, fold, stem, terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("running", "runs"),
        ("Hospitals", "hospital"),
        ("the company's", "company"),
        ("the company\u2019s", "company"),
        ("café Größe", "cafe grosse"),
        ("cafe\u0301", "café"),
        ("ＢＵＤＧＥＴ ﬁle", "budget file"),
        ("1,234.56", "1234.56"),
        ("12,345,678", "12345678"),
        ("state-of-the-art", "state art"),
        ("max_file_mb", "max file mb"),
        ("كِتَابٌ", "كتاب"),
        ("الكتـــاب", "الكتاب"),
        ("أحمد إلى", "احمد الي"),
        ("शहर", "शहर।"),
    ],
)
def test_equal_words_give_equal_terms(one, other):
    assert terms(one) == terms(other) != []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ('--"(;', []),
        ("The of and", []),
        ("not no", ["not", "no"]),
        ("red red", ["red", "red"]),
        ("Who asked the WHO about IT in May?", ["ask", "who", "it", "may"]),
        ("getUserName", ["getusernam", "get", "user", "name"]),
        ("FY2017 p53 B12", ["fy2017", "2017", "p53", "b12"]),
        ("3.14 and 1.2.3, 2,5; 7.", ["3.14", "1.2.3", "2,5", "7"]),
        ("l'entreprise", ["l", "entrepris"]),
        ("医院预算", ["医院", "院预", "预算", "医", "院", "预", "算"]),
        ("猫", ["猫"]),
        ("カメラ", ["カメ", "メラ"]),
        ("병원에서", ["병원", "원에", "에서"]),
        ("ภาษา", ["ภา", "าษ", "ษา"]),
        ("使用GPT4模型2020年", ["使用", "使", "用", "gpt4", "模型", "模", "型", "2020", "年"]),
    ],
)
def test_terms(text, expected):
    assert terms(text) == expected


def test_vowel_signs_of_indic_scripts_are_part_of_their_word():
    assert terms("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


def test_a_very_long_word_is_one_bounded_term():
    assert [len(term) for term in terms("x" * 10_000)] == [MAX_TERM_CHARS]


def test_stop_words_are_in_the_form_they_are_compared_in():
    assert all(fold(word) == word for word in STOP_WORDS)
    assert "not" not in STOP_WORDS


def test_stem_takes_any_case():
    assert stem("Approving") == stem("approved") == "approv"


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_gives_terms_without_spaces_that_do_not_depend_on_neighbours(one, other):
    assert all(term and not any(c.isspace() for c in term) for term in terms(one))
    assert terms(f"{one}\n{other}") == terms(one) + terms(other)


def test_threads_do_not_disturb_each_other():
    vocabulary = [f"running{i}s approving{chr(97 + i % 26)}ly" for i in range(3000)]
    expected = [terms(text) for text in vocabulary]
    results: list[list[list[str]]] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        from engine import words

        words._word_terms.cache_clear()
        words.stem.cache_clear()
        threads = [threading.Thread(target=lambda: results.append([terms(text) for text in vocabulary])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert results == [expected] * 4
