"""Collections."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import BinaryIO

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from api.access import Reader, Writer, engine
from engine.security.downloads import attachment_headers
from engine.views import CollectionInfo, DocumentInfo

PART_BYTES = 1 << 18

router = APIRouter(prefix="/collections", tags=["collections"])


class NewCollection(BaseModel):
    """A collection to be made. Without a chunker the installation's own is used."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2000)
    chunker: str = Field(default="", max_length=50)


@router.get("")
async def collections(request: Request, principal: Reader) -> list[CollectionInfo]:
    """Return the collections that the caller may read, by name."""
    return await engine(request).collections(principal)


@router.post("", status_code=201)
async def create_collection(request: Request, principal: Writer, wanted: NewCollection) -> CollectionInfo:
    """Make a collection that the caller owns."""
    return await engine(request).create_collection(
        principal, wanted.name, description=wanted.description, chunker=wanted.chunker
    )


@router.get("/{collection_id}/export", response_class=StreamingResponse)
async def export_collection(request: Request, principal: Writer, collection_id: str) -> StreamingResponse:
    """Return the collection as one file, for whoever owns it: originals, passages and vectors; see docs/export.md."""
    target = request.app.state.incoming / f"{uuid.uuid4().hex}.tar"
    report = await engine(request).export_collection(principal, collection_id, target)
    file = target.open("rb")
    target.unlink()  # it is gone with the connection, however that ends
    headers = attachment_headers(f"collection-{collection_id}.tar") | {"content-length": str(report.size_bytes)}
    return StreamingResponse(_parts(file), headers=headers)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while data := file.read(PART_BYTES):
            yield data


@router.get("/{collection_id}/documents")
async def collection_documents(request: Request, principal: Reader, collection_id: str) -> list[DocumentInfo]:
    """Return the documents of a collection, newest change first."""
    return await engine(request).documents(principal, collection_id)
