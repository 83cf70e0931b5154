"""GET /metrics for Prometheus: behind the gate like the API, with a key of the scope "operate" in the Authorization header."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.access import WorkbenchSource
from api.failures import engine_error
from engine.errors import EngineError

KIND = "text/plain; version=0.0.4; charset=utf-8"


def routes(workbench: WorkbenchSource) -> list[Route]:
    """Return the route; `workbench()` is called at each request."""

    async def metrics(request: Request) -> Response:
        state = request.scope["state"]
        address = request.client.host if request.client else ""
        principal = replace(state["principal"], ip=address, request_id=str(state.get("request_id", "")))
        try:
            text = await workbench().metrics(principal)
        except EngineError as error:
            return await engine_error(request, error)
        return Response(text, headers={"content-type": KIND, "cache-control": "no-store"})

    return [Route("/metrics", metrics, methods=["GET"])]
