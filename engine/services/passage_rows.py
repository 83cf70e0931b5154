"""Pieces of a version -> rows of passages: the same whether a file was cut here or comes cut from another workbench."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache

from engine.chunking.wording import searchable_text
from engine.database.models import Collection, DocumentRow, Version
from engine.database.quarantine import FLAGGED, HELD
from engine.documents import Chunk, Piece
from engine.protocols import Embedder
from engine.sections import Injection
from engine.security.injection import assess
from engine.services.entries import chunk_id

Row = dict[str, object]


def commands(text: str, injection: Injection) -> bool:
    """Whether a line (a title, a heading) reads as a command to an assistant."""
    return _score(text) >= injection.flag_score


@lru_cache(maxsize=1000)
def _score(text: str) -> float:
    return assess(text).score


def tamed(piece: Piece, injection: Injection) -> Piece:
    """Return the piece without headings and table headers that command: they stand in front of it, outside its text."""
    section = tuple(part for part in piece.section if not commands(part, injection))
    return replace(piece, section=section, context="" if commands(piece.context, injection) else piece.context)


def passage_rows(
    collection: Collection,
    version: Version,
    document: DocumentRow,
    pieces: Sequence[Piece],
    embedder: Embedder,
    injection: Injection,
) -> list[Row]:
    """Return the rows for `content.save_chunks`, each scanned for text that commands. Slow for long files: use a thread."""
    return [
        {
            "id": chunk_id(collection, version.id, ordinal),
            "ordinal": ordinal,
            "page": piece.page,
            "start": piece.start,
            "end": piece.end,
            "text": piece.text,
            "section": list(piece.section),
            "context": piece.context,
            "vector_sha256": vector_key(searchable(version, document, piece, embedder)),
            **_suspicion(piece.text, injection),
        }
        for ordinal, piece in enumerate(pieces)
    ]


def vector_key(text: str) -> str:
    """Return the key of the vector of an embedded text: its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


def searchable(version: Version, document: DocumentRow, piece: Piece | Chunk, embedder: Embedder) -> str:
    """Return the text of a passage that is embedded: more than what is cited."""
    return searchable_text(
        document_name=document.name,
        title=version.title,
        section=piece.section,
        context=piece.context,
        text=piece.text,
        tokens=embedder.tokens,
        max_tokens=embedder.max_tokens,
    )


def _suspicion(text: str, injection: Injection) -> Row:
    found = assess(text)
    if found.score < injection.flag_score or not found.findings:
        return {"suspicion": found.score, "findings": [], "quarantine": ""}
    state = HELD if found.score >= injection.hold_score else FLAGGED
    return {"suspicion": found.score, "findings": [asdict(one) for one in found.findings], "quarantine": state}
