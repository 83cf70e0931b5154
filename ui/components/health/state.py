"""What the health page remembers in one browser tab, beside its widgets: the open dialog, news, prepared files, choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from engine.errors import EngineError
from ui.failures import failure_text
from ui.session import Desk

_KEY = "health"


@dataclass(frozen=True, slots=True)
class Notice:
    """What was done or refused, as Markdown, and how it is taken back where that can be."""

    text: str
    well: bool = True
    undo: Callable[[], object] | None = None
    undone: str = ""


@dataclass(slots=True)
class HealthState:
    """The page in one tab. Widgets of a dialog hold `number` in their keys: they start afresh when it changes.

    `held` are figures that stay as they are while the reader looks closely.
    """

    session_id: str
    number: int = 0
    pending: tuple[str, str] | None = None
    failure: str = ""
    notice: Notice | None = None
    chosen: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str, str | bytes]] = field(default_factory=dict, repr=False)
    held: dict[str, Any] = field(default_factory=dict, repr=False)

    def open(self, action: str, name: str = "") -> None:
        """Open a dialog, with fresh widgets."""
        self.close()
        self.pending, self.notice = (action, name), None

    def close(self) -> None:
        """Close the dialog and forget what was typed in it."""
        self.number += 1
        self.pending, self.failure = None, ""

    def attempt(self, do: Callable[[], object], notice: Notice) -> None:
        """Do it in a dialog, which then closes; after a refusal it stays open and says why."""
        try:
            do()
        except EngineError as error:
            self.failure = failure_text(str(error), error.hint)
        else:
            self.close()
            self.notice = notice

    def do(self, do: Callable[[], object], notice: Notice) -> None:
        """Do it at once, on the page, and tell what became of it."""
        try:
            do()
        except EngineError as error:
            self.notice = Notice(failure_text(str(error), error.hint), well=False)
        else:
            self.notice = notice

    def hide(self) -> None:
        """Take the news off the page."""
        self.notice = None


def health_state(desk: Desk) -> HealthState:
    """Return the state of this tab; that of another sign-in is thrown away."""
    state = st.session_state.get(_KEY)
    session_id = desk.state.principal.session_id
    if not isinstance(state, HealthState) or state.session_id != session_id:
        state = st.session_state[_KEY] = HealthState(session_id)
    return state


def notice_bar(state: HealthState) -> None:
    """Draw what was done last, with the way back."""
    with st.container(key="health_notice_place"):
        notice = state.notice
        if notice is None:
            return
        mark = ":green[:material/check_circle:]" if notice.well else ":red[:material/error:]"
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="health_notice"):
            st.markdown(f"{mark} {notice.text}", width="stretch")
            if notice.undo:
                st.button(
                    "Undo",
                    key="health_undo",
                    icon=":material/undo:",
                    on_click=state.do,
                    args=(notice.undo, Notice(notice.undone)),
                )
            st.button("Hide", key="health_hide", type="tertiary", on_click=state.hide)


def failure_box(state: HealthState) -> None:
    """Draw why the last attempt in a dialog was refused."""
    if state.failure:
        st.error(state.failure, icon=":material/error:")
