"""RTF -> body text in order: paragraphs, headings by style or outline level, tables; pages end at manual page breaks."""

from __future__ import annotations

from pathlib import Path

from engine.documents import Document
from engine.errors import BrokenFile
from engine.loading.budget import BUDGET
from engine.loading.csv import header_row
from engine.loading.failures import reading
from engine.loading.flow import MAX_TITLE_CHARS, Flow, clean, one_line, row_line
from engine.loading.hidden import Hidden
from engine.loading.rtf_state import State, Tables
from engine.loading.rtf_tokens import BYTES, CLOSE, OPEN, SYMBOL, WORD, tokens

MEDIA_TYPE = "application/rtf"
_TABLES = frozenset({"fonttbl", "colortbl", "stylesheet"})
_SKIPPED = frozenset({
    "pict", "object", "objdata", "fldinst", "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr",
    "footerf", "xe", "tc", "bkmkstart", "bkmkend", "listtable", "listoverridetable", "revtbl", "rsidtbl", "themedata",
    "datastore", "author", "operator", "company", "template", "keywords", "comment", "doccomm", "subject", "category",
    "manager", "creatim", "revtim", "printim", "buptim", "annotation", "atnid", "atnauthor", "nonshppict", "filetbl", "pgptbl",
    "generator", "info",
})  # fmt: skip
# Destinations of newer writers that hold text of the document; all others behind \* are passed over.
_KEPT = frozenset({"shpinst", "shptxt", "shp", "footnote", "cs"})
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ", "softline": "\n", "nestcell": " ", "nestrow": " ",
}  # fmt: skip
_SYMBOLS = {b"\\": "\\", b"{": "{", b"}": "}", b"~": "\u00a0", b"_": "\u2011", b"-": "", b"\t": "\t"}
_MARKS = frozenset({"highlight", "cb", "chcbpat", "cbpat", "clcbpat"})
_UNSURE = "the file does not tell its page numbers: pages are counted by manual page breaks, so others may be shown"


class RtfLoader:
    """Hidden, deleted, white and tiny text, headers, footers, comments and pictures are left out; footnotes stay in place."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        BUDGET.get().check_chars(path.stat().st_size // 16)  # pictures in it are no text
        data = path.read_bytes()
        if data.strip() and not data.lstrip().startswith(b"{\\rtf"):
            raise BrokenFile("the file does not begin like an RTF document")
        reader = _Reader()
        with reading("the RTF document"):
            reader.read(data)
        pages = reader.flow.pages()
        warnings = () if len(pages) == 1 else (_UNSURE,)
        title = one_line(reader.tables.title)[:MAX_TITLE_CHARS]
        return Document(
            name=name, media_type=MEDIA_TYPE, pages=pages, title=title, warnings=(*warnings, *reader.hidden.warnings)
        )


class _Reader:
    def __init__(self) -> None:
        self.flow, self.hidden, self.tables = Flow(), Hidden(), Tables()
        self._state = State()
        self._groups: list[State] = []
        self._bytes = bytearray()
        self._parts: list[str] = []  # of the paragraph or cell in work
        self._unseen: list[str] = []
        self._reason = ""
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._in_table = self._star = False
        self._level = 0
        self._owed = 0  # characters after \u that stand for it in old readers

    def read(self, data: bytes) -> None:
        for kind, value, number in tokens(data):
            if kind == BYTES:
                self._text(value)
                continue
            if kind == SYMBOL:
                self._symbol(value)
                continue
            self._flush_bytes()
            if kind == OPEN:
                self._groups.append(self._state)
                self._state = self._state.copy()
            elif kind == CLOSE:
                self._state = self._groups.pop() if self._groups else State()
            else:
                self._word(value.decode("ascii"), number)
            self._owed = 0 if kind != WORD or value != b"u" else self._owed
            self._star = False
        self._paragraph()
        self._table()

    def _text(self, value: bytes) -> None:
        if self._owed:
            skipped = min(self._owed, len(value))
            self._owed -= skipped
            value = value[skipped:]
        if self._state.table:
            self.tables.text(self._state.table, value)
        elif not self._state.skip:
            self._bytes += value

    def _symbol(self, value: bytes) -> None:
        if self._owed and value in _SYMBOLS:
            self._owed -= 1
        elif value == b"*":
            self._star = True
        elif value in b"\r\n":
            self._flush_bytes()
            self._paragraph()
        elif value in _SYMBOLS:
            self._flush_bytes()
            self._say(_SYMBOLS[value])

    def _flush_bytes(self) -> None:
        if self._bytes:
            text = self._bytes.decode(self.tables.encoding(self._state.font), "replace")
            self._bytes.clear()
            self._say(text)

    def _say(self, text: str) -> None:
        if self._state.skip or self._state.table or not text:
            return
        if reason := self.tables.reason(self._state):
            if reason != self._reason:
                self._note_unseen()
            self._reason = reason
            self._unseen.append(text)
        else:
            self._parts.append(text)

    def _word(self, word: str, number: int | None) -> None:
        state = self._state
        if (self._star and word not in _KEPT) or word in _SKIPPED:
            # Of what describes the document only the title is wanted, which is a group of its own inside.
            state.skip, state.table = True, ""
        elif word in _TABLES:
            state.table = word
        elif word == "title" and state.skip:
            state.table = "title"
        elif state.table:
            self.tables.word(state.table, word, number, state)
        elif not state.skip and not self._format(word, number):
            self._structure(word, number)

    def _format(self, word: str, number: int | None) -> bool:
        """Take a word about characters; tell whether it was one."""
        state = self._state
        if word == "u" and number is not None:
            self._say(chr(number % 0x10000))
            self._owed = state.unicode_skip
        elif word in _CHARACTERS:
            self._say(_CHARACTERS[word])
        elif word in {"v", "deleted"}:
            state.hidden = number != 0
        elif word == "fs":
            state.size = 24 if number is None else number
        elif word == "cf":
            state.color = number or 0
        elif word in _MARKS:
            state.marked = bool(number)
        elif word == "plain":
            state.hidden, state.size, state.color, state.marked = False, 24, 0, False
        elif word == "f":
            state.font = -1 if number is None else number
        elif word == "uc":
            state.unicode_skip = max(0, min(number or 0, 16))
        else:
            return False
        return True

    def _structure(self, word: str, number: int | None) -> None:
        """Take a word about paragraphs, tables, or the document."""
        if word in {"par", "sect"}:
            self._paragraph()
        elif word == "page":
            self._paragraph()
            self._table()
            if not self.flow.empty:
                self.flow.end_page()
        elif word == "cell":
            self._cells.append(self._taken())
        elif word == "row":
            self._rows.append(self._cells)
            self._cells, self._in_table = [], False
        elif word == "intbl":
            self._in_table = True
        elif word == "pard":
            self._level, self._in_table = 0, False
        elif number is not None:
            self._numbered(word, number)

    def _numbered(self, word: str, number: int) -> None:
        if word == "s":
            self._level = self.tables.levels.get(number, 0)
        elif word == "outlinelevel":
            self._level = min(6, number + 1) if 0 <= number < 9 else 0
        elif word == "ansicpg":
            self.tables.page = number
        elif word == "deff":
            self.tables.default_font = number

    def _taken(self) -> str:
        """Return the text collected, with pairs of UTF-16 units joined, and begin anew."""
        text = "".join(self._parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self._note_unseen()
        self._parts = []
        return clean(text).strip()

    def _note_unseen(self) -> None:
        self.hidden.add(self._reason, "".join(self._unseen))
        self._unseen = []

    def _paragraph(self) -> None:
        if self._in_table or self._cells:
            if self._parts:
                self._parts.append("\n")  # several paragraphs in one cell
            return
        text = self._taken()
        if text:
            self._table()
            level = self._level
            self.flow.add(one_line(text) if level else text, kind="heading" if level else "paragraph", level=level)

    def _table(self) -> None:
        if self._cells:
            self._rows.append(self._cells)
            self._cells = []
        if self._in_table and self._parts:
            self._rows.append([self._taken()])
        if self._rows:
            found = header_row(self._rows[:50])
            header = row_line(self._rows[found]) if found is not None else ""
            self.flow.add_table([row_line(row) for row in self._rows], header=header)
            self._rows = []
