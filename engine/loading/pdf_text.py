"""Text of a PDF page with an exact way back: offset in our text -> offset in PDFium's text -> PDFium character index.

Nothing of the mapping is stored: the same page gives the same text again, so boxes are computed from the original when asked.
"""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import pypdfium2.raw as pdfium

from engine.documents import Block
from engine.loading.flow import one_line
from engine.loading.pdf_file import open_text, raw_text, wide_string
from engine.loading.pdf_hidden import hidden_characters, hidden_objects
from engine.loading.pdf_layout import Place, columns_in_order, places
from engine.loading.pdf_tables import tables

# PDFium writes U+FFFE for a hyphen that ends a line and leaves the line end out.
_LINE_HYPHEN = "\ufffe"
_EDIT = re.compile("\r\n?|\ufffe|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_LEFT = re.compile(r"[^\W\d_]+\Z")
_RIGHT = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_COMPOUND_HEADS = frozenset({"co", "cross", "ex", "high", "long", "low", "non", "self", "short", "third", "well"})


@dataclass(frozen=True, slots=True)
class Field:
    """A filled form field: its span in the page text and its rectangle in page coordinates."""

    start: int
    end: int
    rect: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PageText:
    """`text` is what everybody else sees; `kept[i]`/`origins[i]` start a run that is copied from `raw` one to one.

    `hidden` holds (reason, text) of what a reader of the page does not see; it is not in `text`. `reordered`: the runs do not
    follow each other in `raw`.
    """

    text: str
    raw: str
    kept: tuple[int, ...]
    origins: tuple[int, ...]
    fields: tuple[Field, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    reordered: bool = False
    tables: tuple[Block, ...] = ()

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a span that lie in one piece in `raw`: more than one only where columns were put in order."""
        cuts = [cut for cut in self.kept if start < cut < end] if self.reordered else []
        yield from pairwise([start, *cuts, end])

    @property
    def printed(self) -> int:
        """Where the text of form fields begins."""
        return self.fields[0].start if self.fields else len(self.text)

    def raw_offset(self, offset: int) -> int:
        """Return the offset in `raw` of the character at `offset` (below `printed`)."""
        run = bisect_right(self.kept, offset) - 1
        return self.origins[run] + offset - self.kept[run]

    def unit_offset(self, offset: int) -> int:
        """Return the UTF-16 offset in PDFium's text of the character at `offset`."""
        before = self.raw[: self.raw_offset(offset)]
        return len(before.encode("utf-16-le", "surrogatepass")) // 2


def read_page(page: Any, *, form: Any = None) -> PageText:
    """Return the text of a page: what can be seen printed on it, then the values of its form fields."""
    objects = hidden_objects(page)
    with open_text(page) as text_page:
        raw = raw_text(text_page)
        unseen = dict(hidden_characters(text_page, raw, objects)) if objects else {}
        order = columns_in_order(page, text_page, raw)
        printed = _reordered(raw, order, unseen.keys()) if order else tidy(raw, unseen=unseen.keys())
        printed = replace(printed, tables=_tables(printed, places(text_page, raw)))
    if unseen:
        runs = ((key, "".join(raw[at] for at, _ in run)) for key, run in groupby(unseen.items(), key=itemgetter(1)))
        printed = replace(printed, hidden=tuple(runs))
    return _with_fields(printed, page, form) if form else printed


def _tables(printed: PageText, place: Place) -> tuple[Block, ...]:
    return tuple(tables(printed.text, lambda offset: place(printed.raw_offset(offset))))


def _reordered(raw: str, order: Sequence[tuple[int, int, str]], unseen: Collection[int]) -> PageText:
    """Return `raw` tidied with its runs in another order; every character still knows where it came from."""
    parts: list[str] = []
    origins: list[int] = []
    for start, end, glue in order:
        parts += (raw[start:end], glue)
        origins += [*range(start, end), *[min(end, len(raw) - 1)] * len(glue)]
    moved = [new for new, origin in enumerate(origins) if origin in unseen] if unseen else []
    printed = tidy("".join(parts), unseen=moved)
    at = [origins[printed.raw_offset(offset)] for offset in range(len(printed.text))]
    starts = [offset for offset, origin in enumerate(at) if not offset or origin != at[offset - 1] + 1]
    return PageText(printed.text, raw, tuple(starts), tuple(at[start] for start in starts), reordered=True)


def tidy(raw: str, *, unseen: Collection[int] = ()) -> PageText:
    r"""Return `raw` with "\n" line ends, words joined over a line's end, without control characters and what is `unseen`."""
    source = raw
    if unseen:
        raw = "".join("\0" if offset in unseen else character for offset, character in enumerate(raw))
    parts: list[str] = []
    kept, origins = [0], [0]
    length = done = 0
    words: set[str] | None = None
    for match in _EDIT.finditer(raw):
        part, replacement = raw[done : match.start()], ""
        if match[0][0] == "\r":
            replacement = "\n"
        elif match[0] == _LINE_HYPHEN:
            words = words if words is not None else {word.lower() for word in _WORD.findall(raw)}
            replacement = "-" if _is_compound(raw, match.start(), words) else ""
        parts += (part, replacement)
        length += len(part)
        if replacement:
            kept.append(length)
            origins.append(match.start())
            length += 1
        done = match.end()
        kept.append(length)
        origins.append(done)
    return PageText("".join((*parts, raw[done:])), source, tuple(kept), tuple(origins))


def _is_compound(raw: str, at: int, words: set[str]) -> bool:
    """Whether the hyphen at a line's end belongs to the word, judged by the other words of the page."""
    left, right = _LEFT.search(raw[max(0, at - 40) : at]), _RIGHT.match(raw, at + 1)
    if not left or not right:
        return True
    first, second = left[0].lower(), right[0].lower()
    if first + second in words:
        return False
    if f"{first}-{second}" in words or first in _COMPOUND_HEADS or right[0][0].isupper():
        return True
    return len(first) > 3 and len(second) > 3 and first in words - {second} and second in words - {first}


@contextmanager
def form_environment(document: Any) -> Iterator[Any]:
    """Yield PDFium's form handle, or None for a document without a form. No script of the document ever runs."""
    if pdfium.FPDF_GetFormType(document) == pdfium.FORMTYPE_NONE:
        yield None
        return
    config = pdfium.FPDF_FORMFILLINFO(version=2)
    form = pdfium.FPDFDOC_InitFormFillEnvironment(document, config)
    try:
        yield form
    finally:
        if form:
            pdfium.FPDFDOC_ExitFormFillEnvironment(form)


def _with_fields(printed: PageText, page: Any, form: Any) -> PageText:
    text = printed.text
    fields = []
    for line, rect in _filled_fields(page, form):
        text += "\n" if text else ""
        fields.append(Field(len(text), len(text) + len(line), rect))
        text += line
    return replace(printed, text=text, fields=tuple(fields))


def _filled_fields(page: Any, form: Any) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), 10_000)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            unseen = pdfium.FPDFAnnot_GetFlags(annotation) & _UNSEEN
            widget = pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET
            if widget and not unseen and (line := _field_line(form, annotation)):
                yield line, _rect(annotation)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _field_line(form: Any, annotation: Any) -> str:
    wide = ctypes.POINTER(ctypes.c_ushort)
    value = one_line(wide_string(lambda b, n: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, b, n), kind=wide))
    if not value or value == "Off":
        return ""
    name = wide_string(lambda b, n: pdfium.FPDFAnnot_GetFormFieldAlternateName(form, annotation, b, n), kind=wide)
    name = name or wide_string(lambda b, n: pdfium.FPDFAnnot_GetFormFieldName(form, annotation, b, n), kind=wide)
    return f"{one_line(name)}: {value}" if name else value


def _rect(annotation: Any) -> tuple[float, float, float, float]:
    rect = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, rect)
    return rect.left, rect.top, rect.right, rect.bottom
