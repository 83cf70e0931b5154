"""Text -> sentence spans, in any script: prose, headings, list items and the rows of tables that a PDF gives as lines.

Rule based, after the observation of Kiss and Strunk (2006) that most wrong breaks are abbreviations, initials and ordinals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

MAX_CHARS = 400
"""Longest unit without sentence ends (rows of a table); it is then broken at line ends, or else at spaces."""
MAX_PROSE_CHARS = 800
"""Longest sentence of prose."""
MAX_UNSPACED_CHARS = 160
"""Longest unit of a script that marks no sentence ends (Thai, Lao)."""

_CLOSERS = "\"'\u201d\u2019\u00bb)\\]}\u300d\u300f\uff09\u3011\u300b"
_END = re.compile(
    rf"(?<![.!?\u2026])(?P<dot>[.!?\u2026]++)(?P<tail>[{_CLOSERS}]*+(?:[ ]?\[\d+(?:[,\u2013-][ ]?\d+)*\])*)(?=\s|$)"
    rf"|[\u3002\uff01\uff1f\uff61](?P<close>[\u3002\uff01\uff1f\uff61{_CLOSERS}]*)"
    r"|[\u061f\u06d4\u0964\u0965\u0589\u1362\u104b\u17d4]+"
    r"|(?P<line>\n)|[\f\u2029]"
)
_NEXT = re.compile(r"(\s*)[\"'\u201c\u2018\u00ab(\[{\u00bf\u00a1\u201e]*(.{0,12})")
_GOES_ON = tuple("\u3068\u3063\u3067\u306e\u306f\u304c\u3092\u306b\u3001\uff0c,")  # a Japanese quotation inside its sentence
_WORD_BEFORE = re.compile(r"[^\s(\[\"\u201c\u2018/]*$")
_ITEM = re.compile(
    r"\s*(?:[\u2022\u2023\u25aa\u25cf\u25cb\u25e6\u00b7\uf0b7\u2013\u2014*+-]\s|#{1,6}\s|\|"
    # A capital with a dot is an initial more often than a list item: "Richard / A. Johnson".
    r"|\(?(?:\d{1,3}|[a-z]|[A-Z](?=\))|[ivx]{1,5}|[IVX]{2,5})[.)]\s"
    r"|(?:Item|ITEM|Note|NOTE|Part|PART|Section|SECTION|Chapter|Article|Table|Figure)\s+[\dIVX]+[A-Z]?[.:)\s])"
)
_ENUMERATOR = re.compile(
    r"\s*(?:#{1,6}\s*)?(?:(?:Item|ITEM|Note|NOTE|PART|Part|Section)\s+)?"
    r"\(?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})[.)]*\s*"
)
_NUMBER = re.compile(r"(?<![\w.$\u20ac\u00a3(])[$\u20ac\u00a3(]*+\d[\d,.]*+[%)]*+(?!\w)|(?<=\s)[\u2014\u2013-](?=\s|$)")
_ROW_TAIL = re.compile(r"(?:\s[$\u20ac\u00a3]?\s?(?:\(?\d(?:[\d,.]*\d)?[%)]*|[\u2014\u2013-])){2}\s*$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff]")
_VISIBLE = re.compile(r"\S")
_SOFT = re.compile(r"(?<=[;:,\uff0c\u3001\uff1b])\s*|\s+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_LAST = _words(
    "mr mrs ms dr prof rev hon gen sen rep gov capt sgt lt col st mt ft messrs mmes vs v cf fig figs eq eqs eqn no nos vol vols"
    " ch chap sec sect art para pp p pg ed eds tab ref refs approx ca est dept univ assn bros e.g eg i.e ie viz resp"
    " jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri z.b d.h bzw u.a ggf nr abs bd hrsg vgl"
    " c.f w.r.t s.a al"
)
_MAYBE_LAST = _words(
    "inc corp ltd co llc plc cos jr sr esq etc u.s u.k u.n e.u u.s.a d.c a.m p.m ph.d m.d b.a m.a b.sc m.sc n.v s.a s.p.a"
    " ave blvd rd usw"
)
_STARTERS = _words(
    "the this that these those it its we our they their there he his she her in on at for from with by as if when while"
    " however although because since during after before under over all each no any some such both another to an a is are"
    " and but or so what why how who where which also additionally moreover furthermore finally first second as"
    " der die das ein eine wir sie er es"
)
_FUNCTION_WORDS = _words("of the and or a an to in on for with by from as at our its their is are was were be that which")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each sentence, in order, without surrounding whitespace; `text[start:end]` is the sentence.

    Every character that is not whitespace lies in exactly one span. A line end alone ends a sentence only where the layout
    says so: before a list item, at a heading, between the rows of a table, after a line that stopped early.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in [*_ends(text), len(text)]:
        trimmed = _trim(text, start, end)
        if trimmed:
            spans += _within_limit(text, *trimmed)
        start = end
    return spans


def _ends(text: str) -> Iterator[int]:
    breaks = _line_breaks(text)
    start = 0
    for match in _END.finditer(text):
        if match["line"] is not None:
            ends = match.start() in breaks
        elif match["dot"] is not None:
            ends = _is_end(text, start, match)
        else:
            ends = not (match["close"] and text.startswith(_GOES_ON, match.end()))
        if ends:
            yield match.end()
            start = match.end()


def _is_end(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the full stop, question or exclamation mark of `match` ends the sentence that began at `start`."""
    next_word = _NEXT.match(text, match.end())
    gap, after = next_word.groups() if next_word else ("", "")
    if not after:
        return True
    if after[0].islower():
        return "\n" in gap and bool(_ITEM.match(after))
    if match["dot"] != ".":
        return True
    if match["tail"] and not match["tail"].startswith((")", "]", "}", "'", "\u2019")):
        return True
    before = _WORD_BEFORE.search(text, max(start, match.start() - 24), match.start())
    return _may_end(before.group() if before else "", after, text[max(start, match.start() - 24) : match.end()])


def _may_end(word: str, after: str, sentence: str) -> bool:
    """Whether a sentence may end with `word` and a full stop, when `after` follows."""
    if _ENUMERATOR.fullmatch(sentence):
        return False
    key = word.casefold().lstrip("\u2018(")
    if key in _NEVER_LAST:
        return key == "no" and not after[0].isdigit()
    initial = len(word) == 1 and word.isalpha() and word.isupper()
    if key in _MAYBE_LAST or initial or re.fullmatch(r"(?:[a-z]\.)+[a-z]", key):
        return re.split(r"[^\w]", after.casefold(), maxsplit=1)[0] in _STARTERS and not (initial and after.startswith("A."))
    return True


def _line_breaks(text: str) -> set[int]:
    """Return the positions of the newlines that end a sentence even without punctuation."""
    breaks: set[int] = set()
    lines = text.split("\n")
    lengths = sorted(len(line) for line in lines if line.strip())
    # The ninth decile, not the longest: one wide table row must not make every line of prose look short.
    width = lengths[len(lengths) * 9 // 10] if lengths else 0
    position = -1
    row = _is_row(lines[0])
    for line, after in pairwise(lines):
        position += len(line) + 1
        next_row = _is_row(after)
        if row or (next_row and not after.lstrip()[0].islower()) or _breaks(line.strip(), after.strip(), width=width):
            breaks.add(position)
        row = next_row
    return breaks


def _breaks(line: str, after: str, *, width: int) -> bool:
    """Whether the layout parts two stripped lines: an item or a heading follows, or `line` stopped well before `width`."""
    if not line or not after or _ITEM.match(after):
        return True
    if after[0].islower() or line[-1] in ",-\u2013(&" or line.rsplit(None, 1)[-1].casefold() in _FUNCTION_WORDS:
        return False
    if line[-1] == ":" or (line.isupper() != after.isupper() and after[0].isalnum()):
        return True
    return len(line) + len(after.split(None, 1)[0]) < 0.7 * width


def _is_row(line: str) -> bool:
    """Whether a line is a table row: it ends in two numbers, or a third of its words are numbers."""
    if not any(map(line.__contains__, "0123456789")):
        return False
    if _ROW_TAIL.search(line, max(0, len(line) - 40)):
        return True
    numbers = len(_NUMBER.findall(line))
    return numbers >= 2 and numbers * 3 >= len(line.split())


def _within_limit(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the span, broken at line ends, then at punctuation or spaces, where it is too long to be one sentence."""
    limit = _limit(text, start, end)
    while end - start > limit:
        cut = text.rfind("\n", start + 1, start + limit)
        if cut <= start + limit // 4:
            cut = _soft_cut(text, start, start + limit)
        yield from _span(text, start, cut)
        visible = _VISIBLE.search(text, cut, end)
        if visible is None:
            return
        start = visible.start()
    yield start, end


def _limit(text: str, start: int, end: int) -> int:
    if end - start <= MAX_UNSPACED_CHARS:
        return MAX_CHARS
    if len(_UNSPACED.findall(text, start, min(end, start + 200))) > 60:
        return MAX_UNSPACED_CHARS
    piece = text[start : min(end, start + 4 * MAX_PROSE_CHARS)]
    prose = sum(map(piece.count, ",;:\u2014(")) * 250 > len(piece) and len(_NUMBER.findall(piece)) * 8 < len(piece.split())
    return MAX_PROSE_CHARS if prose else MAX_CHARS


def _soft_cut(text: str, start: int, end: int) -> int:
    """Return where to cut (start, end]: after the last space or comma of the second half, else between two characters."""
    cuts = [match.end() for match in _SOFT.finditer(text, start + (end - start) // 2, end)]
    if cuts:
        return cuts[-1]
    return character_cut(text, start, end)


def character_cut(text: str, start: int, end: int) -> int:
    """Return `end`, or the position up to 32 before it that parts no letter from its marks and no joined emoji."""
    for cut in range(end, max(start, end - 32), -1):
        if cut >= len(text) or not (_joins(text[cut]) or text[cut - 1] == "\u200d"):
            return cut
    return end


def _joins(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff"


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, start + len(piece.rstrip())) if left < len(piece) else None


def _span(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    trimmed = _trim(text, start, end)
    if trimmed:
        yield trimmed
