"""What is special to one chunker, and the outline that all share."""

from __future__ import annotations

import numpy as np
import pytest

from engine.chunking.heading import HeadingChunker
from engine.chunking.outline import Outline
from engine.chunking.recursive import RecursiveChunker
from engine.chunking.ruler import Ruler, nearest
from engine.chunking.semantic import SemanticChunker, gaps
from engine.chunking.sentence import SentenceChunker
from engine.documents import Block, Document, Page
from engine.embedding.local import LocalEmbedder

TOKENS = LocalEmbedder(threads=1).tokens


def split(kind, page, max_tokens, *, embedder=None, overlap=0):
    made = kind(tokens=TOKENS, embedder=embedder, overlap_tokens=overlap)
    return made.split(Document(name="a", media_type="text/plain", pages=(page,)), max_tokens=max_tokens)


def page(text, *titles, level=1, section=()):
    blocks = [Block(start=text.index(t), end=text.index(t) + len(t), kind="heading", level=level) for t in titles]
    return Page(number=1, text=text, blocks=tuple(blocks), section=section)


def test_outline_levels():
    text = "intro\n# Business\nx\n## Products\ny\n# Risks\nz"
    blocks = []
    for title, level in (("# Business", 1), ("## Products", 2), ("# Risks", 1)):
        start = text.index(title)
        blocks.append(Block(start=start, end=start + len(title), kind="heading", level=level))
    outline = Outline(Page(number=1, text=text, blocks=tuple(blocks), section=("Part I",)))
    assert outline.at(0) == ("Part I",)
    assert outline.at(text.index("# Business")) == ("Business",)
    assert outline.at(text.index("y")) == ("Business", "Products")
    assert outline.at(len(text)) == ("Risks",)


def test_recursive_prefers_paragraphs():
    first, second = "First matter goes on. " * 8, "Second matter goes on. " * 8
    pieces = split(RecursiveChunker, page(f"{first}\n\n{second}"), 60)
    assert [piece.text for piece in pieces] == [first.strip(), second.strip()]


def test_pieces_are_of_like_size():
    pieces = split(RecursiveChunker, page("One short sentence here. " * 45), 100)
    sizes = [TOKENS.count(piece.text) for piece in pieces]
    assert len(sizes) == 3
    assert min(sizes) > 0.8 * max(sizes)


def test_code_that_fits_is_kept_whole():
    before, code = "Some words before the code. " * 6, "def f():\n    a = 1\n\n    return a\n" * 2
    text = f"{before}\n\n{code}\n\n{before}"
    start = text.index(code)
    block = Block(start=start, end=start + len(code), kind="code")
    pieces = split(RecursiveChunker, Page(number=1, text=text, blocks=(block,)), 60)
    assert sum(code.strip() in piece.text for piece in pieces) == 1


def test_a_long_word_is_cut_though_it_is_one_unknown_token():
    pieces = split(RecursiveChunker, page("QUJD" * 5000), 60)
    assert len(pieces) > 20
    assert "".join(piece.text for piece in pieces) == "QUJD" * 5000


def test_a_heading_is_not_left_behind():
    text = "Body text of one section. " * 8 + "\nRisks\n" + "Body text of another one. " * 8
    pieces = split(RecursiveChunker, page(text, "Risks"), 60)
    assert [piece.text.startswith("Risks") for piece in pieces] == [False, True]


def test_small_sibling_sections_are_merged():
    text = "Alpha\none two three\nBeta\nfour five six\nGamma\n" + "Long text of the last section. " * 20
    pieces = split(HeadingChunker, page(text, "Alpha", "Beta", "Gamma"), 60)
    assert pieces[0].text == "Alpha\none two three\nBeta\nfour five six"
    assert pieces[1].text.startswith("Gamma")


def test_heading_without_headings_is_recursive():
    plain = page("Plain words go on here. " * 60)
    assert split(HeadingChunker, plain, 60, overlap=10) == split(RecursiveChunker, plain, 60, overlap=10)


def test_sentences_are_not_parted():
    sentences = [f"Sentence {n} has a few more words." for n in range(40)]
    pieces = split(SentenceChunker, page(" ".join(sentences)), 50)
    assert " ".join(piece.text for piece in pieces) == " ".join(sentences)
    assert all(piece.text.endswith("words.") for piece in pieces)


class TopicEmbedder:
    """Two topics, orthogonal."""

    def embed_documents(self, texts):
        return np.array([[1, 0] if "cat" in text else [0, 1] for text in texts], dtype=np.float32)


def test_semantic_splits_where_the_topic_changes():
    cats, banks = "The cat sleeps all day long. " * 6, "The bank reports its profit now. " * 6
    pieces = split(SemanticChunker, page(cats + banks), 200, embedder=TopicEmbedder())
    assert [piece.text for piece in pieces] == [cats.strip(), banks.strip()]


def test_gaps():
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], dtype=np.float32)
    distances = gaps(vectors)
    assert int(np.argmax(distances)) == 2
    assert distances[2] == pytest.approx(1)


def test_ruler_agrees_with_the_tokenizer_on_words():
    text = "Net sales rose by five percent in the year."
    ruler = Ruler(text, TOKENS)
    assert ruler.cost(0, len(text)) == TOKENS.count(text)
    assert text[: ruler.reach(0, 3, len(text))] == "Net sales rose"
    assert text[ruler.back(len(text), 3, 0) :].strip() == "the year."


def test_nearest():
    assert nearest([2, 5, 9], 6, 0, 10) == 5
    assert nearest([2, 5, 9], 7, 0, 10) == 9
    assert nearest([2, 5, 9], 7, 6, 8) is None
