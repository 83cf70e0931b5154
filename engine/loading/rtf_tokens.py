"""RTF (specification 1.9.1) as a flat stream of tokens. One pass, no recursion, no copy of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    rb"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<symbol>[^A-Za-z'])"
    rb"|(?P<open>\{)|(?P<close>\})|(?P<text>[^\\{}\r\n]+)",
    re.DOTALL,
)

OPEN, CLOSE, WORD, SYMBOL, BYTES = "open", "close", "word", "symbol", "bytes"
Token = tuple[str, bytes, int | None]


def tokens(data: bytes) -> Iterator[Token]:
    r"""Yield (kind, value, number); `\'hh` comes as BYTES, `\binN` takes its N bytes along. Noise is passed over."""
    at = 0
    while found := _TOKEN.search(data, at):
        at = found.end()
        kind = found.lastgroup
        if kind == "open":
            yield OPEN, b"", None
        elif kind == "close":
            yield CLOSE, b"", None
        elif kind == "text":
            yield BYTES, found["text"], None
        elif kind == "hex":
            yield BYTES, bytes((int(found["hex"], 16),)), None
        elif kind == "symbol":
            yield SYMBOL, found["symbol"], None
        else:
            number = int(found["number"]) if found["number"] else None
            if found["word"] == b"bin" and number and number > 0:
                at += number
            else:
                yield WORD, found["word"], number
