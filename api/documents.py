"""Single documents: what is known of one, its original, and deleting it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.access import Reader, Writer, engine
from engine.ingestion_views import BulkAction, BulkResult, VersionInfo
from engine.security.downloads import attachment_headers
from engine.views import DocumentInfo

router = APIRouter(prefix="/documents", tags=["documents"])


class Many(BaseModel):
    """One action on many documents."""

    model_config = ConfigDict(extra="forbid")

    action: BulkAction
    documents: list[Annotated[str, Field(max_length=64)]] = Field(max_length=1000)


class Target(BaseModel):
    """Where a document goes."""

    model_config = ConfigDict(extra="forbid")

    collection: str = Field(max_length=64, description="the id of a collection")


@router.post("/bulk")
async def bulk(request: Request, principal: Writer, wanted: Many) -> list[BulkResult]:
    """Do one thing to many documents, each on its own, and return what became of each."""
    return await engine(request).bulk(principal, wanted.action, wanted.documents)


@router.get("/{document_id}")
async def document(request: Request, principal: Reader, document_id: str) -> DocumentInfo:
    """Return one document and how far its processing is."""
    return await engine(request).document(principal, document_id)


@router.get("/{document_id}/original", response_class=Response)
async def original(
    request: Request,
    principal: Reader,
    document_id: str,
    version: Annotated[int | None, Query(ge=1, description="a version; left out: the present one")] = None,
) -> Response:
    """Return the file as it was uploaded."""
    info = await engine(request).document(principal, document_id)
    return Response(await engine(request).original(principal, document_id, version), headers=attachment_headers(info.name))


@router.get("/{document_id}/versions")
async def versions(request: Request, principal: Reader, document_id: str) -> list[VersionInfo]:
    """Return the versions of a document, newest first."""
    return await engine(request).versions(principal, document_id)


@router.post("/{document_id}/versions/{number}/activate")
async def activate_version(request: Request, principal: Writer, document_id: str, number: int) -> DocumentInfo:
    """Let a former version answer questions again. When its state is then not "live", it is processed again first."""
    return await engine(request).activate_version(principal, document_id, number)


@router.post("/{document_id}/disable")
async def disable_document(request: Request, principal: Writer, document_id: str) -> DocumentInfo:
    """Keep a document, and keep it out of every answer."""
    return await engine(request).disable_document(principal, document_id)


@router.post("/{document_id}/enable")
async def enable_document(request: Request, principal: Writer, document_id: str) -> DocumentInfo:
    """Let a disabled document be in answers again."""
    return await engine(request).enable_document(principal, document_id)


@router.post("/{document_id}/move")
async def move_document(request: Request, principal: Writer, document_id: str, wanted: Target) -> DocumentInfo:
    """Take a document out of its collection and put it into another."""
    return await engine(request).move_document(principal, document_id, wanted.collection)


@router.delete("/{document_id}", status_code=204)
async def delete_document(request: Request, principal: Writer, document_id: str) -> None:
    """Take a document out of every answer at once. It can be restored for a day, on the documents page."""
    await engine(request).delete_document(principal, document_id)
