"""Searching and asking."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Asker, Reader, engine
from engine.types import Answer, Citation, Hit, Outage, Sentence, Usage

router = APIRouter(tags=["questions"])

Collections = Annotated[list[str], Field(min_length=1, max_length=100, description="ids of collections")]


class SearchRequest(BaseModel):
    """A search. An empty mode is the installation's own."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=10_000)
    collections: Collections
    k: int = Field(default=10, ge=1, le=100)
    mode: Literal["", "dense", "lexical", "hybrid"] = ""


class AskRequest(BaseModel):
    """A question. With `fresh` it is answered anew although a kept answer still holds."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=10_000)
    collections: Collections
    fresh: bool = False


class Passage(BaseModel):
    """A passage that was found: `text` is characters `start` to `end` of the text of `page`. A higher score is better.

    `recognised`: the text was read from a picture (OCR) and may hold mistakes.
    """

    chunk_id: str
    collection_id: str
    document_id: str
    document: str
    page: int
    start: int
    end: int
    section: tuple[str, ...]
    text: str
    score: float
    scores: dict[str, float]
    recognised: bool


class Served(BaseModel):
    """How an answer came about. `cached_at` is when a kept answer was written (ISO 8601); "" for one of just now."""

    seconds: float
    cost_usd: float | None
    cached_at: str


class Answered(BaseModel):
    """An answer. `sentences` tell how far the cited passages carry each; `nearest` is what a refusal has to show.

    `provider` and `model` served it; `outages` are those before them in the chain that could not, and why.
    """

    text: str
    refused: bool
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    nearest: list[Passage]
    provider: str
    model: str
    usage: Usage
    seconds: float
    outages: tuple[Outage, ...]
    notes: tuple[str, ...]
    serving: Served


@router.post("/search")
async def search(request: Request, principal: Reader, wanted: SearchRequest) -> list[Passage]:
    """Return the best passages, best first."""
    hits = await engine(request).search(principal, wanted.query, collections=wanted.collections, k=wanted.k, mode=wanted.mode)
    return [_passage(hit) for hit in hits]


@router.post("/ask")
async def ask(request: Request, principal: Asker, wanted: AskRequest) -> Answered:
    """Answer from the documents, with citations; or say that they do not tell."""
    answer = await engine(request).ask(principal, wanted.question, collections=wanted.collections, fresh=wanted.fresh)
    return _answered(answer)


def _answered(answer: Answer) -> Answered:
    return Answered(
        text=answer.text,
        refused=answer.refused,
        sentences=answer.sentences,
        citations=answer.citations,
        nearest=[_passage(hit) for hit in answer.nearest],
        provider=answer.provider,
        model=answer.model,
        usage=answer.usage,
        seconds=answer.serving.seconds,
        outages=answer.serving.outages,
        notes=answer.serving.notes,
        serving=Served(seconds=answer.serving.seconds, cost_usd=answer.serving.cost_usd, cached_at=answer.serving.cached_at),
    )


def _passage(hit: Hit) -> Passage:
    chunk = hit.chunk
    return Passage(
        chunk_id=chunk.id,
        collection_id=chunk.collection_id,
        document_id=chunk.document_id,
        document=chunk.document_name,
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        section=tuple(chunk.section),
        text=chunk.text,
        score=hit.score,
        scores=dict(hit.scores),
        recognised=chunk.recognised,
    )
