"""The bridge between the server's event loop, which owns the engine, and the threads that run page scripts."""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st
from anyio.from_thread import BlockingPortal
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, get_instance

from engine.errors import ConfigError
from engine.types import Principal
from ui.components.safe_text import escape

if TYPE_CHECKING:
    from engine.monitoring.hub import Hub
    from engine.workbench import Workbench

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """The one workbench of this process and the way into its loop. Shared by all users; it holds nothing of any of them."""

    workbench: Workbench
    portal: BlockingPortal


_connections: list[Connection] = []


def connection() -> Connection:
    """Return the running workbench. Raises ConfigError outside of a running server."""
    if not _connections:
        raise ConfigError("the engine is not running", hint="start the app with `make run`, not by running a page")
    return _connections[-1]


def workbench() -> Workbench:
    """Return the running workbench, for routes: they run in its own loop. Raises ConfigError outside of a running server."""
    return connection().workbench


def meter() -> Hub | None:
    """Return where numbers go, None outside of a running server."""
    return _connections[-1].workbench.meter if _connections else None


def connect(workbench: Workbench, portal: BlockingPortal) -> None:
    """Make `workbench` the one that pages and routes use."""
    _connections[:] = [Connection(workbench, portal)]


def disconnect() -> None:
    """Forget the workbench: what is called afterwards raises ConfigError."""
    _connections.clear()


def call(method: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
    """Run an async method of the workbench in the server's loop and wait for it: for scripts, never for routes."""
    return connection().portal.call(functools.partial(method, *args, **options))


async def authenticate_bearer(text: str, address: str) -> Principal | None:
    """Return whom an API key or a token belongs to, for the gate."""
    return await connection().workbench.authenticate_bearer(text, ip=address) if _connections else None


def owner_of(tab: str) -> str | None:
    """Return the user id for whom a Streamlit session was opened: the gate's own header at its handshake."""
    if not Runtime.exists():
        return None
    # The runtime has no public way from a session to its user; tests/security uploads into a foreign one to see this work.
    found = get_instance()._session_mgr.get_session_info(tab)
    owner = found.session._user_info.get("wb_user") if found else None
    return owner if isinstance(owner, str) else None


async def authenticate(token: str) -> Principal | None:
    """Return whom a session token belongs to, for the gate."""
    return await connection().workbench.authenticate(token) if _connections else None


def lifespan(build: Callable[[], AbstractAsyncContextManager[Workbench]]) -> Callable[[st.App], Any]:
    """Return the lifespan of the app: it owns the workbench that `build` makes."""

    @asynccontextmanager
    async def running(_app: st.App) -> AsyncIterator[dict[str, Any]]:
        async with build() as workbench, BlockingPortal() as portal:
            connect(workbench, portal)
            if await workbench.setup_needed():
                announce_setup(workbench.setup_token)
            try:
                yield {}
            finally:
                disconnect()

    return running


def announce_setup(token: str) -> None:
    """Print where the first admin is made. The token is good for one use."""
    address = st.get_option("server.address") or "127.0.0.1"
    link = f"http://{address}:{st.get_option('server.port')}/setup?token={token}"
    print(f"\n  No user exists yet. Make the first admin with this one-time link:\n\n  {link}\n", flush=True)  # noqa: T201


def on_script_error(error: Exception) -> bool:
    """Show an error number instead of the error; the traceback goes to the log under the same number."""
    number = secrets.token_hex(4)
    logger.error("error %s in a page", number, exc_info=error)
    st.error(
        f"Something went wrong on our side. Nothing you stored is lost. Error number {escape(number)}: tell it to an operator."
    )
    return True


def farewell() -> bytes:
    """Return the message that sends a browser to the login page when its session has ended."""
    message = ForwardMsg()
    message.auth_redirect.url = "/login?ended=1"
    return bytes(message.SerializeToString())


def index_page() -> str:
    """Return Streamlit's index page, whose inline script the content security policy must allow."""
    return (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
