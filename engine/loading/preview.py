"""A page as a picture with the cited passage highlighted, drawn in the same kind of limited child process as parsing."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents import Line, PageImage
from engine.errors import BrokenFile
from engine.loading.image_types import FORMATS
from engine.loading.process import run
from engine.loading.recognise import boxes_of

if TYPE_CHECKING:
    from engine.sections import Limits


def render(
    path: Path,
    *,
    media_type: str,
    page: int,
    highlight: Sequence[tuple[int, int]],
    lines: Sequence[Line] = (),
    width: int,
    password: str | None = None,
    limits: Limits,
) -> PageImage | None:
    """Return page `page` (from 1) as a PNG `width` pixels wide, or None for a type whose pages have no picture.

    `highlight` holds (start, end) offsets into the text of that page; `boxes` of the result are theirs, one a line. `lines` are
    those of a recognised page, which the file itself cannot tell.
    Raises NotFound, BrokenFile, PasswordNeeded, FileTooLarge. Thread-safe.
    """
    boxes = [box for span in highlight for box in boxes_of(lines, span)]
    arguments = {"path": str(path.resolve()), "page": page, "boxes": boxes, "width": width}
    if media_type in FORMATS:
        task = "render_picture"
    elif media_type == "application/pdf":
        task = "render"
        arguments |= {"highlight": [] if lines else [list(span) for span in highlight], "password": password}
    else:
        return None
    try:
        for record in run(task, arguments, limits=limits):
            image = record["image"]
            return PageImage(
                png=b64decode(image["png"]),
                width=int(image["width"]),
                height=int(image["height"]),
                boxes=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in image["boxes"]),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenFile("the file made its reader write nonsense") from error
    raise BrokenFile("the page could not be drawn")
