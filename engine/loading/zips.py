"""Zip files: opened with a bounded directory, told apart by what they are."""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, cast

from engine.errors import BrokenFile, FileTooLarge, UnsupportedFile

A_ZIP = "this is a zip archive, not a document"
ZIP_HINT = "add it as an archive (documents page, `python -m engine ingest`, or the API): each file in it becomes a document"
ARCHIVE = "application/zip"
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
EPUB = "application/epub+zip"
_ODF = "application/vnd.oasis.opendocument."
ODT, ODS, ODP = _ODF + "text", _ODF + "spreadsheet", _ODF + "presentation"
_OOXML = "application/vnd.openxmlformats-officedocument."
DOCX = _OOXML + "wordprocessingml.document"
PPTX = _OOXML + "presentationml.presentation"
XLSX = _OOXML + "spreadsheetml.sheet"

MAX_DIRECTORY_BYTES = 16 << 20
MAX_KIND_BYTES = 1 << 20
MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
FAILURES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, OSError, RuntimeError, ValueError, MemoryError),
)
"""What `zipfile` raises on damaged content."""
BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The ways to compress of which `zipfile` unpacks no more at once than is asked for. Of others (bzip2, LZMA) it unpacks all
that a megabyte makes, a terabyte if somebody wants: those are for confined processes only."""
_MAIN_PARTS = (
    (re.compile(rb"wordprocessingml\.(document|template)\.main|word\.(document|template)\.macroEnabled"), DOCX),
    (re.compile(rb"presentationml\.(presentation|slideshow|template)\.main|powerpoint\.\w+\.macroEnabled"), PPTX),
    (re.compile(rb"spreadsheetml\.(sheet|template)\.main|excel\.(sheet|template)\.macroEnabled"), XLSX),
    (re.compile(rb"macroEnabled|ms-excel\.sheet\.binary"), XLSB),
)
_ODF_KINDS = re.compile(rb"application/vnd\.oasis\.opendocument\.(text|spreadsheet|presentation)(-template)?\s*$")


class _Directed:
    """A binary file that hands over no more at once than a directory may have: `zipfile` reads that in one go."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if 0 <= size <= MAX_DIRECTORY_BYTES else MAX_DIRECTORY_BYTES + 1)
        if len(data) > MAX_DIRECTORY_BYTES:
            raise FileTooLarge("the directory of the archive is larger than any real one")
        return data

    def seekable(self) -> bool:
        return True


def open_zip(source: bytes | Path) -> zipfile.ZipFile:
    """Open an archive to read. Raises FileTooLarge for a directory without end, and FAILURES."""
    file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", _Directed(file)))
    except BaseException:
        file.close()
        raise
    vars(archive)["_filePassed"] = 0  # so that the file is closed with the archive
    return archive


def zip_kind(archive: zipfile.ZipFile) -> str:
    """Return the media type of what is packed as a zip file; ARCHIVE when it is just that. Raises FAILURES."""
    kind = _member(archive, "mimetype")
    if kind.startswith(EPUB.encode()):
        return EPUB
    if found := _ODF_KINDS.match(kind):
        return _ODF + found[1].decode()
    if kind.startswith(_ODF.encode()):
        return kind.decode("ascii", "replace").strip()
    types = _member(archive, "[Content_Types].xml")
    return next((media_type for pattern, media_type in _MAIN_PARTS if pattern.search(types)), ARCHIVE)


def is_archive(source: bytes | Path) -> bool:
    """Whether this is a zip of files, and not a document that happens to be packed as one (Office, EPUB, OpenDocument).

    Cheap for whatever is no zip file; reads the directory of one. Blocking. Damaged zip files are none.
    """
    if isinstance(source, bytes):
        start = source[:4]
    else:
        with source.open("rb") as file:
            start = file.read(4)
    if start not in MAGIC:
        return False
    try:
        with open_zip(source) as archive:
            return zip_kind(archive) == ARCHIVE
    except (*FAILURES, FileTooLarge):
        return False


def refuse_archive(source: bytes | Path) -> None:
    """Raises UnsupportedFile, which names the way for archives. Blocking."""
    if is_archive(source):
        raise UnsupportedFile(A_ZIP, hint=ZIP_HINT)


def kind_of_zip(path: Path) -> str:
    """Return the media type, ARCHIVE for a mere zip file. Raises BrokenFile, FileTooLarge."""
    try:
        with open_zip(path) as archive:
            return zip_kind(archive)
    except FAILURES as error:
        raise BrokenFile("the file is cut off or damaged (its zip directory cannot be read)") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.NameToInfo or archive.getinfo(name).compress_type not in BOUNDED:
        return b""  # no program that writes documents compresses these in another way
    file = archive.open(name)
    with file:
        return file.read(MAX_KIND_BYTES)
