"""XLSX -> one page a sheet: rows as lines, cached values of formulas, merged cells filled downwards. Streamed, never a tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from engine.documents import Document
from engine.errors import FileTooLarge
from engine.loading.archive import OfficeArchive, core_title
from engine.loading.budget import BUDGET
from engine.loading.csv import add_rows
from engine.loading.failures import reading
from engine.loading.flow import Flow, one_line
from engine.loading.hidden import Hidden
from engine.loading.sheet_values import Formats

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Excel's own limits.
MAX_COLUMNS = 16_384
MAX_ROWS = 1_048_576
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_REFERENCE = re.compile(r"([A-Z]{1,3})\d*")
_WINDOW = 1 << 20
_YES = frozenset({"1", "true"})

Merges = dict[int, list[tuple[int, int]]]


class XlsxLoader:
    """Chart sheets have no cells and are left out; so are hidden sheets, rows and columns, and comments, which is told."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        flow = Flow()
        hidden = Hidden()
        with reading("the spreadsheet"), OfficeArchive(path) as archive:
            main = archive.main_part()
            book = archive.tree(main)
            properties = book.find(_S + "workbookPr")
            from_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
            styles = next((archive.tree(part) for part in archive.targets(main, "/styles")), None)
            cells = _Cells(_shared_strings(archive, main), Formats(styles, from_1904=from_1904), hidden)
            for title, part, seen in _sheets(archive, main, book):
                rows = cells.rows(archive, part, title)
                if not seen:
                    hidden.add("hidden sheets", " ".join(cell for row in rows for cell in row), where=f"sheet {title!r}")
                    continue
                for comments in archive.targets(part, "/comments"):
                    for comment in archive.tree(comments).iter(_S + "comment"):
                        hidden.add("comments", _rich_text(comment), where=f"sheet {title!r}")
                add_rows(flow, rows)
                flow.end_page(section=(title,))
            title = core_title(archive)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=hidden.warnings)


def _sheets(archive: OfficeArchive, main: str, book: etree._Element) -> Iterator[tuple[str, str, bool]]:
    """Yield title, part, and whether the sheet is shown."""
    relations = archive.relations(main)
    sheets = [
        (one_line(node.get("name", "")), node.get(_R + "id", ""), node.get("state", "visible") == "visible")
        for node in book.iter(_S + "sheet")
    ]
    BUDGET.get().check_pages(len(sheets))
    for title, key, seen in sheets:
        kind, part = relations.get(key, ("", ""))
        if kind.endswith("/worksheet"):
            yield title, part, seen


def _stream(archive: OfficeArchive, part: str, *tags: str) -> Iterator[etree._Element]:
    """Yield complete elements and free them again, so that memory does not grow with the sheet."""
    with archive.open(part) as file:
        wanted = [_S + tag for tag in tags]
        for _, node in etree.iterparse(
            file, tag=wanted, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
        ):
            yield node
            node.clear()
            while node.getprevious() is not None:
                del node.getparent()[0]


def _shared_strings(archive: OfficeArchive, main: str) -> list[str]:
    strings: list[str] = []
    chars = 0
    for part in archive.targets(main, "/sharedStrings"):
        for node in _stream(archive, part, "si"):
            strings.append(_rich_text(node))
            chars += len(strings[-1])
            BUDGET.get().check_chars(chars)
    return strings


def _rich_text(node: etree._Element) -> str:
    # <rPh> holds the phonetic reading of Japanese text, which is not part of the cell.
    texts = (text.text or "" for text in node.iter(_S + "t") if text.getparent().tag != _S + "rPh")
    return one_line("".join(texts))


class _Cells:
    """Rows of one sheet after the other, with the strings and formats that all sheets share."""

    def __init__(self, strings: list[str], formats: Formats, hidden: Hidden) -> None:
        self._strings = strings
        self._hidden = hidden
        self._formats = formats

    def rows(self, archive: OfficeArchive, part: str, title: str) -> Iterator[list[str]]:
        """Yield the rows of a sheet without what is hidden in it."""
        merges = _scan(archive, part)
        columns: list[tuple[int, int]] = []
        held: dict[int, tuple[int, str]] = {}
        chars = number = 0
        for node in _stream(archive, part, "col", "row"):
            if node.tag == _S + "col":
                columns += _hidden_columns(node)
                continue
            given = node.get("r", "")
            number = int(given) if given.isdigit() else number + 1
            row = self._seen(self._row(node), node, columns, where=f"sheet {title!r}")
            for column, last in merges.get(number, ()) if merges else ():
                held[column] = (last, row[column] if column < len(row) else "")
            for column, (last, value) in list(held.items()) if held else ():
                if number > last:
                    del held[column]
                elif value and not (column < len(row) and row[column]):
                    row += [""] * (column + 1 - len(row))
                    row[column] = value
            chars += sum(map(len, row))
            BUDGET.get().check_chars(chars)
            yield row

    def _seen(self, row: list[str], node: etree._Element, columns: list[tuple[int, int]], *, where: str) -> list[str]:
        """Return the cells that are shown, the others empty; hidden ones are noted."""
        if node.get("hidden") in _YES:
            self._hidden.add("hidden rows", " ".join(row), where=where)
            return []
        for first, last in columns:
            self._hidden.add("hidden columns", " ".join(row[first : last + 1]), where=where)
            row[first : last + 1] = [""] * len(row[first : last + 1])
        return row

    def _row(self, node: etree._Element) -> list[str]:
        row: list[str] = []
        for cell in node.iterchildren(_S + "c"):
            found = _REFERENCE.match(cell.get("r", ""))
            column = column_index(found[1]) if found else len(row)
            if value := self._value(cell):
                row += [""] * (min(column, MAX_COLUMNS) + 1 - len(row))
                row[min(column, MAX_COLUMNS)] = value
        return row

    def _value(self, cell: etree._Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _rich_text(cell)
        value = cell.findtext(_S + "v") or ""
        if kind == "s":
            return self._strings[int(value)] if value.isdigit() and int(value) < len(self._strings) else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        return self._formats.show(value, cell.get("s", "")) if kind == "n" and value else one_line(value)


def _hidden_columns(node: etree._Element) -> list[tuple[int, int]]:
    first, last = node.get("min", ""), node.get("max", "")
    told = node.get("hidden") in _YES and first.isdigit() and last.isdigit()
    return [(int(first) - 1, int(last) - 1)] if told else []


def column_index(letters: str) -> int:
    """Return the index, from 0, of the column named `letters` ("A" = 0, "AA" = 26)."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def _scan(archive: OfficeArchive, part: str) -> Merges:
    """Return first row -> [(column, last row)] of the vertical merges, which the file names only after its rows.

    Raises FileTooLarge when there are more rows than the format allows, before any of them is parsed.
    """
    found: Merges = {}
    tail = b""
    rows = 0
    with archive.open(part) as file:
        while chunk := file.read(_WINDOW):
            rows += chunk.count(b"<row")
            if rows > MAX_ROWS:
                raise FileTooLarge(f"a sheet has more than {MAX_ROWS:,} rows")
            window = tail + chunk
            last = 0
            for match in _MERGE.finditer(window):
                left, top, _, bottom = (group.decode() for group in match.groups())
                if int(top) < int(bottom) <= MAX_ROWS:
                    found.setdefault(int(top), []).append((column_index(left), int(bottom)))
                last = match.end()
            tail = window[max(last, len(window) - 200) :]
    return found
