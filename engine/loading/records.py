"""Structured data as a reader sees it: objects as "key: value" lines under headings, lists of flat records as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from engine.loading.csv import add_rows
from engine.loading.flow import CELL_SEPARATOR, MAX_TITLE_CHARS, Flow, clean, one_line

Value: TypeAlias = object
"""What a JSON parser returns: dict, list, str, bool or None; numbers as they were written."""

MAX_COLUMNS = 200
MAX_HEADINGS = 2_000
MAX_LINE_LIST = 500
_NAMES = ("title", "name", "label", "id", "key")


def text_of(value: Value) -> str:
    """Return a scalar as it is shown."""
    return "" if value is None else {True: "true", False: "false"}[value] if isinstance(value, bool) else clean(str(value))


def table_of(records: Sequence[Value]) -> list[list[str]] | None:
    """Return rows with a header, or None when the records are not flat, or share too few of their columns."""
    if len(records) < 2:
        return None
    columns: dict[str, None] = {}
    filled = 0
    for record in records:
        if not isinstance(record, dict) or not record or any(isinstance(value, (dict, list)) for value in record.values()):
            return None
        columns.update(dict.fromkeys(record))
        filled += len(record)
        if len(columns) > MAX_COLUMNS:
            return None
    if filled < 0.5 * len(columns) * len(records):
        return None
    names = list(columns)
    rows = [[_cell(record.get(name)) for name in names] for record in records if isinstance(record, dict)]
    return [[_cell(name) for name in names], *rows]


def _cell(value: Value) -> str:
    return one_line(text_of(value)).replace(CELL_SEPARATOR, " / ")


def _fields(key: str, value: Value) -> list[tuple[str, Value]]:
    if not isinstance(value, dict) or not all(map(_plain, value.values())):
        return [(key, value)]
    return [(f"{key}.{name}", inner) for name, inner in value.items()]


def _plain(value: Value) -> bool:
    return not isinstance(value, dict) and not (isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value))


def add_table(flow: Flow, rows: Sequence[Sequence[str]]) -> None:
    """Append rows whose first is their header."""
    header = CELL_SEPARATOR.join(rows[0])
    lines = [CELL_SEPARATOR.join(row) for row in rows]
    flow.add_table([line for line in lines if line.strip(" |")], header=header)


class Teller:
    """Appends values to a flow without recursion, however deep they are nested."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._headings = 0
        # (path of keys, value): what is still to be told, the next one last
        self._stack: list[tuple[tuple[str, ...], Value]] = []

    def tell(self, value: Value) -> None:
        """Append a value whole."""
        self._stack.append(((), value))
        while self._stack:
            path, at = self._stack.pop()
            if isinstance(at, dict):
                self._object(path, at)
            elif isinstance(at, list):
                self._list(path, at)
            else:
                self._scalar(path, at)

    def _scalar(self, path: tuple[str, ...], value: Value) -> None:
        text = text_of(value)
        key = path[-1] if path else ""
        if text:
            self._flow.add(f"{key}: {text}" if key else text)

    def _object(self, path: tuple[str, ...], value: Mapping[str, Value]) -> None:
        self._heading(path, value)
        # Scalars first: below a heading of another key they would seem to belong to that.
        ordered = sorted(value.items(), key=lambda item: isinstance(item[1], (dict, list)))
        if path and path[-1].startswith("["):
            # In a record, a flat object is a group of its fields and no section.
            ordered = [pair for key, inner in ordered for pair in _fields(key, inner)]
        self._later(((*path, one_line(str(key))), inner) for key, inner in ordered)

    def _list(self, path: tuple[str, ...], value: Sequence[Value]) -> None:
        if not any(isinstance(one, (dict, list)) for one in value):
            self._scalars(path, [text_of(one) for one in value])
            return
        self._heading(path, None)
        if rows := table_of(value):
            add_table(self._flow, rows)
        elif all(isinstance(one, list) and not any(isinstance(cell, (dict, list)) for cell in one) for one in value):
            add_rows(self._flow, [[_cell(cell) for cell in one] for one in value if isinstance(one, list)])
        else:
            self._later(((*path, f"[{number}]"), one) for number, one in enumerate(value, start=1))

    def _scalars(self, path: tuple[str, ...], values: Sequence[str]) -> None:
        line = ", ".join(filter(None, values))
        key = f"{path[-1]}: " if path else ""
        if len(line) <= MAX_LINE_LIST:
            self._scalar(path, line)
            return
        self._flow.add("\n".join([*([key.strip()] if key else []), *(f"- {value}" for value in values if value)]))

    def _later(self, items: Iterable[tuple[tuple[str, ...], Value]]) -> None:
        self._stack.extend(reversed(list(items)))

    def _heading(self, path: tuple[str, ...], value: Mapping[str, Value] | None) -> None:
        """Head what follows with its key, an element of a list with its number and name; past a bound only by a gap."""
        if not path:
            return
        title = path[-1]
        if title.startswith("["):
            name = next((text_of(value[key]) for key in _NAMES if value and isinstance(value.get(key), str)), "")
            title = f"{title} {one_line(name)}".strip()
        self._headings += 1
        if self._headings > MAX_HEADINGS:
            self._flow.add("")
            self._flow.add(f"{'.'.join(path)[-MAX_TITLE_CHARS:]}:")
        else:
            self._flow.add(title[:MAX_TITLE_CHARS] or "-", kind="heading", level=min(6, len(path)))
