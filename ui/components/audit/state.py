"""What the audit page remembers in one browser tab, beside its widgets."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from engine.audit_views import AuditQuery, SavedView, Verification
from ui.session import Desk

_KEY = "audit"


@dataclass(slots=True)
class AuditState:
    """The page in one tab. `before` holds the numbers from which older entries were asked for, newest first.

    Widgets of the filters have `number` in their keys: they start afresh from `start` when it changes.
    """

    session_id: str
    number: int = 0
    start: AuditQuery = field(default_factory=AuditQuery)
    before: list[int] = field(default_factory=list)
    checked: Verification | None = None
    export: tuple[str, bytes] | None = None
    views: list[SavedView] = field(default_factory=list)

    def begin(self, query: AuditQuery) -> None:
        """Show another filter from its newest entries on."""
        self.start, self.number = query, self.number + 1
        self.before.clear()
        self.export = None


def audit_state(desk: Desk) -> AuditState:
    """Return the state of this tab; that of another sign-in is thrown away."""
    state = st.session_state.get(_KEY)
    if not isinstance(state, AuditState) or state.session_id != desk.principal.session_id:
        state = st.session_state[_KEY] = AuditState(desk.principal.session_id)
    return state
