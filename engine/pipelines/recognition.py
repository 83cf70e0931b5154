"""The step between reading a file and keeping its pages: those that are pictures get their text by recognition."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from engine.documents import Document, Page
from engine.errors import EngineError, MissingDependency
from engine.loading.recognise import MEDIA_TYPES, wanted

Progress = Callable[[int, int], Awaitable[None]]
"""Told how many pages are recognised, of how many."""


class Recognise(Protocol):
    """See `engine.loading.recognise.recognise`."""

    def __call__(
        self, path: Path, *, media_type: str, pages: Sequence[int], password: str | None, stop: threading.Event
    ) -> Iterator[Page]:
        """Yield the pages as they are read."""
        ...


class Recognition:
    """Fills pages in. Without a `recognise` (switched off) documents stay as they are."""

    def __init__(self, recognise: Recognise | None, *, max_pages: int) -> None:
        self._recognise = recognise
        self._max_pages = max_pages

    async def fill(
        self, path: Path, document: Document, *, password: str | None, stop: threading.Event, progress: Progress
    ) -> Document:
        """Return the document with the text of its pictures; what could not be read is told in its warnings, never raised."""
        numbers = [page.number for page in document.pages if wanted(page)]
        if self._recognise is None or document.media_type not in MEDIA_TYPES or not numbers:
            return document
        warnings = list(document.warnings)
        if len(numbers) > self._max_pages:
            left = len(numbers) - self._max_pages
            warnings.append(f"Text recognition left out {left} pages: of one file it reads {self._max_pages} (ocr_max_pages).")
            numbers = numbers[: self._max_pages]
        read: dict[int, Page] = {}
        done = 0
        pages = self._recognise(path, media_type=document.media_type, pages=numbers, password=password, stop=stop)
        while True:
            await progress(done, len(numbers))  # outside of the try: a job that is lost stops here
            try:
                page = await asyncio.to_thread(next, pages, None)
            except MissingDependency as error:
                warnings.append(f"Text recognition is not installed, and pages are pictures: {len(numbers)}. {error.hint}")
                break
            except EngineError as error:
                warnings.append(f"Text recognition ended early: {error}.")
                break
            if page is None:
                break
            done += 1
            if page.has_text:
                read[page.number] = page
        if read:
            which = "The page is a picture" if len(document.pages) == 1 else f"Pages that are pictures: {len(read)}"
            warnings.append(f"{which}; the text on it was recognised (OCR) and may hold mistakes.")
        filled = tuple(_filled(page, read.get(page.number)) for page in document.pages)
        return replace(document, pages=filled, warnings=tuple(warnings))


def _filled(page: Page, read: Page | None) -> Page:
    return replace(page, text=read.text, blocks=(), recognised=True, lines=read.lines) if read else page
