"""An answer that is being written. The engine's task writes it; this only looks, so a rerun or a closed tab loses nothing."""

from __future__ import annotations

import streamlit as st

from engine.errors import NotFound
from engine.views import MessageInfo
from ui.components.safe_text import escape, escape_lines
from ui.failures import friendly_errors
from ui.session import Desk

EVERY_SECONDS = 0.4


@st.fragment(run_every=EVERY_SECONDS)
def follow(desk: Desk, message_id: str) -> None:
    """Show the step and the text so far; draw the page again when the answer is complete."""
    with friendly_errors():
        try:
            message = desk.call(desk.workbench.message, message_id)
        except NotFound:  # another tab deleted the conversation: the page says so
            st.rerun()
        if message.state != "streaming":
            st.rerun()
        _progress(desk, message)


def _progress(desk: Desk, message: MessageInfo) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/hourglass_top: *{escape(message.step or 'Starting')} …*")
        st.button(
            "Stop",
            key=f"chat_stop_{message.id}",
            icon=":material/stop_circle:",
            type="tertiary",
            on_click=_stop,
            args=(desk, message.id),
        )
    if message.text:
        st.markdown(escape_lines(message.text))


def _stop(desk: Desk, message_id: str) -> None:
    with friendly_errors():
        desk.call(desk.workbench.stop, message_id)
