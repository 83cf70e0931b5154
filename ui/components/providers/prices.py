"""What the models cost. An empty cell means unknown, and then so are the costs of that model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Price
from ui.components.providers.state import PageState
from ui.components.safe_text import escape
from ui.failures import failure_text
from ui.session import Desk

WHAT = (
    "US dollars per one million tokens, as your contract says; nothing is looked up. An empty cell means unknown: costs of "
    "that model are then shown as unknown, never as zero. Enter 0 for a model that costs nothing."
)
INPUT, OUTPUT = "Input", "Output"


def prices_section(desk: Desk, state: PageState) -> None:
    """Draw the table of prices; what was edited is saved on a click."""
    prices = desk.call(desk.workbench.prices)
    st.caption(WHAT)
    if not prices:
        st.info("No model is in use or priced yet.", icon=":material/inbox:")
        return
    money = {
        name: st.column_config.NumberColumn(f"{name}, $ per 1M", min_value=0.0, max_value=1e6, step=0.0001, format="%.4f")
        for name in (INPUT, OUTPUT)
    }
    cells: dict[str, list[Any]] = {
        "Provider": [one.provider for one in prices],
        "Model": [one.model for one in prices],
        INPUT: [_cell(one.input_usd) for one in prices],
        OUTPUT: [_cell(one.output_usd) for one in prices],
    }
    edited = st.data_editor(
        cells,
        # Edits are kept by row number: another set of rows must not inherit them.
        key=f"providers_prices_{state.number}_{hash(tuple((one.provider, one.model) for one in prices))}",
        disabled=["Provider", "Model"],
        hide_index=True,
        column_config=money,
        placeholder="unknown",
        alt="Prices of the models in US dollars per one million tokens",
    )
    changes = changed(prices, edited)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save prices", key="providers_save_prices", type="primary", disabled=not changes):
            _save(desk, state, changes)
        if changes:
            st.caption(f"{len(changes)} not saved yet: {escape(', '.join(one.model or one.provider for one in changes))}")


def changed(prices: Sequence[Price], edited: Mapping[str, Sequence[Any]]) -> list[Price]:
    """Return the rows whose prices are not those of `prices` any more."""
    rows = zip(prices, edited[INPUT], edited[OUTPUT], strict=True)
    now = [
        Price(provider=one.provider, model=one.model, input_usd=_number(given), output_usd=_number(taken))
        for one, given, taken in rows
    ]
    return [new for old, new in zip(prices, now, strict=True) if new != old]


def _cell(price: float | None) -> float:
    # NaN keeps the column one of numbers, even when no price is known.
    return math.nan if price is None else price


def _number(cell: Any) -> float | None:
    # An emptied cell comes back as None or as NaN.
    return None if cell is None or cell != cell else float(cell)  # noqa: PLR0124


def _save(desk: Desk, state: PageState, changes: Sequence[Price]) -> None:
    refused = []
    for one in changes:
        try:
            desk.call(desk.workbench.set_price, one.provider, one.model, one.input_usd, one.output_usd)
        except EngineError as error:
            refused.append((False, f"**{escape(one.model or one.provider)}:** {failure_text(str(error), error.hint)}"))
    saved = len(changes) - len(refused)
    state.changed(*[(True, f"{saved} price{'s' * (saved != 1)} saved.")] * bool(saved), *refused)
    if not refused:
        state.number += 1
    st.rerun()
