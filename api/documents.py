"""Single documents: what is known of one, its original, and deleting it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access import Reader, Writer, engine
from engine.security.downloads import attachment_headers
from engine.views import DocumentInfo

router = APIRouter(prefix="/documents", tags=["documents"])


@router.get("/{document_id}")
async def document(request: Request, principal: Reader, document_id: str) -> DocumentInfo:
    """Return one document and how far its processing is."""
    return await engine(request).document(principal, document_id)


@router.get("/{document_id}/original", response_class=Response)
async def original(request: Request, principal: Reader, document_id: str) -> Response:
    """Return the file as it was uploaded."""
    info = await engine(request).document(principal, document_id)
    return Response(await engine(request).original(principal, document_id), headers=attachment_headers(info.name))


@router.delete("/{document_id}", status_code=204)
async def delete_document(request: Request, principal: Writer, document_id: str) -> None:
    """Take a document out of every answer at once. It can be restored for a day, on the documents page."""
    await engine(request).delete_document(principal, document_id)
