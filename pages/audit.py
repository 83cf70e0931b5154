"""Audit: the newest recorded actions. For admins."""

import streamlit as st

from engine.types import Role
from ui.components.tables import audit_table
from ui.failures import friendly_errors
from ui.session import open_page

NEWEST = 200

desk = open_page(roles=[Role.ADMIN])

st.title("Audit", anchor=False)
st.caption(f"The newest {NEWEST} recorded actions. Point at the table to search it or to download it.")
with friendly_errors():
    audit_table(desk.call(desk.workbench.audit, limit=NEWEST))
