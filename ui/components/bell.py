"""How many alerts fire, for the navigation. It is asked for at most every ten seconds, whoever looks and however often."""

from __future__ import annotations

import streamlit as st

from engine.errors import EngineError
from engine.types import Role
from ui.session import Desk

SECONDS = 10
QUIET, RINGING = ":material/monitor_heart:", ":material/notifications_active:"


def health_entry(desk: Desk) -> tuple[str, str]:
    """Return title and icon of the health page in the navigation."""
    firing = _firing(desk) if desk.principal.role in (Role.OPERATOR, Role.ADMIN) else 0
    return (f"Health ({firing})", RINGING) if firing else ("Health", QUIET)


# Shared by everybody who may see alerts: they are the same for all of them.
@st.cache_data(ttl=SECONDS, show_spinner=False)
def _firing(_desk: Desk) -> int:
    try:
        return sum(one.firing for one in _desk.call(_desk.workbench.alerts))
    except EngineError:  # the health page says why; every other page goes on
        return 0
