"""Cells that spreadsheets would compute."""

from __future__ import annotations

import pytest

from engine.cells import neutral_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert neutral_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "plain", "a=b", "1-2", "'quoted"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert neutral_cell(text) == text
