"""PDF -> pages with exact character offsets, by PDFium."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import pypdfium2.raw as pdfium

from engine.documents import Document, Page
from engine.loading.budget import BUDGET
from engine.loading.flow import MAX_TITLE_CHARS, one_line
from engine.loading.hidden import Hidden
from engine.loading.pdf_file import open_page, open_pdf, wide_string
from engine.loading.pdf_hidden import PICTURE_SHARE
from engine.loading.pdf_outline import Sections, bookmarks
from engine.loading.pdf_text import form_environment, read_page

MEDIA_TYPE = "application/pdf"
_TOOL_PREFIX = re.compile(r"^Microsoft (Word|PowerPoint|Excel) - ", re.IGNORECASE)
_NO_TITLE = re.compile(
    r"^(untitled|document\d*|presentation\d*|slide \d+)$|\.(pdf|docx?|pptx?|xlsx?|indd|qxd|tex|dvi|html?)$", re.I
)


class PdfLoader:
    """Every page of the file is a page; scans come back without text and with `has_image`."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        budget = BUDGET.get()
        pages: list[Page] = []
        warnings: list[str] = []
        hidden = Hidden()
        with open_pdf(path, password=password) as document, form_environment(document) as form:
            count = pdfium.FPDF_GetPageCount(document)
            budget.check_pages(count)
            sections = Sections(bookmarks(document))
            chars = 0
            for index in range(count):
                with open_page(document, index) as handle:
                    if not handle:
                        warnings.append(f"page {index + 1} is damaged and was left empty")
                    page = _page(handle, index, form, sections, hidden) if handle else Page(number=index + 1, text="")
                chars += len(page.text)
                budget.check_chars(chars)
                pages.append(page)
            title = _title(document)
        return Document(
            name=name, media_type=MEDIA_TYPE, pages=tuple(pages), title=title, warnings=(*warnings, *hidden.warnings)
        )


def _page(handle: Any, index: int, form: Any, sections: Sections, hidden: Hidden) -> Page:
    read = read_page(handle, form=form)
    text = read.text
    for reason, unseen in read.hidden:
        hidden.add(reason, unseen, where=f"page {index + 1}")
    path, blocks = sections.of(index, text, height=pdfium.FPDF_GetPageHeightF(handle))
    headed = [table for table in read.tables if all(one.end <= table.start or table.end <= one.start for one in blocks)]
    blocks = tuple(sorted((*blocks, *headed), key=lambda block: block.start))
    lettered = any(character.isalpha() for character in text)
    picture = not lettered and _has_image(handle, of=0.0 if not any(map(str.isalnum, text)) else PICTURE_SHARE)
    return Page(number=index + 1, text=text, section=path, blocks=blocks, has_image=picture)


def _has_image(page: Any, *, of: float) -> bool:
    """Return whether a picture covers more than this share of the page."""
    area = pdfium.FPDF_GetPageWidthF(page) * pdfium.FPDF_GetPageHeightF(page)
    objects = [(pdfium.FPDFPage_GetObject(page, i), 0) for i in range(min(pdfium.FPDFPage_CountObjects(page), 1000))]
    while objects:
        one, depth = objects.pop()
        kind = pdfium.FPDFPageObj_GetType(one)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE and _area(one) >= of * area:
            return True
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < 3:
            count = min(pdfium.FPDFFormObj_CountObjects(one), 1000)
            objects += [(pdfium.FPDFFormObj_GetObject(one, i), depth + 1) for i in range(count)]
    return False


def _area(one: Any) -> float:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    known = pdfium.FPDFPageObj_GetBounds(one, left, bottom, right, top)
    return (right.value - left.value) * (top.value - bottom.value) if known else 0.0


def _title(document: Any) -> str:
    found = wide_string(lambda buffer, size: pdfium.FPDF_GetMetaText(document, b"Title", buffer, size))
    title = _TOOL_PREFIX.sub("", one_line(found))[:MAX_TITLE_CHARS]
    readable = sum(character.isalpha() for character in title) >= 4
    return title if readable and not _NO_TITLE.search(title) else ""
