"""Encoded stretches of a text -> what they say: base64, hexadecimal, percent encoding and HTML entities."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

MAX_STRETCHES = 64
MAX_CHARS = 4096
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){16,}")
_PERCENT = re.compile(r"(?:[A-Za-z]{0,4}%[0-9A-Fa-f]{2}){6,}[A-Za-z]{0,20}")
_ENTITIES = re.compile(r"(?:&#x?[0-9A-Fa-f]{1,6};[ ]?){8,}")


def decoded(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, plain text) of the first stretches that decode to readable text."""
    for match in islice(_BASE64.finditer(text), MAX_STRETCHES):
        yield from _readable(match, _from_base64(match.group()[:MAX_CHARS]))
    for match in islice(_HEX.finditer(text), MAX_STRETCHES):
        digits = re.sub(r"[^0-9a-fA-F]", "", match.group())[:MAX_CHARS]
        yield from _readable(match, bytes.fromhex(digits[: len(digits) // 2 * 2]))
    if "%" in text:
        for match in islice(_PERCENT.finditer(text), MAX_STRETCHES):
            yield *match.span(), unquote(match.group()[:MAX_CHARS])
    if "&#" in text:
        for match in islice(_ENTITIES.finditer(text), MAX_STRETCHES):
            yield *match.span(), html.unescape(match.group()[:MAX_CHARS])


def _from_base64(stretch: str) -> bytes:
    stretch = stretch.rstrip("=")
    try:
        return base64.b64decode(
            stretch[: len(stretch) // 4 * 4] if len(stretch) % 4 == 1 else stretch + "=" * (-len(stretch) % 4)
        )
    except binascii.Error:
        return b""


def _readable(match: re.Match[str], data: bytes) -> Iterator[tuple[int, int, str]]:
    plain = data.decode("utf-8", "ignore")
    if plain and sum(one.isprintable() or one.isspace() for one in plain) >= 0.9 * len(plain) and len(plain) * 2 > len(data):
        yield *match.span(), plain
