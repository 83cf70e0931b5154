"""Users: who may sign in, and adding one. For admins."""

import streamlit as st

from engine.types import Role
from ui.components.new_user import new_user_form
from ui.components.tables import user_table
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page(roles=[Role.ADMIN])

st.title("Users", anchor=False)
people = st.container()
new_user_form(desk)
with people, friendly_errors():
    user_table(desk.call(desk.workbench.users))
st.caption("Here you can add users. Changing a role, a password or disabling a user cannot be done here.")
st.caption("To share a collection, run `python -m engine grant COLLECTION USER --right read` on the server.")
