"""What orchestrators and load balancers ask. Strangers read the answers, so they hold one word and nothing of the inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from engine.errors import ConfigError
from engine.operations_views import Readiness
from ui import server

if TYPE_CHECKING:
    from engine.workbench import Workbench

NO_STORE = {"cache-control": "no-store"}
RETRY_SECONDS = 5


def routes() -> list[Route]:
    """Return the three probes; each answers GET and HEAD, and the gate lets strangers have them."""
    probes = (("live", live), ("ready", ready), ("startup", startup))
    return [Route(f"/healthz/{name}", handler, methods=["GET"]) for name, handler in probes]


async def live(_request: Request) -> Response:
    """GET /healthz/live: the process answers; nothing else is touched."""
    return PlainTextResponse("ok\n", headers=NO_STORE)


async def ready(_request: Request) -> Response:
    """GET /healthz/ready: 200 while this process can serve, also with a part missing ("degraded"), else 503."""
    return await _told(lambda workbench: workbench.readiness())


async def startup(_request: Request) -> Response:
    """GET /healthz/startup: 200 once the start is over, 503 before."""
    return await _told(lambda workbench: workbench.startup())


async def _told(ask: Callable[[Workbench], Awaitable[Readiness]]) -> Response:
    try:
        state = (await ask(server.workbench())).state
    except ConfigError:  # the engine starts, or has stopped
        state = "unready"
    if state == "unready":
        return JSONResponse({"status": state}, 503, NO_STORE | {"retry-after": str(RETRY_SECONDS)})
    return JSONResponse({"status": state}, headers=NO_STORE)
