"""The part of a page picture around what is marked on it."""

from __future__ import annotations

import io

from PIL import Image

from engine.documents import PageImage

MARGIN, LEAST = 0.08, 0.4  # shares of the page's height: above and below the marks, and in all


def around_marks(picture: PageImage) -> bytes:
    """Return a PNG of full width that begins a little above the first mark; the whole page where nothing is marked."""
    if not picture.boxes:
        return picture.png
    top = max(0.0, min(box[1] for box in picture.boxes) - MARGIN)
    bottom = min(1.0, max(top + LEAST, max(box[3] for box in picture.boxes) + MARGIN))
    top = max(0.0, min(top, bottom - LEAST))
    with Image.open(io.BytesIO(picture.png)) as page:
        part = page.crop((0, round(top * page.height), page.width, round(bottom * page.height)))
    out = io.BytesIO()
    part.save(out, format="PNG")
    return out.getvalue()
