"""The line in front of a chunk: informative, bounded, and never at the cost of the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.chunking.wording import PREFIX_TOKENS, humanised, lexical_text, searchable_text
from engine.documents import Chunk
from engine.embedding.local import LocalEmbedder

TOKENS = LocalEmbedder(threads=1).tokens


def wording(**given_values):
    values = {"document_name": "a.pdf", "title": "", "section": (), "context": "", "text": "Body.", "max_tokens": 254}
    return searchable_text(**(values | given_values), tokens=TOKENS)


def test_file_names_become_words():
    assert humanised("AMAZON_2017_10K.pdf") == "AMAZON 2017 10K"
    assert humanised("AMCOR_2022_8K_dated-2022-07-01.pdf") == "AMCOR 2022 8K dated 2022-07-01"
    assert humanised("folder/annual.report-v1.2.docx") == "annual report v1.2"


def test_order():
    found = wording(
        document_name="AMAZON_2017_10K.pdf",
        title="Annual report",
        section=("Part II", "Item 8"),
        context="Year Revenue",
        text="2017 5",
    )
    assert found == "AMAZON 2017 10K: Annual report: Part II > Item 8\nYear Revenue\n2017 5"


def test_what_is_known_is_not_repeated():
    assert wording(document_name="annual_report.pdf", title="Annual Report") == "annual report\nBody."
    assert wording(section=("Risks",), text="Risks\nBody.") == "a\nRisks\nBody."


def test_the_deepest_heading_stays_when_room_is_short():
    section = ("An outer heading with quite a few words in it " * 3, "Another outer heading with many words " * 3, "Liquidity")
    line = wording(section=section).split("\n")[0]
    assert line.endswith("Liquidity")
    assert TOKENS.count(line) <= PREFIX_TOKENS


def test_a_full_chunk_gets_no_line():
    text = "word " * 254
    assert wording(text=text) == text


@given(
    st.text(max_size=80),
    st.text(max_size=200),
    st.lists(st.text(max_size=120), max_size=4),
    st.text(max_size=60),
    st.text(min_size=1),
)
def test_the_text_is_whole_and_the_limit_holds(name, title, section, context, text):
    rest = TOKENS.count(f"{context}\n{text}" if context else text)
    found = wording(
        document_name=name, title=title, section=tuple(section), context=context, text=text, max_tokens=rest + PREFIX_TOKENS
    )
    assert found.endswith(text)
    assert context in found
    assert TOKENS.count(found) <= rest + PREFIX_TOKENS


def test_word_search_gets_everything():
    chunk = Chunk(
        id="1", collection_id="c", document_id="d", document_name="NETFLIX_2015_10K.pdf", version=1, version_id="v", ordinal=0,
        page=1, start=0, end=5, text="2015 5", section=("Item 8", "Balance"), context="Year Revenue", title="Form 10-K",
    )  # fmt: skip
    assert lexical_text(chunk) == "NETFLIX 2015 10K: Form 10-K: Item 8 > Balance\nYear Revenue\n2015 5"
