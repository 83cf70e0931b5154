"""Providers: who answers, who takes over, what does the other jobs, with which keys and at which cost. For admins."""

import streamlit as st

from engine.types import Role
from ui.components.providers.now import answers_now, notices
from ui.components.providers.offers import offer_bar
from ui.components.providers.section import section
from ui.components.providers.state import page_state
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page(roles=[Role.ADMIN])
state = page_state(desk)
choices = providers = None

st.title("Providers", anchor=False)
st.caption("Which models and stores do the work, in which order, with whose keys, and at which cost.")
with friendly_errors():
    choices = desk.call(desk.workbench.choices)
with friendly_errors():
    providers = desk.call(desk.workbench.providers)
with friendly_errors():
    if choices:
        answers_now(choices, providers or [])
notices(state)
offers = st.container()
with friendly_errors():
    section(desk, state, choices, providers)
# Last, for it may look at this machine: nothing above waits for it.
with offers, friendly_errors():
    offer_bar(desk, state)
