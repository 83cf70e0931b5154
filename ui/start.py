"""What must be true of Streamlit's own settings before anybody is let in, and the parts that app.py puts together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount

from api.app import build_api
from api.metrics import routes as scraped
from engine.errors import ConfigError
from engine.monitoring.logs import configure_logging
from engine.monitoring.web import MeasuredRequests
from engine.security.gate import Gate
from engine.security.gate_policy import LOOPBACK_NAMES
from engine.security.headers import security_headers
from engine.settings import Settings
from ui import files, login, probes, server

if TYPE_CHECKING:
    from engine.workbench import Workbench

FRAME = Path(__file__).with_name("frame.py")
REQUIRED: dict[str, Any] = {
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.scriptHealthCheckEnabled": False,
    "server.trustedUserHeaders": {"x-wb-session": "wb_session", "x-wb-user": "wb_user"},
    "client.showErrorDetails": "none",
    "global.developmentMode": False,
}


def check_streamlit() -> None:
    """Raise ConfigError when a setting of Streamlit would open a way round the gate or show the inside of the server."""
    wrong = [name for name, value in REQUIRED.items() if st.get_option(name) != value]
    if wrong:
        raise ConfigError(
            f"these settings of Streamlit are not safe: {', '.join(wrong)}",
            hint="start from the folder of app.py, whose .streamlit/config.toml sets them, and override none of them",
        )


def hosts(settings: Settings) -> tuple[str, ...]:
    """Return the names to answer to: those that are set, else those of loopback when nobody else can connect, else any."""
    local = st.get_option("server.address") in {"127.0.0.1", "localhost", "::1"}
    return settings.allowed_hosts or (LOOPBACK_NAMES if local else ())


def gate(settings: Settings) -> Middleware:
    """Return the gate of this installation."""
    return Middleware(
        Gate,
        authenticate=server.authenticate,
        authenticate_bearer=server.authenticate_bearer,
        owner_of=server.owner_of,
        secure_cookies=settings.secure_cookies,
        headers=security_headers(server.index_page(), secure=settings.secure_cookies),
        farewell=server.farewell(),
        allowed_hosts=hosts(settings),
        trusted_proxies=settings.trusted_proxies,
        files_per_hour=settings.uploads.files_per_hour,
        mb_per_hour=settings.uploads.mb_per_hour,
    )


def routes(settings: Settings) -> list[BaseRoute]:
    """Return every route that stands beside Streamlit's own."""
    api = Mount("/api", build_api(server.workbench, settings))
    return [*login.routes(settings), *probes.routes(), *files.routes(), *scraped(server.workbench), api]


def app_options(settings: Settings, build: Callable[[], AbstractAsyncContextManager[Workbench]]) -> dict[str, Any]:
    """Return what st.App gets beside its script, for the application over the workbench that `build` makes.

    The call of st.App itself stands in app.py: `streamlit run` reads that file for it without running it and, where it finds
    none, serves the file as a page, without routes and without the gate. Raises ConfigError.
    """
    check_streamlit()
    configure_logging(settings.monitoring.log_format)
    return {
        "routes": routes(settings),
        "middleware": [Middleware(MeasuredRequests, meter=server.meter), gate(settings)],
        "lifespan": server.lifespan(build),
        "on_script_error": server.on_script_error,
    }
