"""One page of a file -> its picture -> its text in reading order. Runs inside the child of `engine.loading.process`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from engine.errors import BrokenFile
from engine.loading.ocr import Seen
from engine.loading.picture import open_picture, upright
from engine.loading.reading_order import reading_order

PAGE_INCHES = 13.0
"""An image that tells no size is read as if its longer side were so long: a photo's surplus pixels only cost time."""


class Reads(Protocol):
    """See `engine.loading.ocr.Recogniser`."""

    def read(self, picture: Image.Image) -> list[Seen]:
        """Return what stands on the picture."""
        ...


def recognised(
    reader: Reads, *, path: str, media_type: str, pages: Sequence[int], dpi: int, password: str | None
) -> Iterator[dict[str, Any]]:
    """Yield {"number", "text", "lines": [[start, end, left, top, right, bottom], ...]} of each page, in the given order.

    A page that is damaged or missing has no text. Raises PasswordNeeded, BrokenFile when the file does not open at all.
    """
    with _pages(Path(path), media_type, dpi, password) as picture_of:
        for number in pages:
            picture = picture_of(number)
            text, lines = ("", []) if picture is None else arranged(reader.read(picture))
            yield {"number": number, "text": text, "lines": lines}


def arranged(seen: Sequence[Seen]) -> tuple[str, list[list[float]]]:
    """Return the text in reading order, and start, end and box of each run in it."""
    parts: list[str] = []
    lines: list[list[float]] = []
    length = 0
    for block in reading_order([one.box for one in seen]):
        for row in block:
            for index, one in enumerate(row):
                glue = " " if index else "\n" if row is not block[0] else "\n\n"
                glue = glue if parts else ""
                start = length + len(glue)
                length = start + len(seen[one].text)
                parts += (glue, seen[one].text)
                lines.append([start, length, *(round(side, 5) for side in seen[one].box)])
    return "".join(parts), lines


@contextmanager
def _pages(path: Path, media_type: str, dpi: int, password: str | None) -> Iterator[Any]:
    if media_type == "application/pdf":
        from engine.loading.pdf_image import page_painter

        with page_painter(path, password=password) as paint:
            yield lambda number: paint(number, dpi)
        return

    def frame(number: int) -> Image.Image | None:
        try:
            with open_picture(path) as image:
                return upright(image, number, longest=round(dpi * PAGE_INCHES))
        except BrokenFile:
            return None

    yield frame
