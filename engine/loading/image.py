"""Images -> pages without text. What stands on them is read afterwards, by `engine.loading.recognise`."""

from __future__ import annotations

from pathlib import Path

from engine.documents import Document, Page
from engine.loading.budget import BUDGET
from engine.loading.image_types import FORMATS
from engine.loading.picture import frames, open_picture

_TYPES = {name: media_type for media_type, name in FORMATS.items()}


class ImageLoader:
    """One page an image; a TIFF has as many as it has frames."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        with open_picture(path) as image:
            media_type = _TYPES[str(image.format)]
            count = frames(image)
            BUDGET.get().check_pages(count)
            image.load()  # one that is cut off is told now, not when it is read
        pages = tuple(Page(number=number, text="", has_image=True) for number in range(1, count + 1))
        return Document(name=name, media_type=media_type, pages=pages)
