"""Account: who I am, my password and second factor, where I am signed in, my API keys."""

import streamlit as st

from ui.components.own.profile import profile
from ui.components.people.state import page_state
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page()

st.title("Account", anchor=False)
with friendly_errors():
    profile(desk, page_state(desk, "account"))
