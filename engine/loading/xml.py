"""XML -> its text with its structure: elements as headings and "name: text" lines, lists of flat elements as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from engine.documents import Document
from engine.errors import BrokenFile
from engine.loading.archive import xml_parser
from engine.loading.budget import BUDGET
from engine.loading.failures import reading
from engine.loading.flow import MAX_TITLE_CHARS, Flow, clean, one_line
from engine.loading.records import MAX_HEADINGS, add_table, table_of

MEDIA_TYPE = "application/xml"
# Names of running text in the common vocabularies (DocBook, JATS, TEI, DITA, RSS): prose, not fields.
_PROSE = frozenset({"p", "para", "simpara", "li", "item", "listitem", "ab", "l", "quote", "note", "description", "text"})
_TITLES = frozenset({"title", "head", "heading"})


class XmlLoader:
    """Entities are refused, a document type is neither fetched nor applied; comments and instructions are left out."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        BUDGET.get().check_chars(path.stat().st_size // 4)
        flow = Flow()
        with reading("the XML file"):
            data = path.read_bytes()
            if not data.strip():
                return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages())
            root = etree.fromstring(data, xml_parser())
            dtd = root.getroottree().docinfo.internalDTD
            if dtd is not None and next(iter(dtd.iterentities()), None) is not None:
                raise BrokenFile(
                    "the file defines XML entities, which may pull in other files",
                    hint="Save it with its entities written out, and upload that copy.",
                )
            _Reader(flow).read(root)
        title = next((_words(node) for node in root.iter("{*}title")), "")[:MAX_TITLE_CHARS]
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title)


class _Reader:
    """Walks without recursion; an element is a record, a field, prose, or a section by what is in it."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._headings = 0

    def read(self, root: etree._Element) -> None:
        stack: list[tuple[etree._Element, int]] = [(root, 1)]
        while stack:
            node, level = stack.pop()
            if not isinstance(node.tag, str):
                self._prose(node.text or "")  # an entity reference that nothing defines
                continue
            children = [child for child in node if isinstance(child.tag, str)]
            if not children or _is_mixed(node):
                self._leaf(node, level)
                continue
            self._heading(node, level)
            if rows := _table(children):
                add_table(self._flow, rows)
                continue
            stack.extend((child, level + 1) for child in reversed(children))

    def _leaf(self, node: etree._Element, level: int) -> None:
        name, text = _name(node), _words(node)
        fields = "; ".join(f"{_local(str(key))}: {one_line(str(value))}" for key, value in node.attrib.items())
        if name.lower() in _TITLES and text and self._may_head():
            self._flow.add(text[:MAX_TITLE_CHARS], kind="heading", level=min(6, max(1, level - 1)))
        elif name.lower() in _PROSE or _is_mixed(node):
            self._prose(text)
        elif text or fields:
            self._prose(f"{name}: {text}" + (f" ({fields})" if text and fields else fields))

    def _prose(self, text: str) -> None:
        if text.strip():
            self._flow.add(clean(text).strip())

    def _heading(self, node: etree._Element, level: int) -> None:
        named = [f"{_local(str(key))}: {one_line(str(value))}" for key, value in node.attrib.items()]
        if self._may_head():
            self._flow.add(_name(node)[:MAX_TITLE_CHARS], kind="heading", level=min(6, level))
        else:
            self._flow.add("")
            self._flow.add(f"{_name(node)}:")
        if named:
            self._flow.add("; ".join(named))

    def _may_head(self) -> bool:
        self._headings += 1
        return self._headings <= MAX_HEADINGS


def _table(children: Sequence[etree._Element]) -> list[list[str]] | None:
    """Return the children as rows when they are records of one name whose fields are plain text."""
    if len(children) < 2 or len({child.tag for child in children}) > 1:
        return None
    records: list[object] = []
    for child in children:
        record = {_local(str(key)): str(value) for key, value in child.attrib.items()}
        for field in child:
            if not isinstance(field.tag, str) or len(field) or field.attrib or _name(field) in record:
                return None
            record[_name(field)] = field.text or ""
        if (child.text or "").strip():
            return None
        records.append(record)
    return table_of(records)


def _is_mixed(node: etree._Element) -> bool:
    return len(node) > 0 and (bool((node.text or "").strip()) or any((child.tail or "").strip() for child in node))


def _words(node: etree._Element) -> str:
    return one_line("".join(str(part) for part in node.itertext()))


def _name(node: etree._Element) -> str:
    return _local(str(node.tag))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
