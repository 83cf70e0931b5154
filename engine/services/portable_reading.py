"""What a file of a collection may hold, and reading it without believing it; see docs/export.md for the layout.

Everything is checked before anything is made of it: names are only looked up, never opened; sizes are bounded; passages are
where they say; vectors are numbers of unit length.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.documents import Block, Line, Page, Piece
from engine.errors import BrokenFile, FileTooLarge
from engine.protocols import Array
from engine.sections import Limits
from engine.services.backup_archive import PART, ArchiveReader

FORMAT, FORMAT_VERSION = "rag-workbench-collection", 1
DOCUMENTS, PAGES, CHUNKS, VECTORS = "documents.jsonl", "pages.jsonl", "chunks.jsonl", "vectors.f32"
_ORIGINAL = re.compile(r"originals/[0-9]{6,9}")
_HINT = "Nothing was taken in. Export the collection again."
_MAX_LINE = 64 << 20  # a page may be long; what is cut off here is no JSON
_MAX_PARTS = 200_000  # blocks, or lines, of a page
_OVERLAP = 4  # so many times the text of a document its passages may have together
_UNIT = 1e-3  # how far from 1 the length of a vector may be
_MAX_HEADER = 20_000  # characters of what stands in front of a passage


class Record(BaseModel):
    """A line of a file, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SpaceRecord(Record):
    """The embedding space of the vectors; `probe` is the vector of `engine.types.PROBE_TEXT`, float32 in base64."""

    model_id: str = Field(max_length=400)
    dimension: int = Field(ge=1, le=65_536)
    normalised: bool
    max_tokens: int = Field(ge=0)
    probe: str

    def vector(self) -> bytes:
        """Return the probe as a collection keeps it. Raises BrokenFile."""
        try:
            vector = base64.b64decode(self.probe, validate=True)
        except ValueError:
            vector = b""
        if len(vector) != 4 * self.dimension:
            raise BrokenFile("the probe vector cannot be read", hint=_HINT)
        return vector


class CollectionRecord(BaseModel):
    """What the manifest says of the collection; other keys are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: Literal["rag-workbench-collection"]
    format_version: Literal[1]
    name: str
    description: str = Field(max_length=2000)
    chunker: str = Field(max_length=40)
    chunk_tokens: int = Field(ge=16, le=100_000)
    overlap_tokens: int = Field(ge=0, le=50_000)
    space: SpaceRecord
    documents: int = Field(ge=0)
    chunks: int = Field(ge=0)


class DocumentRecord(Record):
    """A line of documents.jsonl; `n` counts from 1."""

    n: int = Field(ge=1)
    name: str = Field(min_length=1, max_length=500)
    title: str = Field(max_length=500)
    media_type: str = Field(max_length=120)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    original: str
    pages: int = Field(ge=0)
    chunks: int = Field(ge=0)
    warnings: list[str] = Field(max_length=1000)


class BlockRecord(Record):
    """See `engine.documents.Block`."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    kind: str = Field(max_length=20)
    level: int = Field(ge=0, le=6)
    header: str = Field(max_length=_MAX_HEADER)


class LineRecord(Record):
    """See `engine.documents.Line`."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    box: tuple[float, float, float, float]


class PageRecord(Record):
    """A line of pages.jsonl; `document` is the number of its document."""

    document: int
    number: int = Field(ge=1)
    text: str
    section: list[str] = Field(max_length=50)
    blocks: list[BlockRecord] = Field(max_length=_MAX_PARTS)
    has_image: bool
    recognised: bool
    lines: list[LineRecord] = Field(max_length=_MAX_PARTS)


class ChunkRecord(Record):
    """A line of chunks.jsonl: a passage, `page.text[start:end] == text`."""

    document: int
    ordinal: int = Field(ge=0)
    page: int = Field(ge=1)
    start: int = Field(ge=0)
    end: int
    text: str = Field(min_length=1)
    section: list[str] = Field(max_length=50)
    context: str = Field(max_length=_MAX_HEADER)
    recognised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One document with all that belongs to it; `vectors` are float32, one row a piece."""

    record: DocumentRecord
    original: Path
    pages: tuple[Page, ...]
    pieces: tuple[Piece, ...]
    vectors: Array


Kind = TypeVar("Kind", bound=BaseModel)


def unpack(path: Path, folder: Path, limits: Limits) -> CollectionRecord:
    """Unpack a file below `folder`, and return what it says it holds. Blocking. Raises BrokenFile, FileTooLarge, InputError."""
    with ArchiveReader(path) as archive:
        for entry in archive:
            if entry.path not in (DOCUMENTS, PAGES, CHUNKS, VECTORS) and not _ORIGINAL.fullmatch(entry.path):
                raise BrokenFile(f"the file holds {entry.path[:80]!r}, which is no part of a collection", hint=_HINT)
            if entry.path.startswith("originals/") and entry.size > limits.max_file_mb << 20:
                raise FileTooLarge(f"an original in it is larger than {limits.max_file_mb} MB")
            place = folder / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as out:
                while data := entry.read(PART):
                    out.write(data)
    if archive.problems:
        raise BrokenFile(f"the file is damaged: {'; '.join(archive.problems[:3])}", hint=_HINT)
    return _valid(CollectionRecord, archive.manifest, "manifest.json")


def parcels(folder: Path, collection: CollectionRecord, limits: Limits) -> Iterator[Parcel]:
    """Yield the documents one by one, checked. Blocking. Raises BrokenFile, FileTooLarge."""
    pages = groupby(_lines(folder / PAGES, PageRecord), key=lambda one: one.document)
    chunks = groupby(_lines(folder / CHUNKS, ChunkRecord), key=lambda one: one.document)
    size = 4 * collection.space.dimension
    if _size(folder / VECTORS) != size * collection.chunks:
        raise BrokenFile("there are not as many vectors as passages", hint=_HINT)
    names: set[str] = set()
    with (folder / VECTORS).open("rb") as vectors:
        for n, record in enumerate(_lines(folder / DOCUMENTS, DocumentRecord), 1):
            if record.n != n or record.name in names:
                raise BrokenFile(f"document {n} is not in its place, or its name is there twice", hint=_HINT)
            names.add(record.name)
            if record.pages > limits.max_pages:
                raise FileTooLarge(f"document {n} has more than {limits.max_pages} pages (limit max_pages)")
            own = _next(pages, n, record.pages, limits.max_text_chars)
            pieces = _next(chunks, n, record.chunks, _OVERLAP * limits.max_text_chars)
            data = vectors.read(size * len(pieces))
            yield _parcel(record, folder, own, pieces, data, collection)
        if next(pages, None) or next(chunks, None) or len(names) != collection.documents:
            raise BrokenFile("there are pages or passages of no document", hint=_HINT)


def _parcel(
    record: DocumentRecord,
    folder: Path,
    pages: list[PageRecord],
    chunks: list[ChunkRecord],
    data: bytes,
    collection: CollectionRecord,
) -> Parcel:
    if not _ORIGINAL.fullmatch(record.original) or _size(folder / record.original) != record.size_bytes:
        raise BrokenFile(f"document {record.n} has no original, or one of another size", hint=_HINT)
    vectors: Array = np.frombuffer(data, dtype="<f4").reshape(len(chunks), collection.space.dimension).astype(np.float32)
    if not np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1) < _UNIT):  # also for what is not a number
        raise BrokenFile(f"document {record.n} has vectors that are none", hint=_HINT)
    made = {page.number: _page(page) for page in pages}
    if list(made) != list(range(1, len(pages) + 1)):
        raise BrokenFile(f"the pages of document {record.n} are not numbered from 1", hint=_HINT)
    for ordinal, chunk in enumerate(chunks):
        page = made.get(chunk.page)
        if chunk.ordinal != ordinal or page is None or page.text[chunk.start : chunk.end] != chunk.text:
            raise BrokenFile(f"passage {ordinal} of document {record.n} is not where it says", hint=_HINT)
    return Parcel(
        record=record,
        original=folder / record.original,
        pages=tuple(made.values()),
        pieces=tuple(_piece(chunk) for chunk in chunks),
        vectors=vectors,
    )


def _page(record: PageRecord) -> Page:
    spans = [(one.start, one.end) for one in record.blocks] + [(one.start, one.end) for one in record.lines]
    if any(not start <= end <= len(record.text) for start, end in spans):
        raise BrokenFile(f"page {record.number} has parts outside of its text", hint=_HINT)
    return Page(
        number=record.number,
        text=record.text,
        section=tuple(record.section),
        blocks=tuple(Block(**one.model_dump()) for one in record.blocks),
        has_image=record.has_image,
        recognised=record.recognised,
        lines=tuple(Line(start=one.start, end=one.end, box=one.box) for one in record.lines),
    )


def _piece(chunk: ChunkRecord) -> Piece:
    section = tuple(chunk.section)
    return Piece(page=chunk.page, start=chunk.start, end=chunk.end, text=chunk.text, section=section, context=chunk.context)


def _next(groups: Iterator[Any], n: int, count: int, most_chars: int) -> list[Any]:
    """Return the `count` lines of document `n`, and take no more into memory than they may be."""
    key, group = next(groups, (None, ())) if count else (n, ())
    found: list[Any] = []
    chars = 0
    for one in islice(group, count + 1):
        found.append(one)
        chars += len(one.text)
        if chars > most_chars:
            raise FileTooLarge(f"document {n} has more than {most_chars:,} characters")
    if key != n or len(found) != count:
        raise BrokenFile(f"document {n} has not the pages and passages that it says", hint=_HINT)
    return found


def _lines(path: Path, kind: type[Kind]) -> Iterator[Kind]:
    if not path.is_file():
        raise BrokenFile(f"{path.name} is missing", hint=_HINT)
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            yield _valid(kind, line, path.name)


def _valid(kind: type[Kind], data: Any, where: str) -> Kind:
    try:
        return kind.model_validate_json(data) if isinstance(data, bytes) else kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what = ".".join(str(part) for part in first["loc"])
        raise BrokenFile(f"{where} cannot be understood ({what or 'a line'}: {first['msg']})", hint=_HINT) from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
