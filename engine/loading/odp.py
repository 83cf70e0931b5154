"""ODP -> one page a slide: its title, text of all shapes, tables, then the notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from engine.documents import Document
from engine.loading.archive import OfficeArchive
from engine.loading.budget import BUDGET
from engine.loading.failures import reading
from engine.loading.flow import Flow, one_line
from engine.loading.hidden import Hidden
from engine.loading.odf import DRAW, PRESENTATION, TABLE, TEXT, Reader, Styles, content, is_shown, title_of

MEDIA_TYPE = "application/vnd.oasis.opendocument.presentation"


class OdpLoader:
    """Hidden slides keep their page, empty, so that the numbers of the others are those of their slides."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        flow, hidden = Flow(), Hidden()
        with reading("the presentation"), OfficeArchive(path) as archive:
            root = content(archive)
            reader = Reader(flow, Styles(root), hidden)
            slides = list(root.iter(DRAW + "page"))
            BUDGET.get().check_pages(len(slides))
            for number, slide in enumerate(slides, start=1):
                flow.forget_headings()
                if is_shown(slide, root):
                    _slide(flow, reader, slide, where=f"slide {number}")
                else:
                    hidden.add("hidden slides", " ".join(map(str, slide.itertext())), where=f"slide {number}")
                flow.end_page()
            title = title_of(archive)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=hidden.warnings)


def _slide(flow: Flow, reader: Reader, slide: etree._Element, *, where: str) -> None:
    for shape in _shapes(slide):
        if shape.get(PRESENTATION + "class") == "title":
            if title := one_line(" ".join(reader.text(one, where) for one in shape.iter(TEXT + "p"))):
                flow.add(title, kind="heading", level=1)
        elif shape.tag != DRAW + "frame":
            reader.read(shape, where=where)
        else:
            for table in shape.iterchildren(TABLE + "table"):
                reader.table(table, where)
            for box in shape.iterchildren(DRAW + "text-box"):
                reader.read(box, where=where)
    for notes in slide.iterchildren(PRESENTATION + "notes"):
        reader.read(notes, where=where)


def _shapes(slide: etree._Element) -> Iterator[etree._Element]:
    """Yield frames and drawn shapes, also those in groups; titles first."""
    kinds = (DRAW + name for name in ("frame", "custom-shape", "rect", "ellipse"))
    frames = [node for node in slide.iter(*kinds) if next(node.iterancestors(PRESENTATION + "notes"), None) is None]
    yield from sorted(frames, key=lambda node: node.get(PRESENTATION + "class") != "title")
