"""API keys: what each may do, whether it is used, and revoking it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.access_views import KeyInfo, Scope
from ui.components.colors import Color
from ui.components.people.roster import page_of
from ui.components.people.state import Notice, PageState, failure_box, notice_bar
from ui.components.people.words import ago, bold
from ui.components.safe_text import counted
from ui.session import Desk

SCOPES = {
    Scope.READ: "list and search collections, read documents",
    Scope.ASK: "ask questions",
    Scope.WRITE: "upload, change and delete documents",
    Scope.OPERATE: "read health and measurements, switch breakers",
    Scope.ADMIN: "manage users, providers and the audit",
}
LOOKS: dict[str, Color] = {"active": "green", "expired": "orange", "revoked": "gray"}


def keys_section(desk: Desk, state: PageState) -> None:
    """Draw the keys of everybody, for admins."""
    found = desk.call(desk.workbench.api_keys, "*")
    notice_bar(state)
    failure_box(state)
    all_too = st.toggle("Show expired and revoked keys", key="users_all_keys")
    shown = [one for one in found if all_too or one.state == "active"]
    st.caption(
        f"{counted(len(shown), 'API key')}. Everybody makes their own on the page Account; none does more than its user may."
    )
    if not shown:
        st.info("There are no active keys." if not all_too else "There are no keys.", icon=":material/key_off:")
    key_rows(desk, state, page_of(shown, key="users_keys_page"), owners=True)


def key_rows(desk: Desk, state: PageState, found: Sequence[KeyInfo], *, owners: bool) -> None:
    """Draw keys, with their users when `owners`; an active one can be revoked."""
    for one in found:
        with (
            st.container(border=True, key=f"keys_row_{one.id}"),
            st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False),
        ):
            with st.container(gap="xxsmall"):
                badge = f":{LOOKS.get(one.state, 'gray')}-badge[{one.state}]"
                scopes = " ".join(f":gray-badge[{scope.value}]" for scope in one.scopes)
                st.markdown(f":material/key: {bold(one.name)}" + f" of {bold(one.user)}" * owners + f" {badge} {scopes}")
                ends = f"{one.expires_at:%d %b %Y}" if one.expires_at else "never"
                st.caption(f"last used {ago(one.last_used_at)} · made {one.created_at:%d %b %Y} · expires {ends}")
            if one.state == "active":
                _revoke(desk, state, one)


def _revoke(desk: Desk, state: PageState, one: KeyInfo) -> None:
    # A click beside the right place must not stop a program for good, so it is asked once more.
    with st.popover("Revoke", key=f"keys_ask_{one.id}"):
        st.markdown("Programs that use it are refused at once. This cannot be undone.")
        if st.button("Revoke for good", key=f"keys_revoke_{one.id}", type="primary"):
            what = f"The key {bold(one.name)} was revoked."
            state.attempt(lambda: desk.call(desk.workbench.revoke_api_key, one.id), Notice(what))
            st.rerun()
