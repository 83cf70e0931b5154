"""EPUB (2 and 3) -> one page for each document of the book, in reading order, read like web pages."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from lxml import etree

from engine.documents import Document
from engine.errors import BrokenFile, UnsupportedFile
from engine.loading.archive import OfficeArchive
from engine.loading.budget import BUDGET
from engine.loading.encoding import decode
from engine.loading.failures import reading
from engine.loading.flow import MAX_TITLE_CHARS, Flow, one_line
from engine.loading.hidden import Hidden
from engine.loading.html import read_html

MEDIA_TYPE = "application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
# XHTML may close any element at once; to an HTML parser these would stay open and swallow the rest of the page.
_CLOSED_AT_ONCE = re.compile(r"<(title|script|style|textarea|iframe|noscript|a|div|p|span|i|b|em|td|h[1-6])\b([^<>]*)/>", re.I)
_PAGES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document", ""})


class EpubLoader:
    """Pages that the book keeps out of its reading order (`linear="no"`) are read where they stand."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        flow, hidden = Flow(), Hidden()
        warnings: list[str] = []
        with reading("the book"), OfficeArchive(path) as archive:
            package_part = _package_part(archive)
            _refuse_locked(archive)
            package = archive.tree(package_part)
            spine = list(_spine(package, posixpath.dirname(package_part)))
            BUDGET.get().check_pages(len(spine))
            for number, part in enumerate(spine, start=1):
                if part not in archive:
                    warnings.append(f"chapter file {number} is missing in the book")
                    flow.end_page()
                    continue
                with archive.open(part) as file:
                    text, lost = decode(file.read())
                warnings += lost
                read_html(_CLOSED_AT_ONCE.sub(r"<\1\2></\1>", text), flow, hidden, where=f"page {number}")
                flow.end_page(has_image=flow.empty and "<im" in text.lower())
            title = next((one_line(str(node.text or "")) for node in package.iter("{*}title")), "")[:MAX_TITLE_CHARS]
        return Document(
            name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=(*warnings, *hidden.warnings)
        )


def _package_part(archive: OfficeArchive) -> str:
    for node in archive.tree(_CONTAINER).iter("{*}rootfile"):
        given = unquote(str(node.get("full-path", "")))
        part = posixpath.normpath(given)
        if part.startswith(("/", "..")) or "\\" in part:
            raise BrokenFile("the book points to a file outside of itself")
        return part
    raise BrokenFile("the book does not name its contents")


def _refuse_locked(archive: OfficeArchive) -> None:
    """Raises UnsupportedFile when more than fonts is encrypted."""
    if _ENCRYPTION in archive:
        for node in archive.tree(_ENCRYPTION).iter("{*}EncryptionMethod"):
            if node.get("Algorithm") not in _FONTS:
                raise UnsupportedFile("the book is protected against copying (DRM)", hint="ask its publisher for a free copy")


def _spine(package: etree._Element, folder: str) -> Iterator[str]:
    items = {
        str(node.get("id", "")): (str(node.get("href", "")), str(node.get("media-type", "")))
        for node in package.iter("{*}item")
    }
    for node in package.iter("{*}itemref"):
        href, kind = items.get(str(node.get("idref", "")), ("", ""))
        part = posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))
        if href and kind in _PAGES and not part.startswith(("/", "..")):
            yield part
