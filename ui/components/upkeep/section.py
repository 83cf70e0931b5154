"""Which part of the page is shown; operators see what runs, admins also what is removed and kept."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.types import Role
from ui.components.people.state import PageState
from ui.components.upkeep.agreement import agreement_section
from ui.components.upkeep.backups import backups_section
from ui.components.upkeep.holds import holds_section
from ui.components.upkeep.retention import retention_section
from ui.session import Desk

SECTIONS: dict[str, Callable[[Desk, PageState], None]] = {
    "Backups": backups_section,
    "Agreement": agreement_section,
    "Retention": retention_section,
    "Legal holds": holds_section,
}
FOR_ADMINS = ("Retention", "Legal holds")


def section(desk: Desk, state: PageState) -> None:
    """Draw the chooser and what was chosen."""
    names = [name for name in SECTIONS if name not in FOR_ADMINS or desk.principal.role is Role.ADMIN]
    chosen = st.segmented_control(
        "Section", names, default=names[0], required=True, key="upkeep_section", label_visibility="collapsed",
        on_change=state.leave,
    )  # fmt: skip
    SECTIONS[chosen](desk, state)
