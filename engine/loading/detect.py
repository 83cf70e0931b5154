"""What a file is, by its content. A name only decides between kinds of text, which may look the same."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import NoReturn

from engine.errors import PasswordNeeded, UnsupportedFile
from engine.loading.encoding import SAMPLE_BYTES, looks_like_text
from engine.loading.text_kinds import text_type
from engine.loading.zips import A_ZIP, ARCHIVE, DOCX, EPUB, MAGIC, ODP, ODS, ODT, PPTX, XLSB, XLSX, ZIP_HINT, kind_of_zip

PDF, RTF = "application/pdf", "application/rtf"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# (offset, magic, media type)
_IMAGES = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
)
# (offset, magic, what it is)
_MAGIC = (
    (4, b"ftyp", "a video or HEIC image"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90", "a program"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"OggS", "an audio file"),
    (0, b"ID3", "an audio file"),
    (0, b"%!PS", "a PostScript file"),
)
_OLE_KINDS = (
    ("WordDocument", "a Word 97-2003 document (.doc)", "save it as .docx and upload that"),
    ("PowerPoint Document", "a PowerPoint 97-2003 file (.ppt)", "save it as .pptx and upload that"),
    ("Workbook", "an Excel 97-2003 workbook (.xls)", "save it as .xlsx and upload that"),
    ("Book", "an Excel 5.0/95 workbook (.xls)", "save it as .xlsx and upload that"),
    ("__properties_version1.0", "an Outlook message (.msg)", "save the message as .eml and upload that"),
)
_HINTS = {
    "image": "save it as PNG or JPEG and upload that",
    "archive": "unpack it and upload the files in it, or pack them as .zip",
}


def detect(path: Path, *, name: str) -> str:
    """Return the media type, a key of `registry.LOADERS`. Raises UnsupportedFile, PasswordNeeded, BrokenFile."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if b"%PDF-" in sample[:1024]:
        return PDF
    if sample.startswith(MAGIC):
        return _in_zip(path)
    if sample.lstrip()[:5] == b"{\\rtf":
        return RTF
    if sample.startswith(_OLE):
        _refuse_ole(path)
    if image := _image(sample):
        return image
    for offset, magic, what in _MAGIC:
        if sample.startswith(magic, offset):
            _refuse(what)
    if not looks_like_text(sample):
        raise UnsupportedFile(
            "the file is neither text nor a document type that we know",
            hint="upload PDF, Office, OpenDocument, EPUB, RTF, e-mail (.eml), HTML, Markdown, CSV, JSON, XML, code or text",
        )
    return text_type(sample, PurePath(name).name.lower())


def _image(sample: bytes) -> str:
    """Return the media type of a picture; "" for anything else."""
    if sample.startswith(b"BM") and not looks_like_text(sample):
        return "image/bmp"
    return next((media_type for offset, magic, media_type in _IMAGES if sample.startswith(magic, offset)), "")


def _refuse(what: str, *, hint: str = "") -> NoReturn:
    if not hint:
        hint = next((text for word, text in _HINTS.items() if word in what), "save it as PDF, .docx or text and upload that")
    raise UnsupportedFile(f"this is {what}, which cannot be read", hint=hint)


def _in_zip(path: Path) -> str:
    kind = kind_of_zip(path)
    if kind == ARCHIVE:
        raise UnsupportedFile(A_ZIP, hint=ZIP_HINT)
    if kind == XLSB:
        _refuse("an Excel binary workbook (.xlsb)", hint="save it as .xlsx and upload that")
    if kind not in {EPUB, ODT, ODS, ODP, DOCX, PPTX, XLSX}:
        _refuse("an OpenDocument drawing or formula", hint="save it as PDF and upload that")
    return kind


def _refuse_ole(path: Path) -> NoReturn:
    # Stream names are UTF-16 in 128-byte directory entries, which lie on 512-byte sectors anywhere in the file.
    with path.open("rb") as file:
        data = file.read(32 << 20)
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise PasswordNeeded(
            "this Office file is protected by a password",
            hint="open it in Office, remove the password (File > Info > Protect), and upload that copy",
        )
    for stream, what, hint in _OLE_KINDS:
        if f"{stream}\0".encode("utf-16-le") in data or (stream.startswith("__") and stream.encode("utf-16-le") in data):
            _refuse(what, hint=hint)
    _refuse("an old Office file", hint="save it as .docx, .xlsx or .pptx and upload that")
