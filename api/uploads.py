"""Uploading a document: the body is streamed to a file on disk, and is never held in memory."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel

from api.access import Writer, engine
from api.receiving import received
from engine.ingestion_views import FileReceipt, OnDuplicate
from engine.views import DocumentInfo, UploadVerdict

router = APIRouter(prefix="/collections", tags=["collections"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


class Uploaded(BaseModel):
    """What became of a file. Processing goes on in the background: ask for the document to see its state."""

    document: DocumentInfo
    verdict: UploadVerdict


class Unpacked(BaseModel):
    """What became of each file of a zip archive; one that was refused has a `problem` and no document."""

    files: list[FileReceipt]


@router.post("/{collection_id}/documents", status_code=202, openapi_extra=_BODY)
async def upload(
    request: Request,
    principal: Writer,
    collection_id: str,
    x_file_name: Annotated[
        str, Header(description="name of a raw body, percent-encoded UTF-8; a form names its file itself")
    ] = "",
    on_duplicate: Annotated[
        OnDuplicate, Query(description="what to do when the same bytes, or the same name, are there already")
    ] = OnDuplicate.ASK,
) -> Uploaded | Unpacked:
    """Store one file, sent as a raw body or as the field `file` of a form; of a zip archive, every file in it."""
    state = request.app.state
    async with received(request, folder=state.incoming, max_bytes=state.max_bytes) as file:
        name = file.name or unquote(x_file_name) or "document"
        if await engine(request).is_archive(file.path):
            receipts = await engine(request).upload_archive(
                principal, collection_id, name, file.path, on_duplicate=on_duplicate
            )
            return Unpacked(files=receipts)
        document, verdict = await engine(request).upload(principal, collection_id, name, file.path, on_duplicate=on_duplicate)
    return Uploaded(document=document, verdict=verdict)
