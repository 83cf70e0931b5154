"""DOCX -> body text in order: paragraphs, headings, tables, text boxes, notes. Read from the XML, for speed and safety.

Pages are those of Word's last layout where the file remembers it (`w:lastRenderedPageBreak`), else they end at hard page
breaks. A page ends with the paragraph in which the break falls, so that no sentence is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from engine.documents import Document
from engine.loading.archive import OfficeArchive, core_title
from engine.loading.csv import header_row
from engine.loading.docx_hidden import drop_hidden_runs
from engine.loading.failures import reading
from engine.loading.flow import Flow, clean, row_line
from engine.loading.hidden import Hidden

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_P, _TBL, _TR, _TC, _BOX = (_W + tag for tag in ("p", "tbl", "tr", "tc", "txbxContent"))
_CHARS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-", _W + "ptab": "\t"}
_RENDERED, _BREAK = _W + "lastRenderedPageBreak", _W + "br"
_SKIPPED = frozenset(
    {_FALLBACK, _W + "del", _W + "moveFrom", _W + "instrText", _W + "pPr", _W + "rPr", _W + "tblPr", _W + "sdtPr"}
)

_UNSURE = "the file does not tell its page numbers: pages are counted by manual page breaks, so Word may show others"


class DocxLoader:
    """Deleted (tracked) and hidden text, field codes, headers and footers are left out; footnotes come at the end."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        with reading("the Word document"), OfficeArchive(path) as archive:
            main = archive.main_part()
            root = archive.tree(main)
            if _STRICT in root.tag:
                root = _transitional(root)
            hidden = Hidden()
            drop_hidden_runs(root, hidden)
            levels: dict[str, int] = {}
            for part in archive.targets(main, "/styles"):
                levels = heading_levels(archive.tree(part))
            flow = Flow()
            rendered = next(root.iter(_RENDERED), None) is not None
            _Body(flow, levels, rendered=rendered).read(root)
            for kind in ("/footnotes", "/endnotes"):
                for part in archive.targets(main, kind):
                    notes = archive.tree(part)
                    drop_hidden_runs(notes, hidden)
                    _notes(flow, notes)
            title = core_title(archive)
        pages = flow.pages()
        warnings = () if rendered or len(pages) == 1 else (_UNSURE,)
        return Document(name=name, media_type=MEDIA_TYPE, pages=pages, title=title, warnings=(*warnings, *hidden.warnings))


def _transitional(root: etree._Element) -> etree._Element:
    """Return the tree of an ISO "strict" file with the namespace that Word writes by default."""
    for node in root.iter(f"{{{_STRICT}}}*"):
        node.tag = _W + etree.QName(node).localname
        for key in [key for key in node.attrib if str(key).startswith(f"{{{_STRICT}}}")]:
            node.set(_W + etree.QName(key).localname, node.attrib.pop(key))
    return root


def heading_levels(styles: etree._Element) -> dict[str, int]:
    """Return style id -> heading level 1..6, following `basedOn`."""
    own: dict[str, int] = {}
    parent: dict[str, str] = {}
    for style in styles.iter(_W + "style"):
        name = _value(style, "name").lower()
        key = style.get(_W + "styleId", "")
        parent[key] = _value(style, "basedOn")
        outline = _value(style, f"pPr/{_W}outlineLvl")
        if name == "title":
            own[key] = 1
        elif name.startswith("heading ") and name[8:].isdigit():
            own[key] = int(name[8:])
        elif outline.isdigit() and int(outline) < 9:
            own[key] = int(outline) + 1
    found = {}
    for key in parent:
        at, seen = key, {key}
        while at not in own and parent.get(at) and parent[at] not in seen:
            at = parent[at]
            seen.add(at)
        if at in own:
            found[key] = min(6, own[at])
    return found


def _value(node: etree._Element, path: str) -> str:
    found = node.find(_W + path)
    return found.get(_W + "val", "") if found is not None else ""


class _Body:
    """Walks the block level without recursion; content controls and other wrappers are looked through."""

    def __init__(self, flow: Flow, levels: dict[str, int], *, rendered: bool) -> None:
        self._flow = flow
        self._levels = levels
        self._rendered = rendered
        self._aside: list[str] = []

    def read(self, root: etree._Element) -> None:
        for block in _blocks(root):
            if block.tag == _TBL:
                self._table(block)
            else:
                self._paragraph(block)
            if not self._flow.empty or self._aside:
                for _ in range(self._breaks(block)):
                    self._end_page()
        self._add_boxes()

    def _end_page(self) -> None:
        self._add_boxes()
        self._flow.end_page()

    def _add_boxes(self) -> None:
        # Text boxes stand at the end of their page: between two paragraphs they would tear the text apart.
        for text in self._aside:
            self._flow.add(text)
        self._aside = []

    def _paragraph(self, node: etree._Element) -> None:
        if text := paragraph_text(node):
            level = self._level(node)
            self._flow.add(text.replace("\n", " ") if level else text, kind="heading" if level else "paragraph", level=level)
        for box in _boxes(node):
            for inner in _blocks(box):
                if text := paragraph_text(inner) if inner.tag == _P else "\n".join(_rows(inner)[0]):
                    self._aside.append(text)

    def _level(self, node: etree._Element) -> int:
        outline = _value(node, f"pPr/{_W}outlineLvl")
        if outline.isdigit():
            return min(6, int(outline) + 1) if int(outline) < 9 else 0
        return self._levels.get(_value(node, f"pPr/{_W}pStyle"), 0)

    def _table(self, node: etree._Element) -> None:
        rows, header = _rows(node)
        self._flow.add_table(rows, header=header)

    def _breaks(self, block: etree._Element) -> int:
        if self._rendered:
            return sum(1 for _ in block.iter(_RENDERED))
        return sum(1 for mark in block.iter(_BREAK) if mark.get(_W + "type") == "page")


def _blocks(root: etree._Element) -> Iterator[etree._Element]:
    """Yield the paragraphs and tables below `root` that lie in no other one, in document order."""
    stack = list(reversed(root))
    while stack:
        node = stack.pop()
        if node.tag in {_P, _TBL}:
            yield node
        elif node.tag not in _SKIPPED:
            stack.extend(reversed(node))


def _boxes(paragraph: etree._Element) -> Iterator[etree._Element]:
    # Word writes each text box twice: for new readers and, as Fallback, for old ones.
    for box in paragraph.iter(_BOX):
        if next(box.iterancestors(_FALLBACK), None) is None:
            yield box


def paragraph_text(paragraph: etree._Element) -> str:
    """Return the text of one paragraph without that of text boxes anchored in it."""
    parts: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        node = stack.pop()
        tag = node.tag
        if tag == _W + "t":
            parts.append(node.text or "")
        elif tag in _CHARS:
            parts.append("" if node.get(_W + "type") == "page" else _CHARS[tag])
        elif tag not in _SKIPPED and tag != _BOX:
            stack.extend(reversed(node))
    return clean("".join(parts)).strip()


def _rows(table: etree._Element) -> tuple[list[str], str]:
    """Return the rows as lines, and the header row: the one so marked, or one that looks like it."""
    rows: list[list[str]] = []
    header = ""
    for row in table.iterchildren(_TR, _W + "sdt", _W + "customXml"):
        for line in [row] if row.tag == _TR else row.iter(_TR):
            cells = [_cell(cell) for cell in line.iter(_TC) if next(cell.iterancestors(_TR)) is line]
            rows.append(cells)
            if not header and line.find(f"{_W}trPr/{_W}tblHeader") is not None:
                header = row_line(cells)
    found = header_row(rows[:50])
    return [row_line(cells) for cells in rows], header or (row_line(rows[found]) if found is not None else "")


def _cell(cell: etree._Element) -> str:
    return " ".join(text for paragraph in cell.iter(_P) if (text := paragraph_text(paragraph)))


def _notes(flow: Flow, root: etree._Element) -> None:
    for note in root:
        if note.get(_W + "type", "normal") == "normal":
            for paragraph in note.iter(_P):
                if text := paragraph_text(paragraph):
                    flow.add(text)
