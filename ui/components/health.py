"""Tiles of the health page: a word, an icon and a colour; the effect on users and the next step where something is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.views import Check
from ui.components.colors import Color
from ui.components.safe_text import escape

LOOKS: dict[str, tuple[Color, str]] = {
    "ok": ("green", ":material/check_circle:"),
    "degraded": ("orange", ":material/warning:"),
    "failed": ("red", ":material/error:"),
}
UNKNOWN: tuple[Color, str] = ("gray", ":material/help:")


def health_tiles(checks: Sequence[Check]) -> None:
    """Draw the overall state and one tile for each check, the worst first."""
    order = {"failed": 0, "degraded": 1}
    ranked = sorted(checks, key=lambda one: order.get(one.state, 2))
    bad = [one for one in ranked if one.state in order]
    if not bad:
        st.success(f"All {len(ranked)} checks are fine.", icon=":material/check_circle:")
    else:
        st.warning(f"{len(bad)} of {len(ranked)} checks need attention.", icon=":material/warning:")
    with st.grid(min_column_width=280):
        for one in ranked:
            _tile(one)


def _tile(one: Check) -> None:
    color, icon = LOOKS.get(one.state, UNKNOWN)
    with st.container(border=True, height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escape(one.name)}**", width="stretch")
            st.badge(escape(one.state), icon=icon, color=color)
        st.markdown(escape(one.detail))
        if one.effect:
            st.markdown(f"**Effect:** {escape(one.effect)}")
        if one.hint:
            st.markdown(f"**Next step:** {escape(one.hint)}")
        if one.elapsed_ms:
            st.caption(f"checked in {one.elapsed_ms:.0f} ms")
