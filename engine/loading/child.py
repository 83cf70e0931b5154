"""The process that reads one untrusted file: limits first, then the loader; the result leaves as JSON lines.

Started by `engine.loading.process` with a job on stdin. Records: {"page": ...}* and {"end": ...}, or {"image": ...},
or {"recognised": ...}*; {"error": ...} may come at any time.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
from base64 import b64encode
from pathlib import Path
from typing import IO, Any, NoReturn

from engine import errors
from engine.documents import PageImage
from engine.loading.budget import BUDGET, Budget

_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "shutil.",
)


def main() -> None:
    """Run the job on stdin. Every EngineError becomes a record; anything else ends in a traceback on stderr and exit code 1."""
    job = json.load(sys.stdin)
    # Libraries may print; the records keep a descriptor of their own.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    confine(memory_mb=job["memory_mb"], cpu_seconds=job["cpu_seconds"])
    BUDGET.set(Budget(**job["budget"]))
    try:
        TASKS[job["task"]](out, **job["arguments"])
    except errors.EngineError as error:
        _write(out, {"error": {"kind": type(error).__name__, "message": str(error), "hint": error.hint}})
    except MemoryError:
        _write(out, {"error": {"kind": "FileTooLarge", "message": "reading it needs more memory than allowed", "hint": ""}})
    out.flush()
    # Native libraries may crash while they are torn down, when the result is already out.
    os._exit(0)


def confine(*, memory_mb: int, cpu_seconds: int) -> None:
    """Limit this process for good: memory, processor time, no files written, no core dump, no network, no other programs."""
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_mb << 20),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # The processor limit warns (SIGXCPU, which names the reason) before it kills.
        above = bound + 5 if kind == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else bound
        resource.setrlimit(kind, (bound, above))

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN) or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            _deny(event)

    sys.addaudithook(refuse)


def _deny(event: str) -> NoReturn:
    raise PermissionError(f"{event} is not allowed while a file is read")


def load(out: IO[str], *, path: str, name: str, media_type: str | None, password: str | None) -> None:
    """Detect the type, load the document, write its pages and its end."""
    from engine import registry  # a render job needs none of these
    from engine.loading.detect import detect

    kind = media_type or detect(Path(path), name=name)
    if kind not in registry.LOADERS:
        raise errors.UnsupportedFile(f"no loader reads {kind}")
    document = registry.build(registry.LOADERS, "loader", kind).load(Path(path), name=name, password=password)
    budget = BUDGET.get()
    budget.check_pages(len(document.pages))
    for page in document.pages:
        blocks = [[block.start, block.end, block.kind, block.level, block.header] for block in page.blocks]
        record = {"number": page.number, "text": page.text, "section": page.section, "blocks": blocks, "image": page.has_image}
        _write(out, {"page": record})
    _write(out, {"end": {"media_type": document.media_type, "title": document.title, "warnings": document.warnings}})


def render(out: IO[str], **arguments: Any) -> None:
    """Render a PDF page and write it as one record."""
    from engine.loading.pdf_image import render_page

    _write_image(out, render_page(**arguments))


def render_picture(out: IO[str], **arguments: Any) -> None:
    """Draw a page of an image file and write it as one record."""
    from engine.loading import picture

    _write_image(out, picture.render_picture(**arguments))


def recognise(out: IO[str], **arguments: Any) -> None:
    """Write the recognised text of each page as soon as it is read."""
    from engine.loading.ocr import Recogniser
    from engine.loading.ocr_page import recognised

    for page in recognised(Recogniser(), **arguments):
        _write(out, {"recognised": page})
        out.flush()  # the time of the next page counts from here


def _write_image(out: IO[str], image: PageImage) -> None:
    values = dataclasses.asdict(image)
    _write(out, {"image": {**values, "png": b64encode(image.png).decode()}})


def _write(out: IO[str], record: dict[str, Any]) -> None:
    # dumps, not dump: only the former uses the C encoder.
    out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


TASKS = {"load": load, "render": render, "render_picture": render_picture, "recognise": recognise}
