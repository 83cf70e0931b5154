"""The smallest provider that there can be: what CONTRIBUTING.md describes, used by tests/flows/test_toy_provider.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

from engine.tokens import ApproximateTokens
from engine.types import Delta, Endpoint, Prompt, Usage


class ToyGenerator:
    """Answers with the first line of the first passage."""

    provider, context_tokens = "toy", 4000

    def __init__(self, endpoint: Endpoint, *, embedder: object = None) -> None:
        self.model = endpoint.model

    def count_tokens(self, text: str) -> int:
        return ApproximateTokens().count(text)

    async def models(self) -> list[str]:
        return ["toy-1", "toy-2"]

    async def close(self) -> None:
        pass

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        said = prompt.passages[0].chunk.text.splitlines()[0] if prompt.passages else "Ready."
        for word in f"{said} [1]".split():
            yield Delta(text=word + " ")
        yield Delta(usage=Usage(input_tokens=prompt.tokens, output_tokens=self.count_tokens(said)))
