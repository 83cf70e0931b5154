"""Columns are read one after the other, tables row by row, and every character still knows where it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pypdfium2.raw as pdfium
import pytest

from engine.documents import Page
from engine.loading.pdf import PdfLoader
from engine.loading.pdf_file import open_page, open_pdf, open_text
from engine.loading.pdf_image import span_boxes
from engine.loading.pdf_text import read_page
from engine.loading.reading_order import reading_order
from tests.fixtures.loading.tiny_pdf import pdf

LEFT = [f"Left line {n} of the first column of words" for n in "abcdef"]
RIGHT = [f"Right line {n} of the second column here" for n in "abcdef"]
MIXED = [
    (72, 740, "A title that goes over both of the columns of this page, from left to right"),
    *[line for n in range(6) for line in ((72, 700 - 14 * n, LEFT[n]), (320, 700 - 14 * n, RIGHT[n]))],
]
TABLE = [
    (72, 700, "Item"),
    (300, 700, "2023"),
    (400, 700, "2022"),
    *[
        place
        for n, (label, one, two) in enumerate(
            [("Revenue", "1,200", "1,100"), ("Costs", "900", "850"), ("Profit", "300", "250")]
        )
        for place in ((72, 680 - 16 * n, label), (300, 680 - 16 * n, one), (400, 680 - 16 * n, two))
    ],
    (72, 600, "The figures above were audited by nobody in 2023"),
]


def page_of(tmp_path: Path, lines: Sequence[tuple[float, float, str]]) -> Page:
    (tmp_path / "a.pdf").write_bytes(pdf([lines]))
    return PdfLoader().load(tmp_path / "a.pdf", name="a.pdf").pages[0]


def test_columns_that_the_file_mixes_are_read_one_after_the_other(tmp_path):
    lines = [line.strip() for line in page_of(tmp_path, MIXED).text.splitlines()]
    assert lines == [MIXED[0][2], *LEFT, *RIGHT]


def test_a_passage_of_mixed_columns_is_marked_where_it_stands(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf([MIXED]))
    with open_pdf(tmp_path / "a.pdf") as document, open_page(document, 0) as page:
        text = read_page(page)
        start = text.text.index(LEFT[4])
        boxes = span_boxes(page, (start, start + len(LEFT[4]) + 1 + len(LEFT[5])))
        assert len(boxes) == 2
        assert all(box[0] == pytest.approx(72 / 612, abs=0.01) and box[2] < 310 / 612 for box in boxes)
        with open_text(page) as text_page:
            for offset, character in enumerate(text.text):
                index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text.unit_offset(offset))
                assert character in {chr(pdfium.FPDFText_GetUnicode(text_page, index)), "\n"}


def test_a_page_whose_order_is_right_stays_as_the_file_has_it(tmp_path):
    in_order = [(72, 700 - 14 * n, LEFT[n]) for n in range(6)] + [(320, 700 - 14 * n, RIGHT[n]) for n in range(6)]
    (tmp_path / "a.pdf").write_bytes(pdf([in_order]))
    with open_pdf(tmp_path / "a.pdf") as document, open_page(document, 0) as page:
        text = read_page(page)
    assert not text.reordered
    assert [line.strip() for line in text.text.splitlines()] == [*LEFT, *RIGHT]


def test_a_table_is_kept_as_one_with_its_header_and_prose_beside_it_is_not_part_of_it(tmp_path):
    page = page_of(tmp_path, TABLE)
    (block,) = page.blocks
    assert block.kind == "table"
    assert block.header.split() == ["Item", "2023", "2022"]
    rows = page.text[block.start : block.end].splitlines()
    assert rows[-3:] == ["Revenue 1,200 1,100", "Costs 900 850", "Profit 300 250"]


def test_prose_whose_lines_end_in_numbers_is_no_table(tmp_path):
    prose = [(72, 700 - 14 * n, f"In that year the company sold as many as {n}00") for n in range(1, 7)]
    assert page_of(tmp_path, prose).blocks == ()


def test_cells_of_a_row_stay_together_and_columns_do_not():
    cells = [(0.1, 0.1, 0.3, 0.12), (0.8, 0.1, 0.85, 0.12), (0.1, 0.13, 0.25, 0.15), (0.8, 0.13, 0.85, 0.15)]
    cells += [(0.1, 0.16, 0.2, 0.18), (0.8, 0.16, 0.85, 0.18)]
    assert reading_order(cells) == [[[0, 1], [2, 3], [4, 5]]]
    columns = [(x, 0.1 + 0.03 * n, x + 0.35, 0.12 + 0.03 * n) for n in range(4) for x in (0.1, 0.55)]
    assert [row for block in reading_order(columns) for row in block] == [[0], [2], [4], [6], [1], [3], [5], [7]]
