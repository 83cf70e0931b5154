"""Runs of characters that no reader sees, told from those that scripts and emoji need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from engine.security.visible import TAGS

# Tag characters spell ASCII invisibly.
_TAG_RUN = re.compile(f"[{TAGS}]{{4,}}\U000e007f?")
# The flags of England, Scotland and Wales: a black flag, up to six of them, and U+E007F.
_FLAG, _FLAG_CHARS = "\U0001f3f4", 7
# Variation selectors 17 to 256 carry bytes; a real one stands alone.
_SELECTORS = re.compile("[\U000e0100-\U000e01ef]{4,}")
# No script puts invisible characters between several neighbouring Latin letters; soft hyphens (U+00AD) are left alone.
_BETWEEN = re.compile("(?:[A-Za-z0-9 .,][\u200b-\u200f\u2060-\u2064\ufeff]{1,8}){4,}[A-Za-z0-9 .,]?")
_RUN = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff\u180e]{12,}")
_REVERSED = re.compile("[\u202d\u202e][^\u202c\n]{4,400}\u202c?")


def hidden_spans(text: str, *, says: Callable[[str], float]) -> Iterator[tuple[int, int, float]]:
    """Yield (start, end, weight 0..1) of what is hidden in `text`; `says` judges a message that was spelled out."""
    if text.isascii():
        return
    for match in _TAG_RUN.finditer(text):
        if text.endswith(_FLAG, 0, match.start()) and len(match.group()) <= _FLAG_CHARS:
            continue
        yield *match.span(), max(0.8, says("".join(chr(ord(one) - 0xE0000) for one in match.group() if one != "\U000e007f")))
    for pattern, weight in ((_SELECTORS, 0.7), (_BETWEEN, 0.7), (_RUN, 0.6)):
        for match in pattern.finditer(text):
            yield *match.span(), weight
    for match in _REVERSED.finditer(text):
        yield *match.span(), max(0.55, says(match.group()[:0:-1].strip("\u202c")))
