"""Health: what works, what does not, what that means for users, and what to do. For operators and admins."""

import streamlit as st

from engine.types import Role
from ui.components.health import health_tiles
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page(roles=[Role.OPERATOR, Role.ADMIN])

with st.container(horizontal=True, vertical_alignment="center"):
    st.title("Health", width="stretch", anchor=False)
    st.button("Check now", icon=":material/refresh:", key="health_again")
with st.spinner("Checking"), friendly_errors():
    health_tiles(desk.call(desk.workbench.health))
