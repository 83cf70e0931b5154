"""What is done with one provider after a click on its card: each in a dialog that says what will happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Choices, ProviderInfo
from ui.components.providers.forms import add_form, edit_form, rotate_form
from ui.components.providers.looks import by_name
from ui.components.providers.state import PageState
from ui.components.providers.testing import test_view
from ui.components.safe_text import escape
from ui.failures import friendly_errors
from ui.session import Desk


def pending_action(desk: Desk, state: PageState, choices: Choices | None, providers: Sequence[ProviderInfo]) -> None:
    """Open the dialog of the action that was chosen."""
    if state.pending is None:
        return
    action, name = state.pending
    info = by_name(providers).get(name)
    if action == "add":
        _dialog(state, "Add a provider", lambda: add_form(desk, state, {one.name for one in providers}))
    elif info is None:
        state.close()
    elif action == "test":
        _dialog(state, "Test a provider", lambda: test_view(desk, state, info, choices))
    elif action == "edit":
        _dialog(state, "Edit a provider", lambda: edit_form(desk, state, info))
    elif action == "rotate":
        _dialog(state, "Replace a key", lambda: rotate_form(desk, state, info, choices))
    else:
        _dialog(state, "Remove this provider?", lambda: _remove(desk, state, info))


def _dialog(state: PageState, title: str, body: Callable[[], None]) -> None:
    def safely() -> None:
        with friendly_errors():
            body()

    st.dialog(title, width="medium", on_dismiss=state.close)(safely)()


def _remove(desk: Desk, state: PageState, info: ProviderInfo) -> None:
    key = " Its stored key is deleted." if info.key_last4 else ""
    st.markdown(f"**{escape(info.name)}** is removed with its settings.{key} This cannot be undone.")
    if info.used_for:
        st.warning(f"It is used for: {', '.join(map(escape, info.used_for))}.", icon=":material/warning:")
    if state.failure:
        st.error(state.failure, icon=":material/error:")
    if st.button("Remove for good", key="providers_remove_now", type="primary", icon=":material/delete_forever:"):
        try:
            desk.call(desk.workbench.remove_provider, info.name)
        except EngineError as error:
            state.fail(error)
        else:
            state.close()
            state.changed((True, f"**{escape(info.name)}** was removed."))
        st.rerun()
