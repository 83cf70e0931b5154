"""An answer that was kept, as it is given once more: the same words, with what this time took and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.services.answer_cache import KeptAnswer
from engine.types import Answer, Serving, Usage

WAITING = "The same question is being answered; waiting for it"
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def given_again(
    kept: KeptAnswer, *, query: str, steps: Sequence[Mapping[str, Any]], seconds: float, cost_usd: float | None
) -> Answer:
    """Return the answer as it is now: `steps`, time and cost are of this time; the former steps stay in the trace.

    The cost is that of rewriting the question, if a model did: nothing else was called.
    """
    former = kept.answer.trace.get("steps", [])
    return replace(
        kept.answer,
        query=query,
        usage=Usage(),
        trace={**kept.answer.trace, "query": query, "steps": [*steps], "former_steps": former},
        serving=Serving(
            seconds=seconds, cost_usd=cost_usd, warnings=kept.answer.serving.warnings, cached_at=kept.at.isoformat()
        ),
    )


def found_step(seconds: float) -> str:
    """Return what the reader is told about the age of what was found."""
    for unit, name in _UNITS:
        if seconds >= unit:
            count = int(seconds // unit)
            return f"Found this answer from {count} {name}{'s' if count > 1 else ''} ago"
    return "Found this answer from a moment ago"
