"""ODT -> body text in order with headings, lists and tables; notes come at the end. Pages as the writer last laid them out."""

from __future__ import annotations

from pathlib import Path

from engine.documents import Document
from engine.loading.archive import OfficeArchive
from engine.loading.failures import reading
from engine.loading.flow import Flow
from engine.loading.hidden import Hidden
from engine.loading.odf import OFFICE, Reader, Styles, content, title_of

MEDIA_TYPE = "application/vnd.oasis.opendocument.text"


class OdtLoader:
    """Deleted (tracked) and hidden text, comments, headers and footers are left out."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        flow, hidden = Flow(), Hidden()
        with reading("the text document"), OfficeArchive(path) as archive:
            root = content(archive)
            reader = Reader(flow, Styles(root), hidden)
            for body in root.iter(OFFICE + "text"):
                reader.read(body, paged=True)
            for note in reader.notes:
                flow.add(note)
            title = title_of(archive)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=hidden.warnings)
