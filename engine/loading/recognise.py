"""Pages that are pictures -> the same pages with their text, read in a child process of its own; the file is never trusted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.documents import Line, Page
from engine.errors import BrokenFile, FileTooLarge
from engine.loading.image_types import FORMATS
from engine.loading.process import run

if TYPE_CHECKING:
    from engine.sections import Ingestion, Limits

logger = logging.getLogger(__name__)

MEDIA_TYPES = frozenset({"application/pdf", *FORMATS})
MEMORY_MB = 3072
"""Address space of the child: models, a page of 16 million pixels, and what ONNX Runtime keeps; 2,100 MB were seen."""
_MAX_CHARS = 100_000  # of one picture
_FAILURES = 3  # children that may die over one file: a page that kills its reader is passed over, and the next one starts


def wanted(page: Page) -> bool:
    """Return whether a page is a picture whose text is missing; a page number beside it is not its text."""
    return page.has_image and not page.recognised and not any(character.isalpha() for character in page.text)


def recognise(
    path: Path,
    *,
    media_type: str,
    pages: Sequence[int],
    password: str | None = None,
    rules: Ingestion,
    limits: Limits,
    stop: threading.Event | None = None,
) -> Iterator[Page]:
    r"""Yield each of `pages` (numbers from 1, rising) with `recognised` set: `text`, and `lines` that tell where it stands.

    A page that cannot be read comes back without text. Lines are joined by "\n", paragraphs by "\n\n", cells of a row by a
    space; text is NFC. About 0.6 s for the start, then 1 to 15 s a page on one core. Setting `stop` ends it.
    Raises MissingDependency before the first page when text recognition is not installed, BrokenFile after `stop`.
    """
    left = list(pages)
    failures = 0
    bounds = limits.model_copy(update={"parse_seconds": rules.ocr_page_seconds, "parse_memory_mb": MEMORY_MB})
    while left:
        arguments = {
            "path": str(path.resolve()),
            "media_type": media_type,
            "pages": left,
            "dpi": rules.ocr_dpi,
            "password": password,
        }
        try:
            for record in run("recognise", arguments, limits=bounds, stop=stop, records=len(left)):
                page = _page(record, left[0])
                left = left[1:]
                yield page
            if left:
                raise BrokenFile("the reader of the picture stopped half-way")
        except (BrokenFile, FileTooLarge) as error:
            failures += 1
            if (stop is not None and stop.is_set()) or not left:
                raise
            logger.warning("page %s could not be recognised: %s", left[0], type(error).__name__)
            lost, left = (left[:1], left[1:]) if failures < _FAILURES else (left, [])
            yield from (_unread(number) for number in lost)


def boxes_of(lines: Sequence[Line], span: tuple[int, int]) -> list[tuple[float, float, float, float]]:
    """Return where `span` of a recognised page's text stands, one box a line; within a line by its share of characters."""
    boxes = []
    for line in lines:
        start, end = max(span[0], line.start), min(span[1], line.end)
        if start < end:
            left, top, right, bottom = line.box
            step = (right - left) / (line.end - line.start)
            boxes.append((left + (start - line.start) * step, top, left + (end - line.start) * step, bottom))
    return boxes


def _unread(number: int) -> Page:
    return Page(number=number, text="", has_image=True, recognised=True)


def _page(record: dict[str, Any], number: int) -> Page:
    try:
        found = record["recognised"]
        text = str(found["text"])
        lines = tuple(
            Line(start=int(start), end=int(end), box=(float(left), float(top), float(right), float(bottom)))
            for start, end, left, top, right, bottom in found["lines"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenFile("the picture made its reader write nonsense") from error
    if (
        found.get("number") != number
        or len(text) > _MAX_CHARS
        or any(not 0 <= line.start < line.end <= len(text) for line in lines)
    ):
        raise BrokenFile("the picture made its reader write nonsense")
    return Page(number=number, text=text, has_image=True, recognised=True, lines=lines)
