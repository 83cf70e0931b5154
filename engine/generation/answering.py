"""Generated text -> the finished, cited and grounded Answer: what the ask pipeline calls last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.generation.citations import Statement, bind, cite
from engine.generation.grounding import Grounding, ground
from engine.generation.prompt import is_refusal
from engine.protocols import Embedder
from engine.types import Answer, Prompt, Sentence, Support, Usage

NEAREST = 3


def finish(
    text: str,
    *,
    prompt: Prompt,
    refused: bool,
    provider: str,
    model: str,
    usage: Usage,
    embedder: Embedder,
    trace: Mapping[str, Any],
    query: str,
) -> Answer:
    """Return the Answer that `text` (whole, or stopped half-way) makes. CPU work: call it in a thread. Raises ProviderError.

    Markers in `text` refer to `prompt.passages`; in the answer they are numbered anew, one number for each cited slice, and
    stand at the end of their sentence. A sentence without a marker gets the passage that carries it, if any does. A refusal,
    also one that a model worded as told, has no sentences and no citations, but the nearest passages.
    """
    if refused or is_refusal(text) or not text.strip():
        return Answer(
            text=text,
            refused=refused or is_refusal(text),
            sentences=(),
            citations=(),
            provider=provider,
            model=model,
            usage=usage,
            nearest=prompt.passages[:NEAREST],
            query=query,
            trace=trace,
        )
    bound = bind(text, prompt)
    groundings = _groundings(bound.statements, prompt, embedder)
    shown, used, citations = cite(bound, groundings, prompt)
    sentences = tuple(
        Sentence(text=statement.text, support=grounding.support, citations=numbers)
        for statement, grounding, numbers in zip(bound.statements, groundings, used, strict=True)
    )
    return Answer(
        text=shown,
        refused=False,
        sentences=sentences,
        citations=tuple(citations),
        provider=provider,
        model=model,
        usage=usage,
        query=query,
        trace={**trace, "rejected_citations": list(bound.rejected)},
    )


def _groundings(statements: Sequence[Statement], prompt: Prompt, embedder: Embedder) -> list[Grounding]:
    verdicts = ground([(one.text, one.cited) for one in statements], prompt.passages, embedder=embedder)
    # A passage that the text names stays cited, so that the reader can see that it does not carry the sentence.
    return [
        verdict if one.cited or verdict.support is not Support.UNSUPPORTED else Grounding(support=verdict.support)
        for one, verdict in zip(statements, verdicts, strict=True)
    ]
