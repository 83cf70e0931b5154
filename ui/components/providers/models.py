"""Choosing a model: from the live list of the provider, or by its name where nobody has a list."""

from __future__ import annotations

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Choice, ProviderInfo
from ui.components.providers.state import PageState, kept
from ui.components.safe_text import escape
from ui.failures import failure_text
from ui.session import Desk


def model_picker(desk: Desk, state: PageState, info: ProviderInfo, role: str, *, key: str, present: str = "") -> Choice:
    """Draw the choice of a model of `info` and return it; `present` is the one in use.

    It asks the vendor, so draw it only where somebody opened an editor.
    """
    usual = present or info.models.get(role, "")
    if not usual:
        return Choice(provider=info.name)
    known, trouble = _live(desk, state, info, role)
    key = f"{key}_{info.name}"
    if known:
        options = list(dict.fromkeys([*[present] * bool(present), *known]))
        index = options.index(usual) if usual in options else 0
        model = st.selectbox("Model", options, index=index, key=f"{key}_list", accept_new_options=True, help=TYPED)
    else:
        model = st.text_input("Model", usual, key=f"{key}_text", max_chars=200)
        st.caption(trouble or f"{escape(info.name)} has no list of its models: type the name of one.")
    return Choice(provider=info.name, model=(model or "").strip())


TYPED = "The list comes from the provider. A name that is not in it can be typed."


def _live(desk: Desk, state: PageState, info: ProviderInfo, role: str) -> tuple[list[str], str]:
    try:
        with st.spinner(f"Asking {escape(info.name)} for its models"):
            ask = desk.workbench.provider_models
            return kept(state, f"models/{role}/{info.name}", lambda: desk.call(ask, info.name, role)), ""
    except EngineError as error:
        reason = f"The list of models cannot be had: {failure_text(str(error), error.hint)}"
        return [], f":red[:material/error:] {reason}"
