"""Answers as JSON values and back, as messages and kept answers hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from engine.documents import Chunk, Finding
from engine.types import Answer, Citation, Hit, Outage, Sentence, Serving, Support, Usage


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Return the whole answer as values that JSON knows."""
    return asdict(answer)


def answer_from_json(value: Mapping[str, Any]) -> Answer:
    """Return the answer. Raises KeyError, TypeError, ValueError or AttributeError for what `answer_to_json` did not make."""
    return Answer(
        text=value["text"],
        refused=value["refused"],
        sentences=tuple(map(sentence_from_json, value["sentences"])),
        citations=tuple(Citation(**{**one, "section": tuple(one["section"])}) for one in value["citations"]),
        provider=value["provider"],
        model=value["model"],
        usage=Usage(**value["usage"]),
        nearest=tuple(map(hit_from_json, value["nearest"])),
        query=value["query"],
        trace=dict(value["trace"]),
        serving=serving_from_json(value["serving"]),
    )


def sentence_from_json(value: Mapping[str, Any]) -> Sentence:
    """Return one sentence."""
    return Sentence(text=value["text"], support=Support(value["support"]), citations=tuple(value["citations"]))


def serving_from_json(value: Mapping[str, Any]) -> Serving:
    """Return how an answer came about; what older rows do not have is as if it were not so."""
    return Serving(
        seconds=value.get("seconds", 0.0),
        cost_usd=value.get("cost_usd"),
        outages=tuple(Outage(**one) for one in value.get("outages", ())),
        notes=tuple(value.get("notes", ())),
        warnings=tuple(value.get("warnings", ())),
        cached_at=value.get("cached_at", ""),
    )


def hit_to_json(hit: Hit) -> dict[str, Any]:
    """Return a hit with its chunk."""
    return {"chunk": asdict(hit.chunk), "score": hit.score, "scores": dict(hit.scores)}


def hit_from_json(value: Mapping[str, Any]) -> Hit:
    """Return a hit with its chunk."""
    chunk = {**value["chunk"], "section": tuple(value["chunk"]["section"])}
    chunk["findings"] = tuple(Finding(**one) for one in chunk.get("findings", ()))
    return Hit(chunk=Chunk(**chunk), score=value["score"], scores=value["scores"])
