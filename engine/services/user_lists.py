"""A list of users as spreadsheets write it: CSV with or without a header, separated by comma, semicolon or tab."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.database.users import clean_name
from engine.errors import InputError
from engine.types import Role

MAX_CHARS = 1_000_000
MAX_LINES = 2000
COLUMNS = ("name", "role", "groups")
_NAMES = {"user": "name", "username": "name", "user name": "name", "group": "groups"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: `problem` says why it cannot be taken. An empty role is "analyst"."""

    number: int
    name: str
    role: str
    groups: tuple[str, ...] = ()
    problem: str = ""


def parse(text: str) -> list[Line]:
    """Return the lines that are not empty. Raises InputError for a list that is too long, or no CSV."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARS:
        raise InputError(f"the list is longer than {MAX_CHARS:,} characters", hint="Split it.")
    delimiter = _delimiter(text)
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, [cell.strip() for cell in row]))
            if len(rows) > MAX_LINES + 1:
                break
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} is no CSV: {error}", hint="Save the list as CSV (UTF-8) again.") from error
    columns = _header(rows[0][1]) if rows else None
    if columns:
        rows = rows[1:]
    if len(rows) > MAX_LINES:
        raise InputError(f"the list has more than {MAX_LINES:,} lines", hint="Split it.")
    if not rows:
        raise InputError("the list is empty", hint="Each line is a name, a role, and groups separated by semicolons.")
    seen: dict[str, int] = {}
    return [_line(number, row, columns or COLUMNS, seen) for number, row in rows]


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return "\t" if "\t" in bare else "," if "," in bare else ";" if ";" in bare else ","


def _header(row: Sequence[str]) -> tuple[str, ...] | None:
    names = tuple(_NAMES.get(cell.casefold(), cell.casefold()) for cell in row)
    if "name" not in names:
        return None
    unknown = [name for name in names if name and name not in COLUMNS]
    if unknown:
        raise InputError(f"unknown column {unknown[0]!r}", hint=f"Known columns: {', '.join(COLUMNS)}.")
    return names


def _line(number: int, row: Sequence[str], columns: Sequence[str], seen: dict[str, int]) -> Line:
    cells = dict(zip(columns, row, strict=False))
    # Groups are last; where the separator is the semicolon they are cells of their own.
    rest = row[len(columns) :] if columns[-1] == "groups" else []
    groups = [group.strip() for group in ";".join([cells.get("groups", ""), *rest]).split(";") if group.strip()]
    role = cells.get("role", "").lower() or Role.ANALYST.value
    name, problem = cells.get("name", "").strip().lower(), ""
    try:
        name = clean_name(name)
        if role not in list(Role):
            problem = f"unknown role {role!r}; known: {', '.join(Role)}"
        elif name in seen:
            problem = f"the name is on line {seen[name]} already"
    except InputError as error:
        problem = str(error)
    seen.setdefault(name, number)
    return Line(number=number, name=name[:100], role=role[:20], groups=tuple(dict.fromkeys(groups)), problem=problem)
