"""What a question tells the meter: its stages as they end, and what became of it, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from engine.protocols import Meter
from engine.types import Answer

# The steps of a draft that are stages of their own; "retrieve" tells its parts, as the retriever timed them.
STAGES = {
    "rewrite": "rewrite",
    "cache": "cache",
    "rerank": "rerank",
    "first token": "first_token",
    "generate": "generate",
    "ground": "ground",
}
PARTS = ("embed", "search")


def stage(meter: Meter, name: str, seconds: float, facts: Mapping[str, Any]) -> None:
    """Tell of a step that ended; one that is no stage is passed over."""
    if name in STAGES:
        meter.timed("stage_seconds", (STAGES[name],), seconds, ok=not facts.get("failed"))
    for part in PARTS if name == "retrieve" else ():
        if part in facts:
            meter.timed("stage_seconds", (part,), facts[part] / 1000)


def answered(meter: Meter, answer: Answer, *, stopped: bool = False) -> None:
    """Tell of an answer that is there."""
    outcome = "stopped" if stopped else "refused" if answer.refused else "answered"
    meter.counted("questions_total", (outcome,))
    meter.timed("stage_seconds", ("total",), answer.serving.seconds)
    if outcome != "answered":
        return
    own = "extractive" if answer.provider == "extractive" else "first"
    writer = "fallback" if answer.serving.outages else own
    meter.counted("answers_total", ("cache" if answer.serving.cached_at else writer,))
    for support, count in Counter(sentence.support for sentence in answer.sentences).items():
        meter.counted("sentences_total", (str(support),), count)


def failed(meter: Meter, seconds: float) -> None:
    """Tell of a question that got no answer."""
    meter.counted("questions_total", ("failed",))
    meter.timed("stage_seconds", ("total",), seconds, ok=False)
