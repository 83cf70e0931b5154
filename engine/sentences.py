"""Text -> sentence spans, in any script."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])|\n\s*\n")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each sentence, in order, without surrounding whitespace; `text[start:end]` is the sentence."""
    spans: list[tuple[int, int]] = []
    start = 0
    for end in [match.end() for match in _END.finditer(text)] + [len(text)]:
        piece = text[start:end]
        if piece.strip():
            left = start + len(piece) - len(piece.lstrip())
            spans.append((left, start + len(piece.rstrip())))
        start = end
    return spans
