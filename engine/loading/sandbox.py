"""File -> Document without trusting the file: detection and loader run in a child process with limits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import errors
from engine.documents import Block, Document, Page
from engine.loading.budget import Budget
from engine.loading.process import run

if TYPE_CHECKING:
    from engine.sections import Limits


def parse(
    path: Path,
    *,
    name: str,
    media_type: str | None = None,
    password: str | None = None,
    limits: Limits,
    stop: threading.Event | None = None,
) -> Document:
    """Return the document at `path`; its type is found by content unless `media_type` names it.

    A file without text comes back with empty pages. Setting `stop` ends it early.
    Thread-safe; one child process (about 0.2 s) a call.
    Raises UnsupportedFile, BrokenFile, PasswordNeeded, FileTooLarge (which names the limit), MissingDependency.
    """
    if not path.exists():
        raise errors.NotFound("the original file is gone from the data folder", hint="Upload it again.")
    if path.stat().st_size > limits.max_file_mb << 20:
        raise errors.FileTooLarge(f"the file is larger than {limits.max_file_mb} MB (limit max_file_mb)")
    arguments = {"path": str(path.resolve()), "name": name, "media_type": media_type, "password": password}
    # The child keeps to the limits itself; they are checked again here for the case that it was taken over.
    budget = Budget(max_pages=limits.max_pages, max_text_chars=limits.max_text_chars, max_unpacked_mb=limits.max_unpacked_mb)
    pages: list[Page] = []
    chars = blocks = 0
    try:
        for record in run("load", arguments, limits=limits, stop=stop):
            if "end" in record:
                return Document(
                    name=name,
                    media_type=str(record["end"]["media_type"]),
                    pages=tuple(pages),
                    title=str(record["end"]["title"]),
                    warnings=tuple(map(str, record["end"]["warnings"])),
                )
            page = _page(record["page"])
            chars, blocks = chars + len(page.text), blocks + len(page.blocks)
            pages.append(page)
            budget.check_pages(len(pages))
            budget.check_chars(chars)
            budget.check_blocks(blocks)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.BrokenFile("the file made its reader write nonsense") from error
    raise errors.BrokenFile("the reader of the file stopped half-way")


def _page(record: dict[str, Any]) -> Page:
    return Page(
        number=int(record["number"]),
        text=str(record["text"]),
        section=tuple(map(str, record["section"])),
        blocks=tuple(
            Block(start=int(start), end=int(end), kind=str(kind), level=int(level), header=str(header))
            for start, end, kind, level, header in record["blocks"]
        ),
        has_image=bool(record["image"]),
    )
