"""Files that leave by a link of a page: each request is checked for who asks, and nothing is kept in memory for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.errors import AccessDenied, EngineError, NotFound
from engine.security.downloads import attachment_headers
from ui import server
from ui.login_steps import sentence


def routes() -> list[Route]:
    """Return the routes of downloads."""
    return [Route("/files/documents/{document_id}", document_original, methods=["GET"])]


async def document_original(request: Request) -> Response:
    """GET /files/documents/{id}?version=n: the document as it was uploaded; without a version, the newest."""
    try:
        principal = request.scope["state"]["principal"]
        document = await server.workbench().document(principal, request.path_params["document_id"])
        asked = request.query_params.get("version", "")
        version = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else None
        return download(document.name, await server.workbench().original(principal, document.id, version=version))
    except EngineError as error:
        return refused(error)


def download(name: str, data: bytes) -> Response:
    """Return `data` as a file that a browser stores."""
    return Response(data, headers=attachment_headers(name))


def refused(error: EngineError) -> Response:
    """Return why there is no file."""
    status = 404 if isinstance(error, NotFound) else 403 if isinstance(error, AccessDenied) else 503
    return PlainTextResponse(sentence(error) + "\n", status, {"cache-control": "no-store"})
