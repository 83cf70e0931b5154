"""ODS -> one page a sheet: rows as lines, values as they are shown."""

from __future__ import annotations

from pathlib import Path

from engine.documents import Document
from engine.loading.archive import OfficeArchive
from engine.loading.csv import add_rows
from engine.loading.failures import reading
from engine.loading.flow import Flow, one_line
from engine.loading.hidden import Hidden
from engine.loading.odf import OFFICE, TABLE, Reader, Styles, content, is_shown, title_of

MEDIA_TYPE = "application/vnd.oasis.opendocument.spreadsheet"


class OdsLoader:
    """Hidden sheets and rows, and comments, are left out, which is told."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        flow, hidden = Flow(), Hidden()
        with reading("the spreadsheet"), OfficeArchive(path) as archive:
            root = content(archive)
            reader = Reader(flow, Styles(root), hidden)
            for book in root.iter(OFFICE + "spreadsheet"):
                for sheet in book.iterchildren(TABLE + "table"):
                    title = one_line(str(sheet.get(TABLE + "name", "")))
                    rows = reader.rows(sheet, f"sheet {title!r}")
                    if is_shown(sheet, root):
                        add_rows(flow, rows)
                        flow.end_page(section=(title,))
                    else:
                        hidden.add("hidden sheets", " ".join(cell for row in rows for cell in row), where=f"sheet {title!r}")
            title = title_of(archive)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title=title, warnings=hidden.warnings)
