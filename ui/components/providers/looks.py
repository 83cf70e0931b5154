"""How the state of a provider, a choice, an address and a time look everywhere on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import streamlit as st

from engine.provider_views import Choice, ProviderInfo
from engine.registry import ROLES
from ui.components.colors import Color
from ui.components.safe_text import escape, short

LOOKS: dict[str, tuple[Color, str]] = {
    "ready": ("green", ":material/check_circle:"),
    "failing": ("red", ":material/error:"),
    "untested": ("gray", ":material/help:"),
}
GONE: tuple[Color, str] = ("orange", ":material/warning:")


def state_badge(info: ProviderInfo | None) -> None:
    """Draw the state of a provider as an icon, a word and a colour."""
    state = info.state if info else "unknown"
    color, icon = LOOKS.get(state, GONE)
    st.badge(escape(state), icon=icon, color=color)


def named(choice: Choice) -> str:
    """Return a provider and its model as Markdown, the provider in bold."""
    model = f" · {escape(short(choice.model, 60))}" if choice.model else ""
    return f"**{escape(short(choice.provider, 60))}**{model}"


def moment(at: datetime) -> str:
    """Return a time for people."""
    return f"{at:%d %b %Y %H:%M} UTC"


def embedded(kind: str) -> bool:
    """Return whether a kind of provider runs in the data folder when it has no address."""
    return any(kind in table and table[kind].embedded for table in ROLES.values())


def failing(providers: Sequence[ProviderInfo]) -> set[str]:
    """Return the names of the providers whose last call failed."""
    return {one.name for one in providers if one.state == "failing"}


def by_name(providers: Sequence[ProviderInfo]) -> Mapping[str, ProviderInfo]:
    """Return providers by their names, in order."""
    return {one.name: one for one in providers}
