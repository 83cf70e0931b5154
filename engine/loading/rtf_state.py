"""What RTF carries from token to token: the state of a group, and the tables in front of the text (fonts, colours, styles)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from engine.loading.encoding import guess_encoding

# \fcharset -> code page (specification 1.9.1, font table); others have no code page of their own.
_CHARSETS = {
    0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255,
    178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850,
}  # fmt: skip
_PAGES = {10000: "mac-roman", 65001: "utf-8", 708: "iso8859-6", 10007: "mac-cyrillic", 1361: "johab"}
MIN_HALF_POINTS = 4
MAX_NAME, MAX_TITLE = 250, 2_000
WHITE = (255, 255, 255)
_HEADING = re.compile(r"\b(?:heading|überschrift|titre|título)\s*([1-9])\b", re.IGNORECASE)


def encoding_of(page: int) -> str:
    """Return Python's name of a code page; one that it does not know is read as Western."""
    name = _PAGES.get(page, f"cp{page}")
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name


@dataclass(slots=True)
class State:
    """The properties of a group; `copy` when one opens, the former again when it closes."""

    skip: bool = False
    table: str = ""  # the table of the header that the group belongs to
    hidden: bool = False
    size: int = 24
    color: int = 0
    marked: bool = False  # something behind the text: its colour proves nothing
    unicode_skip: int = 1
    font: int = -1

    def copy(self) -> State:
        """Return the same properties for an inner group."""
        return State(self.skip, self.table, self.hidden, self.size, self.color, self.marked, self.unicode_skip, self.font)


@dataclass(slots=True)
class Tables:
    """Fonts by their code page, colours, heading levels of styles, and the title."""

    page: int = 1252
    default_font: int = -1
    fonts: dict[int, int] = field(default_factory=dict)
    colors: list[tuple[int, int, int]] = field(default_factory=list)
    levels: dict[int, int] = field(default_factory=dict)
    title: str = ""
    _color: list[int] = field(default_factory=lambda: [-1, -1, -1])
    _style: int = -1
    _name: str = ""

    def encoding(self, font: int) -> str:
        """Return the encoding of bytes in a font."""
        return encoding_of(self.fonts.get(font if font >= 0 else self.default_font, self.page))

    def word(self, table: str, word: str, number: int | None, state: State) -> None:
        """Take a control word inside a table of the header."""
        if table == "fonttbl":
            if word == "f" and number is not None:
                state.font = number
            elif word == "fcharset" and number in _CHARSETS:
                self.fonts[state.font] = _CHARSETS[number]
            elif word == "cpg" and number:
                self.fonts[state.font] = number
        elif table == "colortbl" and word in {"red", "green", "blue"}:
            self._color[("red", "green", "blue").index(word)] = number or 0
        elif table == "stylesheet":
            if word in {"s", "cs", "ds", "ts"} and number is not None:
                self._style, self._name = (number, "") if word == "s" else (-1, "")
            elif word == "outlinelevel" and number is not None and number < 9 and self._style >= 0:
                self.levels[self._style] = min(6, number + 1)

    def text(self, table: str, data: bytes) -> None:
        """Take text inside a table of the header."""
        if table == "colortbl":
            for _ in range(data.count(b";")):
                self.colors.append((self._color[0], self._color[1], self._color[2]))
                self._color = [-1, -1, -1]
        elif table == "stylesheet":
            # Bounded: names of styles are looked through each time that a piece of one comes.
            self._name = (self._name + data.decode("cp1252", "replace"))[:MAX_NAME]
            if found := _HEADING.search(self._name):
                self.levels.setdefault(self._style, min(6, int(found[1])))
            if b";" in data:
                self._style, self._name = -1, ""
        elif table == "title":
            self.title = self.title[:MAX_TITLE] + data.decode(
                guess_encoding(data) if self.page == 1252 else encoding_of(self.page), "replace"
            )

    def reason(self, state: State) -> str:
        """Return why text in this state is not seen on paper, or ""."""
        if state.hidden:
            return "text formatted as hidden"
        if state.size < MIN_HALF_POINTS:
            return "text too small to see"
        white = 0 < state.color < len(self.colors) and self.colors[state.color] == WHITE
        return "white text" if white and not state.marked else ""
