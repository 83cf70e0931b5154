"""Bytes -> text: byte order mark, then UTF-8, then what the file declares, then a guess from a bounded sample."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from engine.loading.budget import BUDGET
from engine.loading.flow import clean

SAMPLE_BYTES = 64 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{2,40})|<\?xml[^>]{0,200}encoding=["']([\w.-]{2,40})""", re.I
)
_MAX_CONTROL_SHARE = 0.005


def utf_encoding(sample: bytes) -> str:
    """Return the Unicode encoding that `sample` (the first bytes of a file) surely has, or ""."""
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    pairs = sample[: len(sample) // 2 * 2]
    if pairs and b"\0" in pairs:
        low, high = pairs[1::2].count(0), pairs[0::2].count(0)
        half = len(pairs) / 2
        if low > 0.4 * half and high < 0.05 * half:
            return "utf-16-le"
        if high > 0.4 * half and low < 0.05 * half:
            return "utf-16-be"
    return "utf-8" if _is_utf8(sample) else ""


def _is_utf8(sample: bytes) -> bool:
    try:
        # final=False: the sample may end inside a character.
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=False)
    except UnicodeDecodeError:
        return False
    return True


def looks_like_text(sample: bytes) -> bool:
    """Whether the bytes can be text at all: hardly any control characters once decoded."""
    found = utf_encoding(sample)
    if found.startswith(("utf-16", "utf-32")):
        text = sample.decode(found, "replace")
        return sum(ch == "\ufffd" or ch < "\t" for ch in text) <= 1 + _MAX_CONTROL_SHARE * len(text)
    controls = len(_CONTROL.findall(sample))
    # One stray NUL in readable UTF-8 is no reason to refuse a file.
    return controls <= max(1 if found else 0, _MAX_CONTROL_SHARE * len(sample))


def guess_encoding(data: bytes, *, declared: str = "") -> str:
    """Return the name of the most likely encoding of `data`."""
    if found := utf_encoding(data):
        return found
    for candidate in (declared, declared_encoding(data)):
        if candidate and _known(candidate):
            return candidate
    return _statistical(data)


def declared_encoding(data: bytes) -> str:
    """Return the encoding an HTML or XML prologue declares, or ""."""
    match = _DECLARED.search(data[:4096])
    return (match[1] or match[2]).decode("ascii", "replace").lower() if match else ""


def _known(name: str) -> bool:
    try:
        info = codecs.lookup(name)
    except LookupError:
        return False
    # A declaration inside the bytes themselves proves that they are not UTF-16; rot13 and friends are no text encodings.
    return info._is_text_encoding and not info.name.startswith(("utf-16", "utf-32"))


def _statistical(data: bytes) -> str:
    from charset_normalizer import from_bytes  # not needed for UTF-8, which nearly all files are

    # Lines with bytes above ASCII carry all of the evidence; a sample of them keeps big files cheap.
    lines = [line for line in data[: 16 * SAMPLE_BYTES].splitlines(keepends=True) if not line.isascii()]
    sample = b"".join(lines)[:SAMPLE_BYTES] or data[:SAMPLE_BYTES]
    if sum(byte >= 0x80 for byte in sample) < 32:
        return "cp1252"  # too little evidence for statistics: take the most common 8-bit encoding
    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"


def read_text(path: Path, *, declared: str = "") -> tuple[str, tuple[str, ...]]:
    r"""Return the text of a file ("\n" line ends, no NUL) and warnings. Raises FileTooLarge before reading too much."""
    BUDGET.get().check_chars(path.stat().st_size // 4)  # no encoding needs more than four bytes for a character
    return decode(path.read_bytes(), declared=declared)


def decode(data: bytes, *, declared: str = "") -> tuple[str, tuple[str, ...]]:
    r"""Return the bytes as text ("\n" line ends, no NUL) and warnings. Raises FileTooLarge."""
    encoding = guess_encoding(data, declared=declared)
    text = data.decode(encoding, "replace")
    BUDGET.get().check_chars(len(text))
    lost = text.count("\ufffd") - (data.count(b"\xef\xbf\xbd") if encoding.startswith("utf-8") else 0)
    warnings = (f"{lost} characters could not be decoded as {encoding}",) if lost > 0 else ()
    return clean(text.lstrip("\ufeff")), warnings
