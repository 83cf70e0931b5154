"""What the providers page remembers in one browser tab, beside its widgets: drafts, the open dialog, news. Never a key."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Choice, Choices, TestResult
from ui.failures import failure_text
from ui.session import Desk

T = TypeVar("T")
Wanted: TypeAlias = Choice | tuple[Choice, ...] | None

KEPT_SECONDS = 60.0

_KEY = "providers"


@dataclass(slots=True)
class Draft:
    """A change that is not made yet. `version` is that of the choices it began from.

    `asked` is the change whose effects are shown; another one must be looked at first.
    """

    version: int
    number: int
    chain: tuple[Choice, ...] = ()
    asked: tuple[Wanted] | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What an outside service said, or why it did not, and until when that is believed."""

    until: float
    value: Any = None
    error: EngineError | None = None


@dataclass(slots=True)
class PageState:
    """The page in one tab. Widgets whose key holds `number`, or `opened` in a dialog, start afresh when it changes."""

    session_id: str
    number: int = 0
    opened: int = 0
    drafts: dict[str, Draft] = field(default_factory=dict)
    adding: bool = False
    pending: tuple[str, str] | None = None
    failure: str = ""
    tested: TestResult | None = None
    notices: list[tuple[bool, str]] = field(default_factory=list)
    dismissed: set[str] = field(default_factory=set)
    kept: dict[str, Kept] = field(default_factory=dict)

    def begin(self, job: str, choices: Choices) -> Draft:
        """Return the draft of a job; it begins from `choices` when there is none."""
        if job not in self.drafts:
            self.number += 1
            self.drafts[job] = Draft(choices.version, self.number, choices.chain)
        return self.drafts[job]

    def discard(self, job: str) -> None:
        """Forget the draft of a job."""
        self.drafts.pop(job, None)

    def open(self, action: str, name: str = "") -> None:
        """Open a dialog, with fresh widgets."""
        self.number = self.opened = self.number + 1
        self.pending, self.failure, self.tested = (action, name), "", None

    def close(self) -> None:
        """Close the dialog; widgets that held a key get a new name, so that nothing of it stays."""
        self.number += 1
        self.pending, self.failure, self.tested = None, "", None

    def fail(self, error: EngineError, *, key_given: bool = False) -> None:
        """Remember why a form was refused. A key in it is forgotten with its widget."""
        self.number += key_given
        self.failure = failure_text(str(error), error.hint) + ("  \nThe key was not kept: enter it again." * key_given)

    def changed(self, *notices: tuple[bool, str]) -> None:
        """Remember what was done, and ask vendors afresh."""
        self.notices = list(notices)
        self.kept.clear()


def page_state(desk: Desk) -> PageState:
    """Return the state of this tab; that of another session is thrown away."""
    state = st.session_state.get(_KEY)
    if not isinstance(state, PageState) or state.session_id != desk.state.principal.session_id:
        state = st.session_state[_KEY] = PageState(desk.state.principal.session_id)
    return state


def kept(state: PageState, name: str, ask: Callable[[], T]) -> T:
    """Return what `ask` returned, or raise what it raised, in the last minute: a hanging vendor must not slow every click."""
    found = state.kept.get(name)
    if found is None or found.until < time.monotonic():
        try:
            value, error = ask(), None
        except EngineError as raised:
            value, error = None, raised
        found = state.kept[name] = Kept(time.monotonic() + KEPT_SECONDS, value, error)
    if found.error:
        raise found.error.with_traceback(None)
    answer: T = found.value
    return answer
