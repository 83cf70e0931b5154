"""What every chunker of the registry promises, on hostile text and on real pages."""

from __future__ import annotations

import numpy as np
import pypdfium2 as pdfium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import registry
from engine.documents import Block, Document, Page, Piece
from engine.embedding.local import LocalEmbedder

LOCAL = LocalEmbedder(threads=1)
NAMES = sorted(registry.CHUNKERS)
OVERLAPPING = {"recursive", "heading", "sentence", "fixed"}


class HashEmbedder:
    """Vectors from the characters of a text: deterministic, and no torch."""

    model_id = "hash"
    dimension = 16
    max_tokens = 254
    tokens = LOCAL.tokens

    def embed_documents(self, texts):
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for character in text[:200]:
                vectors[row, ord(character) % self.dimension] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def chunker(name, *, overlap=0):
    return registry.build(
        registry.CHUNKERS, "chunker", name, tokens=LOCAL.tokens, embedder=HashEmbedder(), overlap_tokens=overlap
    )


def document(*texts, **page):
    return Document(
        name="a.txt", media_type="text/plain", pages=tuple(Page(number=n, text=t, **page) for n, t in enumerate(texts, 1))
    )


def check(source: Document, pieces: list[Piece], max_tokens: int) -> None:
    pages = {page.number: page for page in source.pages}
    covered = {page.number: bytearray(len(page.text)) for page in source.pages}
    for piece in pieces:
        assert pages[piece.page].text[piece.start : piece.end] == piece.text
        assert piece.text
        assert piece.text == piece.text.strip()
        counted = f"{piece.context}\n{piece.text}" if piece.context else piece.text
        assert LOCAL.tokens.count(counted) <= max_tokens
        covered[piece.page][piece.start : piece.end] = b"\1" * len(piece.text)
    for page in source.pages:
        missed = [c for c, seen in zip(page.text, covered[page.number], strict=True) if not seen and not c.isspace()]
        assert not missed
    keys = [(piece.page, piece.start) for piece in pieces]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


HOSTILE = {
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd" * 300,
    "chinese": "这是第一句话，内容是关于年度报告的。收入增加了百分之五！为什么？" * 60,
    "chinese without marks": "年度报告收入增加" * 200,
    "japanese": "これは長い文章です。「はい。」と言った。売上高は増加しました！" * 60,
    "thai": "รายได้ของบริษัทเพิ่มขึ้นอย่างต่อเนื่อง ในปีนี้กำไรสุทธิเติบโต " * 60,
    "thai without spaces": "รายได้ของบริษัทเพิ่มขึ้นอย่างต่อเนื่องในปีนี้กำไรสุทธิเติบโต" * 60,
    "korean": "매출은 전년 대비 증가했습니다. 비용은 감소했습니다. " * 60,
    "arabic": "ما هي الإيرادات؟ ارتفعت الإيرادات بنسبة خمسة في المائة. " * 60,
    "combining": "e\u0301\u0302\u0327o\u0308 " * 800,
    "zalgo": "e" + "\u0301" * 3000,
    "long word": "QUJD" * 25_000,
    "long digits": "0123456789" * 500,
    "crlf": "First line.\r\nSecond line here.\r\n\r\nThird paragraph.\r\n" * 80,
    "zero width": "\u200b\u200c\u200d" * 100,
    "special tokens": "[CLS] [SEP] [PAD][PAD] <|endoftext|> " * 100,
    "dot leaders": "Item 1. Business ......................................................... 3\n" * 60,
    "blanks": "a" + " " * 20_000 + "b",
    "punctuation": "(((((((((((....;;;;;;!!!!!!" * 100,
    "ligatures": "ﬁnancial eﬀects ½ ™ İstanbul ǅ ß " * 100,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("overlap", [0, 10])
def test_hostile_text(name, text, overlap):
    source = document(text)
    check(source, chunker(name, overlap=overlap).split(source, max_tokens=40), 40)


PARTS = st.sampled_from(
    [
        "word ",
        "Sentence one. ",
        "\n",
        "\n\n",
        "\r\n",
        "  ",
        "\t",
        "\f",
        "\u200b",
        "中文。",
        "あ",
        "ไทย",
        "한국",
        "؟ ",
        "e\u0301",
    ]
    + [
        "\U0001f468\u200d\U0001f469",
        "x" * 130,
        "12,345 ",
        "- item\n",
        "# Title\n",
        "(a) ",
        "U.S. ",
        "[MASK]",
        "hyper-text/mark_up ",
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", NAMES)
@given(
    pages=st.lists(st.lists(PARTS, max_size=80).map("".join) | st.text(max_size=200), max_size=3),
    max_tokens=st.integers(16, 60),
    overlap=st.integers(0, 20),
)
def test_any_text(name, pages, max_tokens, overlap):
    source = document(*pages)
    made = chunker(name, overlap=overlap)
    pieces = made.split(source, max_tokens=max_tokens)
    check(source, pieces, max_tokens)
    assert pieces == made.split(source, max_tokens=max_tokens)


@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("name", NAMES)
@given(
    parts=st.lists(st.tuples(st.sampled_from(["paragraph", "heading", "table", "code"]), PARTS), max_size=25),
    overlap=st.integers(0, 20),
)
def test_any_blocks(name, parts, overlap):
    text, blocks = "", []
    for kind, part in parts:
        body = part * 6
        header = "Year 2017 2016" if kind == "table" else ""
        blocks.append(Block(start=len(text), end=len(text) + len(body), kind=kind, level=2, header=header))
        text += body + "\n"
    source = document(text, blocks=tuple(blocks), section=("Part I",))
    check(source, chunker(name, overlap=overlap).split(source, max_tokens=32), 32)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_split(name):
    assert chunker(name).split(document(), max_tokens=50) == []
    assert chunker(name).split(document("", "  \n\t "), max_tokens=50) == []


@pytest.mark.parametrize("name", NAMES)
def test_short_text_is_one_trimmed_piece(name):
    (piece,) = chunker(name).split(document("  \n One sentence only. \n"), max_tokens=50)
    assert (piece.page, piece.start, piece.text) == (1, 4, "One sentence only.")


PROSE = " ".join(f"Sentence number {n} tells of matter {n % 7} in the report." for n in range(200))


@pytest.mark.parametrize("name", sorted(OVERLAPPING))
def test_overlap(name):
    pieces = chunker(name, overlap=16).split(document(PROSE), max_tokens=64)
    shared = [PROSE[b.start : a.end] for a, b in zip(pieces, pieces[1:], strict=False) if b.start < a.end]
    assert len(shared) >= 0.9 * (len(pieces) - 1)
    assert max(map(LOCAL.tokens.count, shared)) <= 16


@pytest.mark.parametrize("name", NAMES)
def test_no_overlap_unless_asked(name):
    pieces = chunker(name, overlap=0).split(document(PROSE), max_tokens=64)
    assert all(a.end <= b.start for a, b in zip(pieces, pieces[1:], strict=False))


@pytest.mark.parametrize("name", NAMES)
def test_long_table_goes_by_rows_with_its_header(name):
    header = "Year Revenue Cost"
    rows = "\n".join(f"{year} {year * 3} {year * 2}" for year in range(1900, 2000))
    text = f"Intro text.\n{header}\n{rows}\nAfter the table."
    start = text.index(header)
    table = Block(start=start, end=start + len(header) + 1 + len(rows), kind="table", header=header)
    source = document(text, blocks=(table,))
    pieces = chunker(name, overlap=8).split(source, max_tokens=60)
    check(source, pieces, 60)
    inside = [piece for piece in pieces if table.start <= piece.start and piece.end <= table.end]
    assert len(inside) > 5
    assert [piece.context for piece in inside] == [""] + [header] * (len(inside) - 1)
    lines = set(text.splitlines())
    assert all(line in lines for piece in inside for line in piece.text.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_long_header_is_shortened_visibly(name):
    header = " ".join(f"Column{n}" for n in range(60))
    text = "\n".join(f"row {n} value {n * 7}" for n in range(40))
    source = document(text, blocks=(Block(start=0, end=len(text), kind="table", header=header),))
    pieces = chunker(name).split(source, max_tokens=60)
    check(source, pieces, 60)
    assert all(piece.context.endswith(" …") and header.startswith(piece.context[:-2]) for piece in pieces)
    assert all(LOCAL.tokens.count(piece.context) <= 20 for piece in pieces)


@pytest.mark.parametrize("name", NAMES)
def test_section_in_force_where_the_piece_starts(name):
    body = " ".join(["Plain words of this section go on."] * 12)
    text = f"{body}\nRisks\n{body}\nLegal\n{body}"
    blocks = tuple(
        Block(start=text.index(title), end=text.index(title) + 5, kind="heading", level=2) for title in ("Risks", "Legal")
    )
    source = document(text, blocks=blocks, section=("Item 1",))
    for piece in chunker(name).split(source, max_tokens=50):
        passed = [title for title in ("Risks", "Legal") if text.index(title) <= piece.start]
        assert piece.section == ("Item 1", *passed[-1:])


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_real_pages(name, test_data):
    with pdfium.PdfDocument(test_data / "docs/financebench_dev/pdfs/AMCOR_2023Q4_EARNINGS.pdf") as pdf:
        source = document(*(page.get_textpage().get_text_range().replace("\r\n", "\n") for page in pdf))
    pieces = chunker(name, overlap=30).split(source, max_tokens=200)
    check(source, pieces, 200)
    assert len(pieces) >= len(source.pages)
