"""What a file is, by its content. A name only decides between kinds of text, which may look the same."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePath
from typing import NoReturn

from engine.errors import BrokenFile, PasswordNeeded, UnsupportedFile
from engine.loading.csv import sniff_delimiter
from engine.loading.encoding import SAMPLE_BYTES, guess_encoding, looks_like_text

PDF, HTML, MARKDOWN, CSV, PLAIN = "application/pdf", "text/html", "text/markdown", "text/csv", "text/plain"
_OOXML = "application/vnd.openxmlformats-officedocument."
DOCX = _OOXML + "wordprocessingml.document"
PPTX = _OOXML + "presentationml.presentation"
XLSX = _OOXML + "spreadsheetml.sheet"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAIN_PARTS = (
    (re.compile(rb"wordprocessingml\.(document|template)\.main|word\.(document|template)\.macroEnabled"), DOCX),
    (re.compile(rb"presentationml\.(presentation|slideshow|template)\.main|powerpoint\.\w+\.macroEnabled"), PPTX),
    (re.compile(rb"spreadsheetml\.(sheet|template)\.main|excel\.(sheet|template)\.macroEnabled"), XLSX),
)
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
    (0, b"{\\rtf", "an RTF document"),
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
    ("__properties_version1.0", "an Outlook message (.msg)", "save the message as PDF or text and upload that"),
)
_HINTS = {
    "image": "save it as PNG or JPEG and upload that",
    "archive": "unpack it and upload the files in it",
}
_BY_SUFFIX = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".csv": CSV,
    ".tsv": CSV,
    ".tab": CSV,
    ".txt": PLAIN,
    ".text": PLAIN,
    ".log": PLAIN,
}
_PLAIN_SUFFIXES = frozenset({".rst", ".org", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".py", ".sql", ".tex"})
_HTML_START = re.compile(r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)
_HTML_TAGS = re.compile(
    r"\s*<(head|body|title|meta|script|style|div|table|p|h[1-6]|pre|ul|article|section)\b[^<>]*>", re.IGNORECASE
)
_MAIL = re.compile(
    r"(?:(?:From|To|Subject|Date|MIME-Version|Received|Return-Path|Message-ID|Content-Type|X-[\w-]+):.*\n(?:[ \t].*\n)*){2}",
    re.I,
)
_MARKDOWN = re.compile(r"^(#{1,6} \S|```|[-*+] \S|\|.+\|\s*$|\[[^\]]+\]\(|> )", re.MULTILINE)
_MARKDOWN_SURE = re.compile(r"^(#{1,6} \S.*|```\w*)$", re.MULTILINE)


def detect(path: Path, *, name: str) -> str:
    """Return the media type, a key of `registry.LOADERS`. Raises UnsupportedFile, PasswordNeeded, BrokenFile."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if b"%PDF-" in sample[:1024]:
        return PDF
    if sample.startswith(b"PK\x03\x04") or sample.startswith(b"PK\x05\x06"):
        return _in_zip(path)
    if sample.startswith(_OLE):
        _refuse_ole(path)
    for offset, magic, media_type in _IMAGES:
        if sample.startswith(magic, offset):
            return media_type
    if sample.startswith(b"BM") and not looks_like_text(sample):
        return "image/bmp"
    for offset, magic, what in _MAGIC:
        if sample.startswith(magic, offset):
            _refuse(what)
    if not looks_like_text(sample):
        raise UnsupportedFile(
            "the file is neither text nor a document type that we know",
            hint="upload PDF, Word, PowerPoint, Excel, HTML, Markdown, CSV or text",
        )
    return _text_type(sample, PurePath(name).suffix.lower())


def _refuse(what: str, *, hint: str = "") -> NoReturn:
    if not hint:
        hint = next((text for word, text in _HINTS.items() if word in what), "save it as PDF, .docx or text and upload that")
    raise UnsupportedFile(f"this is {what}, which cannot be read", hint=hint)


def _in_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            kind = _member(archive, "mimetype", names)
            types = _member(archive, "[Content_Types].xml", names)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise BrokenFile("the file is cut off or damaged (its zip directory cannot be read)") from error
    if b"epub" in kind:
        _refuse("an EPUB book")
    if b"opendocument" in kind:
        _refuse("an OpenDocument file", hint="save it as .docx, .xlsx or .pptx and upload that")
    for pattern, media_type in _MAIN_PARTS:
        if pattern.search(types):
            return media_type
    if b"macroEnabled" in types or b"ms-excel.sheet.binary" in types:
        _refuse("an Excel binary workbook (.xlsb)", hint="save it as .xlsx and upload that")
    _refuse("a zip archive")


def _member(archive: zipfile.ZipFile, name: str, names: set[str]) -> bytes:
    if name not in names:
        return b""
    with archive.open(name) as file:
        return file.read(1 << 20)


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


def _text_type(sample: bytes, suffix: str) -> str:
    text = sample.decode(guess_encoding(sample), "replace").lstrip("\ufeff")
    if _HTML_START.match(text[:10_000]):
        return HTML
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix in _PLAIN_SUFFIXES:
        return PLAIN
    if _HTML_TAGS.match(text) or suffix in {".html", ".htm", ".xhtml"}:
        return HTML
    _refuse_structured(text, suffix)
    if _MARKDOWN_SURE.search(text) and len(_MARKDOWN.findall(text)) >= 2:
        return MARKDOWN
    return CSV if _is_table(text) else PLAIN


def _refuse_structured(text: str, suffix: str) -> None:
    start = text.lstrip()[:2000]
    if start.startswith("<?xml") or suffix == ".xml":
        _refuse("an XML file")
    if suffix in {".json", ".ndjson", ".jsonl", ".geojson", ".ipynb"} or re.match(r'[\[{]\s*("|\{|\[)', start):
        _refuse("a JSON file", hint="convert it to CSV or text and upload that")
    if suffix in {".eml", ".mbox"} or _MAIL.match(start):
        _refuse("an e-mail", hint="save the message as PDF or text and upload that")


def _is_table(text: str) -> bool:
    delimiter, share = sniff_delimiter(text)
    lines = [line for line in text.splitlines() if line.strip()]
    # Prose has commas too: without a name that says so, only strictly regular records count.
    prose = 2 * len(re.findall(re.escape(delimiter) + r"\s", text)) > text.count(delimiter)
    return len(lines) >= 3 and share >= 0.95 and not prose and all(delimiter in line for line in lines[:20])
