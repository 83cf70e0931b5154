"""Cells of tables that leave the workbench: nothing in them may become a formula of the program that opens them."""

from __future__ import annotations

# OWASP, "CSV Injection": how spreadsheets recognise a formula, and the white space that some of them skip before it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def neutral_cell(text: str) -> str:
    """Return `text` with a leading apostrophe when a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
