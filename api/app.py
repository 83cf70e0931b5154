"""The FastAPI application behind /api. The gate has verified the bearer before anything here runs."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Depends, FastAPI
from starlette.responses import JSONResponse

from api import account, collections, documents, health, operations, questions, uploads
from api.access import WorkbenchSource, needs
from api.failures import add_handlers
from engine.access_views import Scope
from engine.settings import Settings

VERSION = "1"


def build_api(workbench: WorkbenchSource, settings: Settings) -> FastAPI:
    """Return the application; `workbench()` is called at each request, for the engine starts and stops with the server."""
    api = FastAPI(
        title="RAG Workbench",
        version=VERSION,
        # The pages that FastAPI makes of its description load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        separate_input_output_schemas=False,
    )
    api.state.workbench = workbench
    api.state.incoming = settings.incoming
    api.state.max_bytes = settings.limits.max_file_mb << 20
    add_handlers(api)
    for part in (account, collections, documents, uploads, questions, operations, health):
        api.include_router(part.router, prefix=f"/v{VERSION}")
    api.add_api_route(
        f"/v{VERSION}/openapi.json",
        _described(api),
        include_in_schema=False,
        dependencies=[Depends(needs(Scope.READ))],
        response_class=JSONResponse,
    )
    return api


def _described(api: FastAPI) -> Callable[[], JSONResponse]:
    def described() -> JSONResponse:
        return JSONResponse(api.openapi())

    return described
