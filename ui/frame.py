"""The frame around every page: navigation by role, and who is signed in. The pages check the role again themselves."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.types import Role
from ui.components.account import account_menu
from ui.components.style import page_style
from ui.session import open_page

st.set_page_config(page_title="RAG Workbench", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")
page_style()
desk = open_page()

ANYONE, OPERATORS, ADMINS = frozenset(Role), frozenset({Role.OPERATOR, Role.ADMIN}), frozenset({Role.ADMIN})
PAGES = [
    (ANYONE, st.Page("../pages/chat.py", title="Chat", icon=":material/forum:", default=True)),
    (ANYONE, st.Page("../pages/documents.py", title="Documents", icon=":material/folder_open:")),
    (ADMINS, st.Page("../pages/providers.py", title="Providers", icon=":material/hub:")),
    (ADMINS, st.Page("../pages/users.py", title="Users", icon=":material/group:")),
    (ADMINS, st.Page("../pages/audit.py", title="Audit", icon=":material/history:")),
    (OPERATORS, st.Page("../pages/health.py", title="Health", icon=":material/monitor_heart:")),
]

page = st.navigation([page for roles, page in PAGES if desk.principal.role in roles], position="top")
page.run()
account_menu(desk.principal)
