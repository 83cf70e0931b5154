"""The frame around every page: navigation by role, and who is signed in. The pages check the role again themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from engine.types import Role
from ui.components.account import account_menu
from ui.components.bell import health_entry
from ui.components.people.state import forget_other_pages
from ui.components.style import page_style
from ui.components.tray import tray
from ui.session import open_page

st.set_page_config(page_title="RAG Workbench", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")
page_style()
desk = open_page()

ANYONE, OPERATORS, ADMINS = frozenset(Role), frozenset({Role.OPERATOR, Role.ADMIN}), frozenset({Role.ADMIN})
PAGES = [
    (ANYONE, "chat", ":material/forum:"),
    (ANYONE, "documents", ":material/folder_open:"),
    (ADMINS, "providers", ":material/hub:"),
    (ADMINS, "users", ":material/group:"),
    (ADMINS, "audit", ":material/history:"),
    (OPERATORS, "upkeep", ":material/home_repair_service:"),
    (OPERATORS, "health", ""),
]
NOBODY: frozenset[Role] = frozenset()  # reached from the foot of the sidebar, where the name stands


def _page(roles: frozenset[Role], name: str, icon: str) -> StreamlitPage:
    title, icon = health_entry(desk) if name == "health" else (name.capitalize(), icon)
    # A page of another role is registered too, so that its address is answered by its own role check.
    seen: Literal["visible", "hidden"] = "visible" if desk.principal.role in roles else "hidden"
    # The default page is served at "/" only, whatever its name: it gives "chat" away to the page that leads to it.
    path = "" if name == "chat" else name
    return st.Page(f"../pages/{name}.py", title=title, icon=icon, url_path=path, default=not path, visibility=seen)


def _to_chat() -> None:
    st.switch_page(chat, query_params=st.query_params.to_dict())


account = _page(NOBODY, "account", ":material/account_circle:")
chat, *others = (_page(*one) for one in PAGES)
address = st.Page(_to_chat, title="Chat", url_path="chat", visibility="hidden")
page = st.navigation([chat, *others, account, address], position="top")
forget_other_pages(page.url_path)
tray(desk)
page.run()
account_menu(desk.principal, account)
