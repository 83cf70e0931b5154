"""Text of documents, models and users inside Markdown: shown letter by letter, never interpreted.

Streamlit reads Markdown in two rounds. The parser honours backslashes, so every ASCII punctuation mark gets one (CommonMark
0.31, section 2.4). Emoji and icon names, bare web addresses and typographic arrows are found afterwards, in the text that is
left; a zero-width space keeps those apart.
"""

from __future__ import annotations

import re
import string

GAP = "\u200b"

_MARKS = re.compile(f"([{re.escape(string.punctuation)}])")
_LATE = re.compile(r":(?=\S)|(?<=[^\s])@|(?<=www)(?=\.)|-(?=[->])|<(?=[-=])|>(?==)|~(?==)", re.IGNORECASE)
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Return `text` as one line of Markdown that shows exactly its words; runs of white space become one space.

    Control characters and marks that reverse the writing direction are left out: they could make a name read as another.
    """
    line = " ".join(_INVISIBLE.sub("", text).split())
    return _MARKS.sub(r"\\\1", _LATE.sub(lambda found: found.group() + GAP, line))


def plain(text: str) -> str:
    """Return `text` as one line for places that know no Markdown, such as cells: without what could make it read otherwise."""
    return " ".join(_INVISIBLE.sub("", text).split())


def escape_lines(text: str) -> str:
    """Return `text` as Markdown that keeps its line breaks."""
    return "  \n".join(escape(line) for line in text.splitlines())


def counted(number: int, thing: str) -> str:
    """Return a number with its noun, such as "1 page" or "1,204 pages"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def short(text: str, limit: int = 60) -> str:
    """Return `text` in at most `limit` characters, the middle left out: beginnings and file endings tell most."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    tail = (limit - 1) // 3
    return f"{line[: limit - 1 - tail]}…{line[-tail:]}"
