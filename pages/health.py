"""Health: what works, what does not, what that means for users, and what to do. For operators and admins."""

import streamlit as st

from engine.types import Role
from ui.components.health.dialogs import pending_dialog
from ui.components.health.head import head
from ui.components.health.section import refreshing
from ui.components.health.state import health_state
from ui.session import open_page

desk = open_page(roles=[Role.OPERATOR, Role.ADMIN])
state = health_state(desk)

range_, every = head(desk, state)
refreshing(desk, state, range_, every)
pending_dialog(desk, state, range_)
st.caption("Times are UTC.")
