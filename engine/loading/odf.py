"""OpenDocument (ISO/IEC 26300) as a zip of XML: paragraphs, lists, tables, and what is not shown. For .odt, .ods and .odp."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from engine.errors import PasswordNeeded
from engine.loading.archive import OfficeArchive
from engine.loading.csv import header_row
from engine.loading.flow import MAX_TITLE_CHARS, Flow, clean, one_line, row_line
from engine.loading.hidden import Hidden, is_white

_SPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
OFFICE, TEXT, TABLE, STYLE, DRAW = (_SPACE % name for name in ("office", "text", "table", "style", "drawing"))
PRESENTATION, FO = _SPACE % "presentation", _SPACE % "xsl-fo-compatible"
MAX_REPEATED = 1_000
MAX_SPACES = 100
MIN_POINTS = 2.0
_SKIPPED = frozenset({
    TEXT + "tracked-changes", TEXT + "note", OFFICE + "annotation", OFFICE + "annotation-end", TEXT + "sequence-decls",
    TEXT + "index-title-template", OFFICE + "forms", PRESENTATION + "notes", TEXT + "ruby-text",
})  # fmt: skip
_HIDDEN_FIELDS = frozenset({TEXT + "hidden-text", TEXT + "hidden-paragraph"})


def content(archive: OfficeArchive) -> etree._Element:
    """Return the root of the content. Raises PasswordNeeded, BrokenFile."""
    manifest = "META-INF/manifest.xml"
    if manifest in archive and next(archive.tree(manifest).iter("{*}encryption-data"), None) is not None:
        raise PasswordNeeded(
            "this OpenDocument file is protected by a password", hint="Save a copy without one and upload that."
        )
    return archive.tree("content.xml")


def title_of(archive: OfficeArchive) -> str:
    """Return the title of the document's properties, or ""."""
    if "meta.xml" not in archive:
        return ""
    node = archive.tree("meta.xml").find(".//{http://purl.org/dc/elements/1.1/}title")
    return one_line(str(node.text or ""))[:MAX_TITLE_CHARS] if node is not None else ""


class Styles:
    """Which styles hide their text, and why; "" for the others."""

    def __init__(self, root: etree._Element) -> None:
        self._reasons = {
            str(style.get(STYLE + "name", "")): _reason(style)
            for style in root.iter(STYLE + "style")
            if style.find(STYLE + "text-properties") is not None or style.find(STYLE + "section-properties") is not None
        }

    def reason(self, node: etree._Element) -> str:
        """Return why a span, paragraph or section is not seen."""
        if node.tag in _HIDDEN_FIELDS and node.get(TEXT + "is-hidden", "true") == "true":
            return "text formatted as hidden"
        if node.tag == TEXT + "section" and node.get(TEXT + "display", "true") != "true":
            return "hidden sections"
        if node.get(TABLE + "display") == "false":
            return "hidden tables"
        return self._reasons.get(str(node.get(TEXT + "style-name", "")), "")


def _reason(style: etree._Element) -> str:
    properties = style.find(STYLE + "text-properties")
    if properties is None:
        return ""
    if properties.get(TEXT + "display") in {"none", "condition"}:
        return "text formatted as hidden"
    size = str(properties.get(FO + "font-size", ""))
    if size.endswith("pt") and size[:-2].replace(".", "", 1).isdigit() and float(size[:-2]) < MIN_POINTS:
        return "text too small to see"
    ground = {str(node.get(FO + "background-color", "transparent")) for node in style}
    return "white text" if is_white(str(properties.get(FO + "color", ""))) and ground <= {"transparent", "#ffffff"} else ""


class Reader:
    """Reads the block level below a node; wrappers are looked through, depth is bounded by the XML parser."""

    def __init__(self, flow: Flow, styles: Styles, hidden: Hidden) -> None:
        self._flow = flow
        self._styles = styles
        self._hidden = hidden
        self.notes: list[str] = []

    def read(self, root: etree._Element, *, where: str = "", paged: bool = False) -> None:
        """Append all blocks; with `paged`, the page ends after the block in which the last layout broke it."""
        stack = [(node, "") for node in reversed(root)]
        while stack:
            node, mark = stack.pop()
            if node.tag in _SKIPPED or not isinstance(node.tag, str):
                continue
            if node.tag == TEXT + "soft-page-break":
                if paged and not self._flow.empty:
                    self._flow.end_page()
            elif reason := self._styles.reason(node):
                self._hidden.add(reason, " ".join(map(str, node.itertext())), where=where)
            elif node.tag in {TEXT + "p", TEXT + "h"}:
                self._paragraph(node, mark, where)
                stack.extend((box, "") for box in reversed(list(_boxes(node))))
                if paged and not self._flow.empty and next(node.iter(TEXT + "soft-page-break"), None) is not None:
                    self._flow.end_page()
            elif node.tag == TABLE + "table":
                self.table(node, where)
            else:
                inner = "- " if node.tag == TEXT + "list-item" else mark
                stack.extend((child, inner) for child in reversed(node))

    def _paragraph(self, node: etree._Element, mark: str, where: str) -> None:
        text = self.text(node, where)
        if not text:
            return
        if node.tag == TEXT + "h":
            level = str(node.get(TEXT + "outline-level", "1"))
            self._flow.add(one_line(text), kind="heading", level=min(6, max(1, int(level))) if level.isdigit() else 1)
        else:
            self._flow.add(mark + text)

    def text(self, node: etree._Element, where: str) -> str:
        """Return the text of one paragraph without that of boxes and notes; notes are kept for the end."""
        parts = [str(node.text or "")]
        stack = list(reversed(node))
        while stack:
            at = stack.pop()
            if isinstance(at, str):
                parts.append(at)
                continue
            if at.tail:
                stack.append(at.tail)
            if at.tag == TEXT + "note":
                body = at.find(TEXT + "note-body")
                self.notes += [one_line("".join(map(str, body.itertext())))] if body is not None else []
            elif not isinstance(at.tag, str) or at.tag in _SKIPPED or at.tag == DRAW + "frame":
                continue
            elif at.tag == TEXT + "s":
                count = str(at.get(TEXT + "c", "1"))
                parts.append(" " * min(MAX_SPACES, int(count) if count.isdigit() else 1))
            elif at.tag in {TEXT + "tab", TEXT + "line-break"}:
                parts.append("\t" if at.tag == TEXT + "tab" else "\n")
            elif reason := self._styles.reason(at):
                self._hidden.add(reason, "".join(map(str, at.itertext())), where=where)
            else:
                stack.extend(reversed(at))
                if at.text:
                    stack.append(at.text)
        return clean("".join(parts)).strip()

    def rows(self, table: etree._Element, where: str) -> Iterator[list[str]]:
        """Yield the rows of a table; repeated empty ones, which fill a sheet to its end, only once."""
        for row in table.iter(TABLE + "table-row"):
            if next(row.iterancestors(TABLE + "table")) is not table:
                continue
            cells: list[str] = []
            for cell in row.iterchildren(TABLE + "table-cell", TABLE + "covered-table-cell"):
                text = "\n".join(filter(None, (self.text(one, where) for one in cell.iter(TEXT + "p", TEXT + "h"))))
                cells += [text] * (_repeated(cell, "columns") if text else min(_repeated(cell, "columns"), 50))
            if row.get(TABLE + "visibility", "visible") != "visible":
                self._hidden.add("hidden rows", " ".join(cells), where=where)
                continue
            for _ in range(_repeated(row, "rows") if any(cells) else 1):
                yield cells

    def table(self, node: etree._Element, where: str) -> None:
        """Append a table of running text."""
        rows = list(self.rows(node, where))
        marked = node.find(f"{TABLE}table-header-rows/{TABLE}table-row")
        found = 0 if marked is not None and rows else header_row(rows[:50])
        self._flow.add_table([row_line(row) for row in rows], header=row_line(rows[found]) if found is not None else "")


def _boxes(paragraph: etree._Element) -> Iterator[etree._Element]:
    for box in paragraph.iter(DRAW + "text-box"):
        if next(box.iterancestors(DRAW + "text-box"), None) is None:
            yield from box


def _repeated(node: etree._Element, kind: str) -> int:
    count = str(node.get(f"{TABLE}number-{kind}-repeated", "1"))
    return min(MAX_REPEATED, max(1, int(count))) if count.isdigit() and len(count) < 9 else 1


def is_shown(node: etree._Element, root: etree._Element) -> bool:
    """Whether a sheet or slide is shown, by its automatic style."""
    name = node.get(TABLE + "style-name") or node.get(DRAW + "style-name")
    for style in root.iter(STYLE + "style"):
        if style.get(STYLE + "name") == name:
            for properties in style:
                if properties.get(TABLE + "display") == "false" or properties.get(PRESENTATION + "visibility") == "hidden":
                    return False
    return True
