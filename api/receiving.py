"""A request's body as a file: raw, or the one file of a form. Limits are kept while it streams; nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from engine.errors import FileTooLarge, InputError

MAX_FRAMING_BYTES = 65_536  # what a form may hold beside its file


@dataclass(frozen=True, slots=True)
class Received:
    """A file on disk until the request ends; `name` is what a form called it, or ""."""

    path: Path
    name: str


@asynccontextmanager
async def received(request: Request, *, folder: Path, max_bytes: int) -> AsyncIterator[Received]:
    """Yield the body as a file in `folder`. Raises FileTooLarge as soon as there is too much of it, InputError."""
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    descriptor, made = await asyncio.to_thread(tempfile.mkstemp, dir=folder)
    path = Path(made)
    try:
        with os.fdopen(descriptor, "wb") as file:
            name = await _stream(request, file, max_bytes)
        yield Received(path, name)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def _stream(request: Request, file: BinaryIO, max_bytes: int) -> str:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    form = _Form(file, options.get(b"boundary", b"")) if kind == b"multipart/form-data" else None
    limit = max_bytes + (MAX_FRAMING_BYTES if form else 0)
    total = 0
    async for part in request.stream():
        total += len(part)
        if total > limit or file.tell() > max_bytes:
            raise FileTooLarge(f"the file has more than {max_bytes >> 20} MB", hint="Split it, or ask an operator.")
        if part:
            await asyncio.to_thread(form.write if form else file.write, part)
    if not total:
        raise InputError("the request has no body", hint="Send the file as the body, or as the field `file` of a form.")
    return form.finish() if form else ""


class _Form:
    """Writes the first part that has a file name (RFC 7578) to `file`; what else a form holds is passed over."""

    def __init__(self, file: BinaryIO, boundary: bytes) -> None:
        if not boundary:
            raise InputError("the form names no boundary", hint="Let your HTTP client make the Content-Type of the form.")
        self._file = file
        self._header, self._value = b"", b""
        self._name: str | None = None
        self._files = 0
        self._writing = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header_end,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
            },
        )

    def write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError:
            raise InputError("the form cannot be read", hint="Send the file as the raw body instead.") from None

    def finish(self) -> str:
        if self._files != 1 or self._writing:
            raise InputError("a form must hold exactly one whole file", hint="Send one request for each file.")
        return self._name or ""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            given = parse_options_header(self._value)[1].get(b"filename")
            if given is not None:
                self._files += 1
                self._writing = self._files == 1
                self._name = self._name or given.decode("utf-8", "replace")
        self._header, self._value = b"", b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._writing:
            self._file.write(data[start:end])

    def _on_part_end(self) -> None:
        self._writing = False
