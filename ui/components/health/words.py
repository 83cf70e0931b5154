"""Numbers and times in the words of the health page, and the looks of states: colour, icon and word go together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import streamlit as st

from engine.operations_views import BreakerState
from ui.components.colors import Color
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors

NONE = "–"
UNKNOWN: tuple[Color, str] = ("gray", ":material/help:")
CHECKS: dict[str, tuple[Color, str]] = {
    "ok": ("green", ":material/check_circle:"),
    "degraded": ("orange", ":material/warning:"),
    "failed": ("red", ":material/error:"),
}
BREAKERS: dict[BreakerState, tuple[Color, str]] = {
    BreakerState.OPEN: ("red", ":material/power_off:"),
    BreakerState.TRIPPED: ("red", ":material/front_hand:"),
    BreakerState.DRAINING: ("orange", ":material/hourglass_bottom:"),
    BreakerState.HALF_OPEN: ("orange", ":material/help_center:"),
    BreakerState.HELD: ("violet", ":material/lock:"),
    BreakerState.CLOSED: ("green", ":material/check_circle:"),
}
"""The worst first."""


def span(seconds: float) -> str:
    """Return a length of time in its two greatest units at most."""
    whole = max(0, round(seconds))
    for size, unit, below, part in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def ago(at: datetime | None) -> str:
    """Return how long ago a moment was."""
    return f"{span((datetime.now(UTC) - at).total_seconds())} ago" if at else "never"


def stamp(at: datetime | None) -> str:
    """Return a moment in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else NONE


def duration(ms: float) -> str:
    """Return a measured time with the unit that makes it readable."""
    return f"{ms / 1000:,.1f} s" if ms >= 1000 else f"{ms:,.0f} ms" if ms >= 10 or ms == 0 else f"{ms:.1f} ms"


def percent(share: float | None) -> str:
    """Return a share of 0..1 as a percentage."""
    return NONE if share is None else f"{share:.0%}".replace("%", " %") if share in (0, 1) else f"{100 * share:.1f} %"


def quantity(value: float | None, unit: str) -> str:
    """Return the value of a metric of alerts with its unit."""
    if value is None:
        return NONE
    if unit == "ms":
        return duration(value)
    if unit == "s":
        return span(value)
    number = f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"${value:,.2f}" if unit == "US$" else f"{number} {unit}".strip()


def bold(text: str, limit: int = 80) -> str:
    """Return a name as bold Markdown that shows exactly its words."""
    return f"**{escape(short(text, limit))}**"


def facts(pairs: dict[str, str]) -> str:
    """Return names and values as one line of Markdown that breaks between them; values are Markdown already."""
    return " \u2003 ".join(f":gray[{name}]\u00a0{value}" for name, value in pairs.items() if value)


@contextmanager
def panel(title: str, key: str, *, note: str = "") -> Iterator[None]:
    """A part of the page with its heading. What fails in it is told in it, and the other parts go on."""
    with st.container(key=f"health_panel_{key}"):
        st.subheader(title, anchor=False, help=note or None)
        with friendly_errors():
            yield
