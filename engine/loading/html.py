"""HTML -> what a reader sees: headings, paragraphs, lists, tables, preformatted text; no scripts, styles or hidden parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from engine.documents import Document
from engine.loading.csv import header_row
from engine.loading.encoding import read_text
from engine.loading.flow import CELL_SEPARATOR, MAX_TITLE_CHARS, Flow, one_line, row_line
from engine.loading.hidden import Hidden
from engine.loading.html_hidden import mark_hidden

MEDIA_TYPE = "text/html"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_TAGS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol", "option", "p",
    "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})  # fmt: skip
_DROPPED = frozenset({
    "button", "embed", "head", "iframe", "input", "math", "noscript", "object", "script", "style", "svg", "template",
    "textarea",
})  # fmt: skip
_SPACE = re.compile(r"[ \t\r\n\f]+")


class HtmlLoader:
    """Tables whose cells hold no other table become rows; tables used for layout are read as ordinary text."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        flow, hidden = Flow(), Hidden()
        title = read_html(text, flow, hidden)
        return Document(
            name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=(*warnings, *hidden.warnings)
        )


def read_html(text: str, flow: Flow, hidden: Hidden, *, where: str = "") -> str:
    """Append what a reader of the page sees to `flow`, note the rest in `hidden`, and return its title."""
    tree = LexborHTMLParser(text)
    mark_hidden(tree, hidden, where=where)
    heading = tree.css_first("title")
    if tree.body is not None:
        _Reader(flow).read(tree.body)
    return one_line(heading.text())[:MAX_TITLE_CHARS] if heading is not None else ""


class _Reader:
    """Walks the tree without recursion, so that depth costs nothing, and flushes a line at each block border."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._parts: list[str] = []
        self._in_heading = False
        self._menus: list[LexborNode] = []

    def read(self, root: LexborNode) -> None:
        """Read the body; menus come last, so that they are kept but tear no text apart."""
        self._read(root)
        for menu in self._menus:
            self._read(menu)

    def _read(self, root: LexborNode) -> None:
        for node, entering in _walk(root):
            tag = node.tag or ""
            if tag == "-text":
                self._parts.append(node.text_content or "")
            elif not entering:
                self._leave(tag)
            else:
                self._enter(node, tag)
        self._flush()

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag in _HEADINGS:
            self._flush()
            self._in_heading = True
        elif self._in_heading and (tag in _BLOCK_TAGS or tag == "pre"):
            self._parts.append(" ")
        elif tag in _BLOCK_TAGS or tag == "pre":
            self._flush()
        if tag == "nav":
            self._menus.append(node)
        elif tag == "pre":
            self._code(node)
        elif tag == "table" and _is_data(node):
            self._table(node)
        elif tag == "li":
            self._parts.append("- ")
        elif tag == "img" and (label := node.attributes.get("alt")):
            self._parts.append(f" {label} ")

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._in_heading = False
            self._flush(level=_HEADINGS[tag])
        elif tag in _BLOCK_TAGS and not self._in_heading:
            self._flush()
        if tag == "li":
            self._parts = []

    def _flush(self, *, level: int = 0) -> None:
        line = _SPACE.sub(" ", "".join(self._parts)).strip()
        # The mark of a list item waits for the item's text, which may stand in a paragraph of its own.
        self._parts = ["- "] if line == "-" else []
        if line and line != "-":
            self._flow.add(line, kind="heading" if level else "paragraph", level=level)

    def _code(self, node: LexborNode) -> None:
        if text := _text(node).strip("\n").rstrip():
            self._flow.add(text, kind="code")

    def _table(self, node: LexborNode) -> None:
        rows = [_cells(row) for row in node.css("tr")]
        marked = next((row_line(_cells(row)) for row in node.css("tr") if row.css_first("th") and not row.css_first("td")), "")
        found = header_row(rows[:50])
        header = marked or (row_line(rows[found]) if found is not None else "")
        self._flow.add_table([row_line(row) for row in rows], header=header)


def _is_data(table: LexborNode) -> bool:
    # A selector may match the node itself, so nested tables are told from it by identity.
    nested = any(other.mem_id != table.mem_id for other in table.css("table"))
    return not nested and table.css_first("h1, h2, h3, h4, pre") is None and table.css_first("tr") is not None


def _cells(row: LexborNode) -> list[str]:
    return [one_line(_text(cell)).replace(CELL_SEPARATOR, " / ") for cell in row.iter() if cell.tag in {"td", "th"}]


def _text(root: LexborNode) -> str:
    parts = []
    for node, entering in _walk(root):
        tag = node.tag or ""
        if tag == "-text":
            parts.append(node.text_content or "")
        elif entering and (tag == "br" or (tag in _BLOCK_TAGS and parts)):
            parts.append("\n")
    return "".join(parts)


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Yield (node, entering) in document order below `root`; what readers do not see is left out."""
    stack = [root.first_child]
    parents: list[LexborNode] = []
    while stack:
        node = stack.pop()
        if node is None:
            if parents:
                yield parents.pop(), False
            continue
        stack.append(node.next)
        tag = node.tag or ""
        if tag in _DROPPED or "hidden" in (node.attributes if tag != "-text" else {}):
            continue
        yield node, True
        # What is read as a whole or later is not entered.
        whole = tag in {"pre", "nav"} or (tag == "table" and _is_data(node))
        if tag == "-text" or (whole and root.tag in {"body", "nav"}):
            continue
        parents.append(node)
        stack.append(node.first_child)
