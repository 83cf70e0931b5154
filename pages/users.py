"""Users: who may sign in, what they may do, their groups, sessions and keys. For admins."""

import streamlit as st

from engine.types import Role
from ui.components.people.section import section
from ui.components.people.state import page_state
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page(roles=[Role.ADMIN])

st.title("Users", anchor=False)
with friendly_errors():
    section(desk, page_state(desk, "users"))
