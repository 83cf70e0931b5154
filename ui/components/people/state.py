"""What the pages of people remember in one browser tab, beside their widgets: the open dialog, news, what is shown once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import streamlit as st

from engine.access_views import ImportedUser, Invitation, NewKey, SecondFactor
from engine.errors import EngineError
from engine.types import Principal
from ui.failures import failure_text
from ui.session import Desk

_KEY = "people"


@dataclass(frozen=True, slots=True)
class Notice:
    """What was done, as Markdown, and how it is taken back where that can be."""

    text: str
    undo: Callable[[], object] | None = None
    undone: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A list that was looked at, and what would become, or became, of its lines."""

    text: str = field(repr=False)
    rows: Sequence[ImportedUser] = field(repr=False)
    applied: bool = False


@dataclass(slots=True)
class PageState:
    """One page in one tab. Widgets whose key holds `number` start afresh when it changes.

    Links, keys and secrets are kept only until the reader closes them or leaves the page.
    """

    page: str
    session_id: str
    number: int = 0
    pending: tuple[str, str] | None = None
    failure: str = ""
    notice: Notice | None = None
    invitation: Invitation | None = field(default=None, repr=False)
    new_key: NewKey | None = field(default=None, repr=False)
    second_factor: SecondFactor | None = field(default=None, repr=False)
    checked: Checked | None = field(default=None, repr=False)
    preview: Principal | None = None
    section: str = ""

    def open(self, action: str, name: str = "") -> None:
        """Open a dialog, with fresh widgets."""
        self.close()
        self.pending, self.notice = (action, name), None

    def close(self) -> None:
        """Close the dialog and forget what was typed and shown in it."""
        self.number += 1
        self.pending, self.failure = None, ""
        self.invitation = self.new_key = self.second_factor = None

    def leave(self) -> None:
        """Forget what belongs to the section that is left."""
        self.close()
        self.notice = self.preview = self.checked = None

    def show(self, section: str) -> None:
        """Have a section drawn at the next run."""
        self.leave()
        self.section = section

    def attempt(self, do: Callable[[], object], notice: Notice | None = None) -> bool:
        """Do it, then close the dialog and tell; a refusal is remembered instead. Tell whether it went well."""
        try:
            do()
        except EngineError as error:
            self.number += 1  # a password in a form is forgotten with its widget
            self.failure = failure_text(str(error), error.hint)
            return False
        self.close()
        self.notice = notice
        return True


def page_state(desk: Desk, page: str) -> PageState:
    """Return the state of a page in this tab; that of another page or of another session is thrown away."""
    state = st.session_state.get(_KEY)
    session_id = desk.state.principal.session_id
    if not isinstance(state, PageState) or (state.page, state.session_id) != (page, session_id):
        state = st.session_state[_KEY] = PageState(page, session_id)
    return state


def forget_other_pages(page: str) -> None:
    """Throw away what another page showed once: whoever comes back to it finds it closed."""
    state = st.session_state.get(_KEY)
    if isinstance(state, PageState) and state.page != page:
        del st.session_state[_KEY]


def notice_bar(state: PageState) -> None:
    """Draw what was done last, with the way back."""
    notice = state.notice
    if notice is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="people_notice"):
        st.markdown(f":green[:material/check_circle:] {notice.text}", width="stretch")
        if notice.undo and st.button("Undo", key="people_undo", icon=":material/undo:"):
            state.attempt(notice.undo, Notice(notice.undone))
            st.rerun()
        if st.button("Hide", key="people_hide", type="tertiary"):
            state.notice = None
            st.rerun()


def failure_box(state: PageState) -> None:
    """Draw why the last attempt was refused."""
    if state.failure:
        st.error(state.failure, icon=":material/error:")
