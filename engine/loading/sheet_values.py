"""Cell values of a spreadsheet as a person sees them: dates as ISO 8601, percentages with their sign, numbers without noise."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from lxml import etree

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
# ECMA-376 part 1, 18.8.30: built-in number formats.
_BUILT_IN_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_EXACT_CHARS = 12
_BUILT_IN_PERCENT = {9: "0%", 10: "0.00%"}
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)


class Formats:
    """What the number format of each cell style does to a value."""

    def __init__(self, styles: etree._Element | None, *, from_1904: bool) -> None:
        self._epoch = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)
        self._kinds: list[str] = []
        if styles is None:
            return
        custom = {node.get("numFmtId", ""): node.get("formatCode", "") for node in styles.iter(_S + "numFmt")}
        formats = styles.find(_S + "cellXfs")
        for style in formats if formats is not None else ():
            key = style.get("numFmtId", "0")
            self._kinds.append(_kind(int(key) if key.isdigit() else 0, custom.get(key, "")))

    def show(self, value: str, style: str) -> str:
        """Return the number in `value` as the cell style `style` (an index) shows it."""
        kind = self._kinds[int(style)] if style.isdigit() and int(style) < len(self._kinds) else ""
        try:
            number = float(value)
            if kind == "date":
                return self._date(number)
            if kind.startswith("percent"):
                return f"{number * 100:.{int(kind[7:])}f}%"
            # Short numbers stay as they are stored; long ones carry binary noise (0.30000000000000004).
            return value if len(value) <= _EXACT_CHARS else f"{number:.15g}"
        except (ValueError, OverflowError):
            return value

    def _date(self, number: float) -> str:
        when = self._epoch + timedelta(seconds=round(number * 86_400))
        if 0 <= number < 1:
            return when.strftime("%H:%M:%S").removesuffix(":00")
        day = when.date().isoformat()
        return day if when.time() == datetime.min.time() else f"{day} {when.time().isoformat().removesuffix(':00')}"


def _kind(built_in: int, code: str) -> str:
    code = _LITERAL.sub("", code or _BUILT_IN_PERCENT.get(built_in, "")).split(";")[0].lower()
    if "%" in code:
        decimals = re.search(r"\.(0+)", code)
        return f"percent{min(10, len(decimals[1])) if decimals else 0}"
    if built_in in _BUILT_IN_DATES or (code != "general" and re.search(r"[dmyh]|s", code)):
        return "date"
    return ""
