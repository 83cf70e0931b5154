"""PDFium behind three small calls: open a file, load a page, read a page's characters. Not thread-safe, like PDFium itself."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pypdfium2.raw as pdfium

from engine.errors import BrokenFile, FileTooLarge, PasswordNeeded, UnsupportedFile
from engine.loading.memory_file import MemoryFile

MAX_PAGE_CHARS = 2_000_000


@contextmanager
def open_pdf(path: Path, *, password: str | None = None) -> Iterator[Any]:
    """Yield a document handle. Raises PasswordNeeded, UnsupportedFile, BrokenFile."""
    pdfium.FPDF_InitLibrary()
    secret = password.encode() if password else None
    if isinstance(path, MemoryFile):
        data = path.read_bytes()  # PDFium reads on from it until the document is closed
        document = pdfium.FPDF_LoadMemDocument64(data, len(data), secret)
    else:
        document = pdfium.FPDF_LoadDocument(str(path).encode(), secret)
    if not document:
        _refuse(pdfium.FPDF_GetLastError(), given=bool(password))
    try:
        yield document
    finally:
        pdfium.FPDF_CloseDocument(document)


def _refuse(code: int, *, given: bool) -> NoReturn:
    if code == pdfium.FPDF_ERR_PASSWORD:
        raise PasswordNeeded("the password does not open this PDF" if given else "the PDF is protected by a password")
    if code == pdfium.FPDF_ERR_SECURITY:
        raise UnsupportedFile("the PDF uses an encryption that we cannot open", hint="save a copy without protection")
    raise BrokenFile("the PDF is damaged and cannot be opened")


@contextmanager
def open_page(document: Any, index: int) -> Iterator[Any]:
    """Yield the handle of page `index` (from 0), or None when PDFium cannot load it."""
    page = pdfium.FPDF_LoadPage(document, index)
    try:
        yield page
    finally:
        if page:
            pdfium.FPDF_ClosePage(page)


@contextmanager
def open_text(page: Any) -> Iterator[Any]:
    """Yield the text page of a page handle. Raises BrokenFile."""
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        raise BrokenFile("the text of a PDF page cannot be read")
    try:
        yield text_page
    finally:
        pdfium.FPDFText_ClosePage(text_page)


def raw_text(text_page: Any) -> str:
    """Return PDFium's own text of the page; its UTF-16 units are what FPDFText_GetCharIndexFromTextIndex counts."""
    count = pdfium.FPDFText_CountChars(text_page)
    if count <= 0:
        return ""
    if count > MAX_PAGE_CHARS:
        raise FileTooLarge(f"one page holds more than {MAX_PAGE_CHARS:,} characters")
    buffer = ctypes.create_string_buffer((count + 1) * 2)
    units = pdfium.FPDFText_GetText(text_page, 0, count, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)))
    return buffer.raw[: max(0, units - 1) * 2].decode("utf-16-le", "surrogatepass")


def wide_string(call: Callable[[Any, int], int], *, kind: Any = None) -> str:
    """Return the string of a PDFium getter `call(buffer, size in bytes) -> size in bytes`; `kind` is its buffer type."""
    size = call(None, 0)
    if size <= 2 or size > 1 << 20:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(ctypes.cast(buffer, kind) if kind else buffer, size)
    return buffer.raw[: size - 2].decode("utf-16-le", "ignore").replace("\0", "")
