"""Audit: who did what, whether the record is whole, and which documents fed which answers. For admins."""

import streamlit as st

from engine.types import Role
from ui.components.audit.entries import entries_section
from ui.components.audit.sources import sources_section
from ui.components.audit.state import audit_state
from ui.components.audit.verification import verification
from ui.failures import friendly_errors
from ui.session import open_page

ACTIONS = "Actions"
SOURCES = "Sources of answers"

desk = open_page(roles=[Role.ADMIN])
state = audit_state(desk)

verification(desk, state)
chosen = st.segmented_control(
    "Section", [ACTIONS, SOURCES], default=ACTIONS, required=True, key="audit_section", label_visibility="collapsed"
)
with friendly_errors():
    if chosen == SOURCES:
        sources_section(desk)
    else:
        entries_section(desk, state)
