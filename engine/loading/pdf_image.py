"""A PDF page as a picture with passages highlighted; boxes come from the same character mapping that made the text."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypdfium2.raw as pdfium
from PIL import Image

from engine.documents import PageImage
from engine.errors import BrokenFile, NotFound
from engine.loading.pdf_file import open_page, open_pdf, open_text
from engine.loading.pdf_text import PageText, form_environment, read_page
from engine.loading.picture import MAX_PIXELS, Box, marked

# PDFium maps to whole device units: a large device gives fractions exact to a millionth of the page.
_UNITS = 1_000_000


def render_page(
    *,
    path: str,
    page: int,
    highlight: Sequence[tuple[int, int]],
    boxes: Sequence[Box] = (),
    width: int,
    password: str | None = None,
) -> PageImage:
    """Return page `page` (from 1), `width` pixels wide, with the character spans of `highlight`, or `boxes`, marked.

    `boxes` are one a line of each span, in the order of the spans. Raises NotFound, BrokenFile, PasswordNeeded.
    """
    with open_pdf(Path(path), password=password) as document, form_environment(document) as form:
        if not 1 <= page <= pdfium.FPDF_GetPageCount(document):
            raise NotFound(f"the file has no page {page}")
        with open_page(document, page - 1) as handle:
            if not handle:
                raise BrokenFile(f"page {page} is damaged")
            places = list(boxes) or [box for span in highlight for box in span_boxes(handle, span, form=form)]
            image = _paint(handle, form, width)
    return marked(image, places)


@contextmanager
def page_painter(path: Path, *, password: str | None = None) -> Iterator[Callable[[int, int], Image.Image | None]]:
    """Yield a function (page from 1, dots per inch) -> picture, or None for a page that is damaged or not there."""
    with open_pdf(path, password=password) as document, form_environment(document) as form:

        def paint(number: int, dpi: int) -> Image.Image | None:
            if not 1 <= number <= pdfium.FPDF_GetPageCount(document):
                return None
            with open_page(document, number - 1) as handle:
                return _paint(handle, form, round(pdfium.FPDF_GetPageWidthF(handle) / 72 * dpi)) if handle else None

        yield paint


def span_boxes(page: Any, span: tuple[int, int], *, form: Any = None) -> list[Box]:
    """Return the boxes of `page.text[start:end]` as fractions of the page as it is shown, one a line."""
    text = read_page(page, form=form)
    start, end = max(0, span[0]), min(span[1], len(text.text))
    boxes = _joined(_character_boxes(page, text, start, min(end, text.printed)))
    return boxes + [_on_page(page, field.rect) for field in text.fields if field.start < end and start < field.end]


def _character_boxes(page: Any, text: PageText, start: int, end: int) -> Iterator[Box]:
    if start >= end:
        return
    rect = pdfium.FS_RECTF()
    with open_text(page) as text_page:
        for begin, stop in text.pieces(start, end):
            first = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text.unit_offset(begin))
            last = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, text.unit_offset(stop - 1))
            for index in range(first, last + 1) if first >= 0 else ():
                blank = pdfium.FPDFText_GetUnicode(text_page, index) in {0, 9, 10, 13, 32, 160}
                if not blank and pdfium.FPDFText_GetLooseCharBox(text_page, index, rect):
                    yield _on_page(page, (rect.left, rect.top, rect.right, rect.bottom))


def _on_page(page: Any, rect: Box) -> Box:
    """Map a rectangle from page coordinates (points, upwards) to fractions of the shown page (downwards), rotation included."""
    corners = []
    for x, y in ((rect[0], rect[1]), (rect[2], rect[3])):
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, _UNITS, _UNITS, 0, x, y, across, down)
        corners.append((min(1.0, max(0.0, across.value / _UNITS)), min(1.0, max(0.0, down.value / _UNITS))))
    (x0, y0), (x1, y1) = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _joined(boxes: Iterator[Box]) -> list[Box]:
    """Join characters that follow each other on a line, horizontal or vertical."""
    lines: list[Box] = []
    previous: Box | None = None
    for box in boxes:
        if previous is not None and _same_line(previous, box):
            left, top, right, bottom = lines[-1]
            lines[-1] = (min(left, box[0]), min(top, box[1]), max(right, box[2]), max(bottom, box[3]))
        else:
            lines.append(box)
        previous = box
    return lines


def _same_line(one: Box, two: Box) -> bool:
    for side in (0, 1):
        across = 1 - side
        overlap = min(one[across + 2], two[across + 2]) - max(one[across], two[across])
        thickness = min(one[across + 2] - one[across], two[across + 2] - two[across])
        gap = max(one[side], two[side]) - min(one[side + 2], two[side + 2])
        length = max(one[side + 2] - one[side], two[side + 2] - two[side])
        if overlap > 0.5 * thickness and gap < 3 * length:
            return True
    return False


def _paint(page: Any, form: Any, width: int) -> Image.Image:
    points = max(1.0, pdfium.FPDF_GetPageWidthF(page)), max(1.0, pdfium.FPDF_GetPageHeightF(page))
    width = max(16, width)
    height = max(1, round(width * points[1] / points[0]))
    if width * height > MAX_PIXELS:
        shrink = (MAX_PIXELS / (width * height)) ** 0.5
        width, height = max(1, int(width * shrink)), min(MAX_PIXELS, max(1, int(height * shrink)))
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGRx, None, 0)
    if not bitmap:
        raise MemoryError
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xFFFFFFFF)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, pdfium.FPDF_ANNOT)
        if form:
            pdfium.FPDF_FFLDraw(form, bitmap, page, 0, 0, width, height, 0, pdfium.FPDF_ANNOT)
        stride = pdfium.FPDFBitmap_GetStride(bitmap)
        data = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(bitmap), stride * height)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return Image.frombuffer("RGB", (width, height), data, "raw", "BGRX", stride, 1)
