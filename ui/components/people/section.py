"""The sections of the users page: only the chosen one is drawn, and the address remembers which."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ui.components.people.groups import groups_section
from ui.components.people.imports import import_section
from ui.components.people.invite import invite_section
from ui.components.people.keys import keys_section
from ui.components.people.roster import people_section
from ui.components.people.sessions import sessions_section
from ui.components.people.state import PageState
from ui.components.people.viewing import viewing_section
from ui.session import Desk

SECTIONS: dict[str, Callable[[Desk, PageState], None]] = {
    "People": people_section,
    "Invite": invite_section,
    "Groups": groups_section,
    "Sessions": sessions_section,
    "API keys": keys_section,
    "Import": import_section,
    "View as": viewing_section,
}
KEY = "users_section"


def section(desk: Desk, state: PageState) -> None:
    """Draw the switch and the chosen section."""
    if state.section:
        st.session_state[KEY], state.section = state.section, ""
    elif KEY not in st.session_state and KEY not in st.query_params:
        st.session_state[KEY] = "People"
    chosen = st.segmented_control(
        "Section",
        list(SECTIONS),
        required=True,
        key=KEY,
        label_visibility="collapsed",
        on_change=state.leave,
        bind="query-params",
    )
    SECTIONS[chosen or "People"](desk, state)
