"""The own API keys: making one, which is shown once, and revoking."""

from __future__ import annotations

import streamlit as st

from engine.access_views import NewKey, Scope, scopes_for
from engine.errors import EngineError
from ui.components.people.keys import SCOPES, key_rows
from ui.components.people.links import absolute
from ui.components.people.state import PageState, failure_box
from ui.components.people.words import bold
from ui.failures import failure_text
from ui.session import Desk

EXAMPLE_PATH = "/api/v1/collections"
LIFE = {30: "30 days", 90: "90 days", 365: "1 year", None: "without an end"}


def own_keys(desk: Desk, state: PageState) -> None:
    """Draw the key that was just made or the form for one, and the list."""
    if state.new_key:
        _shown_once(state, state.new_key)
    else:
        _form(desk, state)
        failure_box(state)
    found = desk.call(desk.workbench.api_keys)
    if not found:
        st.caption("You have no API keys.")
    key_rows(desk, state, sorted(found, key=lambda one: one.state != "active"), owners=False)


def _shown_once(state: PageState, key: NewKey) -> None:
    with st.container(border=True, key="account_new_key"):
        st.markdown(
            f":green[:material/key:] {bold(key.info.name)} is ready. It is shown only now: copy it to where it is used."
        )
        st.code(key.text, language=None, wrap_lines=True)
        st.caption("Try it:")
        st.code(f'curl -H "Authorization: Bearer {key.text}" {absolute(EXAMPLE_PATH)}', language="bash", wrap_lines=True)
        if st.button("I have copied it", key="account_key_done", type="primary"):
            state.close()
            st.rerun()


def _form(desk: Desk, state: PageState) -> None:
    scopes = scopes_for(desk.principal.role)
    with st.form(f"account_key_{state.number}", width=560):
        st.markdown("#### New API key", anchors=False)
        st.caption("For programs that work on your behalf. A key never does more than you may, nor more than its scopes say.")
        name = st.text_input(
            "Name",
            max_chars=100,
            placeholder="where it is used, such as nightly upload",
            key=f"account_key_name_{state.number}",
        )
        chosen = [
            scope
            for scope in scopes
            if st.checkbox(
                f"**{scope.value}** · {SCOPES[scope]}", scope is Scope.READ, key=f"account_scope_{scope}_{state.number}"
            )
        ]
        days = st.selectbox(
            "Works for", list(LIFE), 1, format_func=LIFE.__getitem__, key=f"account_key_days_{state.number}", width=200
        )
        if st.form_submit_button("Make the key", type="primary", icon=":material/key:"):
            state.failure, state.notice = "", None
            try:
                state.new_key = desk.call(desk.workbench.create_api_key, (name or "").strip(), chosen, days=days)
            except EngineError as error:
                state.failure = failure_text(str(error), error.hint)
            else:
                st.rerun()
