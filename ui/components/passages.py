"""A passage as the evidence panel shows it: cited by an answer, or merely near a question that was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.types import Answer, Citation, Hit, Support


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What is shown of a citation or of a hit; `support` is the best among the sentences that cite it.

    `findings` say what in the passage around it tries to command its reader.
    """

    n: int
    document_id: str
    document: str
    version: int
    page: int
    start: int
    end: int
    text: str
    score: float
    section: tuple[str, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    support: Support | None = None
    findings: tuple[str, ...] = ()
    recognised: bool = False


def passages(answer: Answer) -> list[Passage]:
    """Return what an answer cites, or, when it refuses, what came nearest."""
    if answer.refused and not answer.citations:
        return [_near(n, hit) for n, hit in enumerate(answer.nearest, 1)]
    return [_cited(citation, answer) for citation in answer.citations]


def _cited(one: Citation, answer: Answer) -> Passage:
    found = {sentence.support for sentence in answer.sentences if one.n in sentence.citations}
    return Passage(
        n=one.n,
        document_id=one.document_id,
        document=one.document,
        version=one.version,
        page=one.page,
        start=one.start,
        end=one.end,
        text=one.text,
        score=one.score,
        section=one.section,
        scores=_split(one, answer),
        support=next((support for support in Support if support in found), None),
        recognised=one.recognised,
        findings=tuple(reason for row in _listed(one, answer) for reason in row.get("findings", ())),
    )


def _split(one: Citation, answer: Answer) -> dict[str, float]:
    return {name: score for row in _listed(one, answer) for name, score in row.items() if isinstance(score, float)}


def _listed(one: Citation, answer: Answer) -> list[Mapping[str, Any]]:
    return [row for row in answer.trace.get("passages", ()) if row.get("chunk") == one.chunk_id]


def _near(n: int, hit: Hit) -> Passage:
    chunk = hit.chunk
    return Passage(
        n=n,
        document_id=chunk.document_id,
        document=chunk.document_name,
        version=chunk.version,
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
        score=hit.score,
        section=chunk.section,
        scores=hit.scores,
        recognised=chunk.recognised,
        findings=tuple(sorted({finding.reason for finding in chunk.findings})),
    )
