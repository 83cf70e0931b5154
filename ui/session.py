"""Who is looking at this page, and what they have open. The role comes from SQL at every rerun, never from memory."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import streamlit as st

from engine.correlation import belongs_to, request_id
from engine.errors import AccessDenied, EngineError
from engine.security.wire import COOKIE, cookie_name
from engine.types import Principal, Role
from engine.views import UploadVerdict
from ui import server
from ui.failures import friendly_errors, show_failure

if TYPE_CHECKING:
    from engine.workbench import Workbench

P = ParamSpec("P")
T = TypeVar("T")

FRESH_SECONDS = 1.0

_KEY = "workbench"


@dataclass(slots=True)
class Opened:
    """Which passages the evidence panel shows: those of one message, and which of them."""

    message_id: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one uploaded file; an `outcome` of None means that it was refused, for `reason`.

    `known_as` is the document that has the same bytes under another name. The numbers are estimates.
    """

    name: str
    outcome: UploadVerdict | None
    reason: str = ""
    hint: str = ""
    known_as: str = ""
    chunks: int | None = None
    seconds: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Unsent:
    """A question that was refused, with the reason; `number` tells it from earlier ones of this tab."""

    number: int
    question: str
    reason: str
    hint: str


@dataclass(slots=True)
class State:
    """Everything a browser tab remembers between reruns, beside the widgets' own values."""

    principal: Principal
    checked_at: float = 0.0
    conversation_id: str = ""
    new_conversation: bool = False
    evidence: Opened | None = None
    retry: str = ""
    fresh: bool = False
    unsent: list[Unsent] = field(default_factory=list)
    refusals: int = 0
    collection_id: str = ""
    collections_made: int = 0
    chunk_id: str = ""
    pending: tuple[str, str] | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    uploads: int = 0
    adding: bool = False
    sharing: str = ""
    shared: str = ""
    tray_idle: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """What a page works with: the workbench, and the state of the tab with the principal on whose behalf it calls."""

    workbench: Workbench
    state: State

    @property
    def principal(self) -> Principal:
        """The signed-in user. A fragment that draws itself for hours asks SQL again, at most once in a second."""
        if time.monotonic() - self.state.checked_at > FRESH_SECONDS:
            principal = current_principal()
            if principal is None or principal.session_id != self.state.principal.session_id:
                raise AccessDenied("your session has ended", hint="Sign in again.")
            self.state.principal, self.state.checked_at = principal, time.monotonic()
        return self.state.principal

    def call(self, method: Callable[Concatenate[Principal, P], Awaitable[T]], /, *args: P.args, **options: P.kwargs) -> T:
        """Call a method of the workbench as the signed-in user. Raises EngineError."""
        return server.call(method, self.principal, *args, **options)

    def call_as(
        self,
        preview: Principal,
        method: Callable[Concatenate[Principal, P], Awaitable[T]],
        /,
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Call a method as a preview that this user was given, while the user is still signed in. Raises EngineError."""
        if preview.session_id != self.principal.session_id or not preview.preview:
            raise AccessDenied("this preview has ended", hint="Begin it again.")
        return server.call(method, preview, *args, **options)


def session_token() -> str:
    """Return the session token of this tab's websocket handshake, or ""."""
    cookies = st.context.cookies
    return cookies.get(cookie_name(COOKIE, secure=True)) or cookies.get(COOKIE) or ""


def current_principal() -> Principal | None:
    """Return the signed-in user as SQL knows them now; None when the session has ended or is not the gate's."""
    token = session_token()
    principal = server.call(server.connection().workbench.authenticate, token) if token else None
    theirs = principal and principal.session_id == st.user.get("wb_session")
    return replace(principal, request_id=request_id()) if principal and theirs else None


def tab_state(principal: Principal) -> State:
    """Return the state of this tab; that of another session is thrown away with its widgets' values."""
    state = st.session_state.get(_KEY)
    if not isinstance(state, State) or state.principal.session_id != principal.session_id:
        st.session_state.clear()
        state = st.session_state[_KEY] = State(principal)
    state.principal, state.checked_at = principal, time.monotonic()
    return state


def open_page(*, roles: Collection[Role] = tuple(Role)) -> Desk:
    """Return the desk of the signed-in user; strangers and other roles see one line and nothing else of the page."""
    belongs_to(secrets.token_hex(8))  # a run of a page is a request of its own: its websocket stays open for hours
    try:
        principal = current_principal()
    except EngineError as error:
        show_failure(error)
        st.stop()
    if principal is None:
        st.info("You are signed out. [Sign in](/login) to go on.", icon=":material/login:")
        st.stop()
    if principal.role not in roles:
        with friendly_errors():
            wanted = " or ".join(role.value for role in roles)
            server.call(server.connection().workbench.note_denied, principal, f"a page for the role {wanted}")
        allowed = " or ".join(role.value for role in roles)
        st.error(f"This page is for the role {allowed}; yours is {principal.role.value}.", icon=":material/lock:")
        st.stop()
    return Desk(server.connection().workbench, tab_state(principal))
