"""Text -> what its characters mean to a reader of letters: one spelling for each letter, invisible characters taken out.

Every character of the result knows where it came from, so that a finding can be shown in the text as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from engine.words import INVISIBLE

TAGS = "\U000e0020-\U000e007e"
# Letters of Cyrillic and Greek that look like Latin ones (the common part of Unicode TR 39's confusables).
_LOOKALIKES = dict(
    zip(
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u051b\u051d\u0501\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0405\u0408"
        "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
        "aeopcyxijshqwdABEKMHOPCTXISJaopviktuABEZHIKMNOPTYX",
        strict=True,
    )
)
_MIXED = re.compile(r"[a-zA-Z][\u0370-\u04ff\u0500-\u052f]|[\u0370-\u04ff\u0500-\u052f][a-zA-Z]")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Visible:
    """`text` is what can be read; `origin[i]` is the offset in the source of its character i (None = the same one)."""

    text: str
    origin: Sequence[int] | None = None

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the source text behind `text[start:end]`, which is not empty."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def visible(source: str) -> Visible:
    """Return the readable text of `source`: NFKC, Latin letters without accents, look-alikes inside Latin words as Latin.

    Every kind of white space becomes one space, but line ends stay.
    """
    if source.isascii() and not INVISIBLE.search(source):
        return Visible(source)
    parts: list[str] = []
    origin: list[int] = []
    latin = _latin_words(source)
    for index, character in enumerate(source):
        plain = character if character < "\x7f" and character >= " " else _plain(character)
        if index in latin and character in _LOOKALIKES:
            plain = _LOOKALIKES[character]
        if plain:
            parts.append(plain)
            origin.extend([index] * len(plain))
    return Visible("".join(parts), origin)


def _latin_words(source: str) -> frozenset[int]:
    """Return the offsets inside words that mix Latin letters with look-alikes of another script."""
    if not _MIXED.search(source):
        return frozenset()
    words = (match for match in _WORD.finditer(source) if _MIXED.search(match.group()))
    return frozenset(index for match in words for index in range(*match.span()))


_known: dict[str, str] = {}


def _plain(character: str) -> str:
    plain = _known.get(character)
    if plain is None:
        plain = _known[character] = _made_plain(character)
    return plain


def _made_plain(character: str) -> str:
    if character in "\n\r\u2028\u2029\x85":
        return "\n"
    if character == "\t" or unicodedata.category(character) == "Zs":
        return " "
    if INVISIBLE.fullmatch(character):
        return ""
    folded = unicodedata.normalize("NFKC", character)
    base = unicodedata.normalize("NFD", folded)
    if base[0] < "\u0250" and len(base) > 1:
        folded = "".join(one for one in base if not unicodedata.combining(one))
    if len(folded) == 1 and "\u0300" <= folded <= "\u036f":
        return ""
    return folded.replace("\u0130", "I")
