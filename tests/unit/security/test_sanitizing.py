"""Text without invisible characters, and the tripwire: what it sees, what it lets pass, and that it stays quick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.security import sanitize_text
from engine.security.sanitizing import suspicious


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\x00b\x1b[31mc\x7f\x9b", "ab[31mc"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("e\u0301", "é"),
        ("user\u202egpj.exe", "usergpj.exe"),
        ("zero\u200bwidth\ufeff\u2060", "zerowidth"),
        ("pass\u200dword\u200c", "password"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs its joiner
        ("👩\u200d💻", "👩\u200d💻"),
        ("hi\U000e0041\U000e0042", "hi"),
        ("a\ud800b", "ab"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
    ],
)
def test_what_cannot_be_seen_is_removed(text, clean):
    assert sanitize_text(text) == clean


@given(st.text())
def test_cleaning_twice_changes_nothing_more_and_leaves_utf8(text):
    clean = sanitize_text(text)
    assert sanitize_text(clean) == clean
    clean.encode()


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("<script>alert(1)</script>", "markup"),
        ("<img src=x onerror=alert(1)>", "markup"),
        ("< / SCRIPT >", "markup"),
        ("＜script＞", "markup"),  # full width, a browser's normalisation away
        ("javascript:alert(1)", "markup"),
        ("' OR 1=1 --", "sql"),
        ("x' or 'a'='a", "sql"),
        ("1 UNION ALL SELECT password FROM users", "sql"),
        ("1; DROP TABLE users", "sql"),
        ("admin'--", "sql"),
        ("1 and sleep(5)", "sql"),
        ("../../etc/passwd", "traversal"),
    ],
)
def test_payloads_that_are_often_tried_are_seen(text, sign):
    assert sign in suspicious([text])


@pytest.mark.parametrize(
    "text",
    [
        "How do I select a table for the union meeting?",
        "What's the drop in revenue; delete nothing",
        "Is 3 < 5 and 7 > 2?",
        "I'd like it or not, that's O'Reilly's price",
        "Explain the onset of inflation",
    ],
)
def test_ordinary_questions_are_not(text):
    assert not suspicious([text])


def test_questions_about_sql_and_html_are_seen_too_which_is_why_they_are_only_logged():
    assert suspicious(["Why does ' OR 1=1 -- work?"]) == {"sql"}
    assert suspicious(["How do I use <script> tags?"]) == {"markup"}


def test_only_the_beginning_of_a_long_request_is_screened():
    payload = "<script>"
    assert suspicious(["x " * 9_990, payload]) == {"markup"}
    assert not suspicious(["x " * 10_000, payload])
    assert not suspicious(["\ufdfa" * 5_000 + payload])  # one such character becomes eighteen
