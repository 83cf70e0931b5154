"""Upkeep: backups, whether indexes agree with the database, what is removed when old, what is kept whatever happens."""

import streamlit as st

from engine.types import Role
from ui.components.people.state import failure_box, notice_bar, page_state
from ui.components.upkeep.section import section
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page(roles=[Role.OPERATOR, Role.ADMIN])
state = page_state(desk, "upkeep")

st.title("Upkeep", anchor=False)
st.caption("Backups, indexes that agree with the database, and what is kept for how long. Times are UTC.")
notice_bar(state)
failure_box(state)
with friendly_errors():
    section(desk, state)
