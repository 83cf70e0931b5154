"""Plain text -> pages of the text as it is; only its encoding is found out."""

from __future__ import annotations

from pathlib import Path

from engine.documents import Document
from engine.loading.encoding import read_text
from engine.loading.flow import Flow

MEDIA_TYPE = "text/plain"


class TextLoader:
    """One page, or several above `flow.MAX_PAGE_CHARS`."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        flow = Flow()
        flow.add(text)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), warnings=warnings)
