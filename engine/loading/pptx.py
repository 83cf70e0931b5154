"""PPTX -> one page a slide: title, text of all shapes (grouped ones too), tables, speaker notes. Read from the XML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from engine.documents import Document
from engine.errors import BrokenFile
from engine.loading.archive import OfficeArchive, core_title
from engine.loading.budget import BUDGET
from engine.loading.csv import header_row
from engine.loading.failures import reading
from engine.loading.flow import MAX_TITLE_CHARS, Flow, clean, one_line, row_line
from engine.loading.hidden import Hidden
from engine.loading.pptx_hidden import hidden_reason, is_hidden, slide_size

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TITLES = frozenset({"title", "ctrTitle"})
_DECORATION = frozenset({"ftr", "sldNum", "hdr", "sldImg"})
_GENERIC_TITLE = re.compile(r"(powerpoint )?presentation|slide \d+", re.IGNORECASE)


class PptxLoader:
    """Hidden slides, hidden shapes, footers and automatic fields (date, slide number) are left out."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        flow = Flow()
        warnings: list[str] = []
        hidden = Hidden()
        with reading("the presentation"), OfficeArchive(path) as archive:
            main = archive.main_part()
            show = archive.tree(main)
            size = slide_size(show)
            slides = list(_slides(archive, main, show))
            BUDGET.get().check_pages(len(slides))
            for number, part in enumerate(slides, start=1):
                try:
                    _slide(flow, archive, part, size, hidden, where=f"slide {number}")
                except (BrokenFile, etree.XMLSyntaxError):
                    warnings.append(f"slide {number} is damaged and was not read whole")
                    flow.end_page()
            title = core_title(archive)
        title = "" if _GENERIC_TITLE.fullmatch(title) else title
        return Document(
            name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=(*warnings, *hidden.warnings)
        )


def _slides(archive: OfficeArchive, main: str, show: etree._Element) -> Iterator[str]:
    relations = archive.relations(main)
    for entry in show.iter(_P + "sldId"):
        key = entry.get(_R + "id", "")
        if key in relations:
            yield relations[key][1]


def _slide(flow: Flow, archive: OfficeArchive, part: str, size: tuple[int, int], hidden: Hidden, *, where: str) -> None:
    flow.forget_headings()
    root = archive.tree(part)
    if is_hidden(root):
        # Its page stays, empty, so that the numbers of the others are those of their slides.
        hidden.add("hidden slides", " ".join(_text(shape) for shape in _shapes(root)), where=where)
        flow.end_page()
        return
    title = ""
    for shape in _shapes(root):
        if reason := hidden_reason(shape, size):
            hidden.add(reason, _text(shape), where=where)
            continue
        if shape.tag == _P + "graphicFrame":
            _frame(flow, shape)
            continue
        text = _text(shape)
        if text and not title and _placeholder(shape) in _TITLES:
            title = one_line(text)[:MAX_TITLE_CHARS]
            flow.add(one_line(text), kind="heading", level=1)
        elif text:
            flow.add(text)
    for notes in archive.targets(part, "/notesSlide"):
        for shape in _shapes(archive.tree(notes)):
            if text := _text(shape):
                flow.add(f"Notes: {text}")
    picture = next(root.iter(_P + "pic"), None) is not None
    flow.end_page(section=(title,) if title else (), has_image=picture)


def _shapes(root: etree._Element) -> Iterator[etree._Element]:
    """Yield shapes and graphic frames in the order of the file; groups are looked into."""
    stack = list(reversed(root))
    while stack:
        node = stack.pop()
        if node.tag in {_P + "sp", _P + "graphicFrame"}:
            if _placeholder(node) not in _DECORATION:
                yield node
        elif node.tag != _FALLBACK:
            stack.extend(reversed(node))


def _placeholder(shape: etree._Element) -> str:
    mark = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return mark.get("type", "body") if mark is not None else ""


def _text(node: etree._Element) -> str:
    lines = []
    for paragraph in node.iter(_A + "p"):
        found = (run for run in paragraph.iter(_A + "t", _A + "br") if run.getparent().tag != _A + "fld")
        runs = ("\n" if run.tag == _A + "br" else run.text or "" for run in found)
        if line := clean("".join(runs)).strip():
            lines.append(line)
    return "\n".join(lines)


def _frame(flow: Flow, frame: etree._Element) -> None:
    tables = list(frame.iter(_A + "tbl"))
    for table in tables:
        rows = [[_text(cell) for cell in row.iter(_A + "tc")] for row in table.iter(_A + "tr")]
        marked = table.find(_A + "tblPr")
        first = marked is not None and marked.get("firstRow") in {"1", "true"}
        found = 0 if first and rows else header_row(rows[:50])
        flow.add_table([row_line(row) for row in rows], header=row_line(rows[found]) if found is not None else "")
    if not tables and (text := _text(frame)):
        flow.add(text)
