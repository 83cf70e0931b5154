"""Exactness of PDF text: every character of our text maps back to the PDFium character that drew it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pypdfium2.raw as pdfium
import pytest

from engine.errors import BrokenFile
from engine.loading.pdf import PdfLoader
from engine.loading.pdf_file import open_page, open_pdf, open_text
from engine.loading.pdf_image import span_boxes
from engine.loading.pdf_text import PageText, read_page, tidy
from tests.fixtures.loading.tiny_pdf import ASTRAL, pdf


def load(tmp_path: Path, data: bytes):
    (tmp_path / "a.pdf").write_bytes(data)
    return PdfLoader().load(tmp_path / "a.pdf", name="a.pdf")


def test_every_offset_maps_to_its_own_character(tmp_path):
    lines = [(72, 700, "AxBCA A dan-"), (72, 685, "gerous A B"), (72, 600, "long-"), (72, 585, "Term xyz")]
    (tmp_path / "a.pdf").write_bytes(pdf([lines], to_unicode=ASTRAL))
    with open_pdf(tmp_path / "a.pdf") as document, open_page(document, 0) as page:
        text = read_page(page)
        assert "\U0001f600" in text.text
        assert "dangerous" in text.text
        assert "long-Term" in text.text
        with open_text(page) as text_page:
            for offset, character in enumerate(text.text):
                index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text.unit_offset(offset))
                found = chr(pdfium.FPDFText_GetUnicode(text_page, index))
                want = character.encode("utf-16-le")[:2].decode("utf-16-le", "surrogatepass")
                assert found == want or (character, found) in {("\n", "\r"), ("-", "\x02")}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", ""),
        ("a\r\nb\rc", "a\nb\nc"),
        ("dan\ufffegerous", "dangerous"),
        ("non\ufffecash", "non-cash"),
        ("Non\ufffeGAAP", "Non-GAAP"),
        ("a worst\ufffecase view, worst of case", "a worst-case view, worst of case"),
        ("market\ufffebased or market-based", "market-based or market-based"),
        ("multi\ufffeple and multiple", "multiple and multiple"),
        ("1990\ufffe1995", "1990-1995"),
        ("nul\x00 and \ud800 gone", "nul and  gone"),
        ("\ufffe", "-"),
    ],
)
def test_tidy(raw, text):
    found = tidy(raw)
    assert found.text == text
    for offset, character in enumerate(text):
        origin = raw[found.raw_offset(offset)]
        assert origin == character or (character, origin) in {("\n", "\r"), ("-", "\ufffe")}


def centre(text: PageText, word: str) -> tuple[int, int]:
    start = text.text.index(word)
    return start, start + len(word)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_are_where_the_words_are(tmp_path, rotate):
    lines = [(100, 700, "alpha beta gamma"), (100, 650, "delta epsilon")]
    (tmp_path / "a.pdf").write_bytes(pdf([lines], rotate=rotate, crop=(50, 100, 612, 792)))
    with open_pdf(tmp_path / "a.pdf") as document, open_page(document, 0) as page:
        text = read_page(page)
        (box,) = span_boxes(page, centre(text, "beta"))
        both = span_boxes(page, centre(text, "epsilon"))
    # "beta" begins about 33 points right of x = 100, on the base line y = 700; the crop box is 562 x 692 from (50, 100).
    x, y = (100 + 33 + 12 - 50) / 562, (792 - 704) / 692
    want = {0: (x, y), 90: (1 - y, x), 180: (1 - x, 1 - y), 270: (y, 1 - x)}[rotate]
    assert ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) == pytest.approx(want, abs=0.01)
    assert len(both) == 1


def test_a_span_over_two_lines_has_a_box_each_and_no_word_more(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf([[(100, 700, "alpha beta"), (100, 685, "gamma delta")]]))
    with open_pdf(tmp_path / "a.pdf") as document, open_page(document, 0) as page:
        text = read_page(page)
        assert text.text == "alpha beta\ngamma delta"
        first, second = span_boxes(page, (6, 16))
        assert first[0] == pytest.approx(span_boxes(page, (6, 10))[0][0])
        assert second[2] == pytest.approx(span_boxes(page, (11, 16))[0][2])
        assert first[3] <= second[1] + 0.005
        assert span_boxes(page, (3, 3)) == []
        assert span_boxes(page, (900, 999)) == []


def test_form_values_are_text_with_a_box(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf([[(100, 700, "Form")]], fields=[("Name", "Ada"), ("Town", "Bern")]))
    document = PdfLoader().load(tmp_path / "a.pdf", name="a")
    assert document.pages[0].text == "Form\nName: Ada\nTown: Bern"
    from engine.loading.pdf_text import form_environment

    with open_pdf(tmp_path / "a.pdf") as handle, form_environment(handle) as form, open_page(handle, 0) as page:
        (box,) = span_boxes(page, (21, 24), form=form)
    assert box == pytest.approx((100 / 612, (792 - 590) / 792, 300 / 612, (792 - 570) / 792), abs=0.001)


def outlined(tmp_path: Path, pages: Sequence[str], outline: Sequence[tuple[str, int]], *, cycle: bool = False):
    return load(tmp_path, pdf([[(72, 700, text)] for text in pages], outline=outline, outline_cycle=cycle))


def test_outline_gives_sections_and_headings(tmp_path):
    document = outlined(tmp_path, ["Intro", "more", "Risk factors", "x"], [("Intro", 0), ("Risk  Factors", 2), ("Appendix", 3)])
    assert [page.section for page in document.pages] == [(), ("Intro",), ("Intro",), ("Appendix",)]
    heading = document.pages[2].blocks[0]
    assert document.pages[2].text[heading.start : heading.end] == "Risk factors"


def test_cyclic_outline_ends(tmp_path):
    assert outlined(tmp_path, ["a", "b"], [("a", 0), ("b", 1)], cycle=True).pages[1].text == "b"


def test_scan_and_empty_page_differ(tmp_path):
    scan = load(tmp_path, pdf([[]], image=True)).pages[0]
    empty = load(tmp_path, pdf([[]])).pages[0]
    assert (scan.has_text, scan.has_image) == (False, True)
    assert (empty.has_text, empty.has_image) == (False, False)


@pytest.mark.parametrize(
    ("given", "title"),
    [("Annual Report", "Annual Report"), ("Microsoft Word - Plan B", "Plan B"), ("x.indd", ""), ("untitled", "")],
)
def test_title(tmp_path, given, title):
    assert load(tmp_path, pdf([[(72, 700, "x")]], title=given)).title == title


def test_not_a_pdf(tmp_path):
    with pytest.raises(BrokenFile):
        load(tmp_path, b"%PDF-1.7 nothing")
