"""Answers by the Gemini models of Google, over the Gemini API or over Vertex AI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from google.genai import types

from engine import registry
from engine.generation.prompt import output_tokens, render_messages
from engine.protocols import Embedder
from engine.tokens import ApproximateTokens
from engine.types import Delta, Endpoint, Prompt
from engine.vendors.deadline import bounded
from engine.vendors.google import CONTEXT_TOKENS, Reading
from engine.vendors.google_client import Access, names
from engine.vendors.status import too_slow


class GeminiGenerator:
    """Satisfies Generator. The thoughts of a model are never shown; their tokens count as tokens of the answer.

    Raises MissingSecret and ConfigError at the first request, next to what the protocol names.
    """

    _provider = "gemini"

    def __init__(self, endpoint: Endpoint, *, embedder: Embedder | None = None) -> None:
        self._endpoint = endpoint
        self._access = Access(endpoint, provider=self._provider)
        self._tokens = ApproximateTokens()

    @property
    def provider(self) -> str:
        """The registry name."""
        return self._provider

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._endpoint.model or registry.GENERATORS[self._provider].model

    @property
    def context_tokens(self) -> int:
        """As the admin set it."""
        return int(self._endpoint.options.get("context_tokens") or CONTEXT_TOKENS)

    def count_tokens(self, text: str) -> int:
        """Return an over-estimate of the number of tokens of `text`."""
        return self._tokens.count(text)

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer as it comes, then its usage. Raises ProviderError."""
        return bounded(self._stream(prompt), seconds=self._endpoint.timeout_seconds, provider=self._provider)

    async def models(self) -> list[str]:
        """Return the names of the models that answer, sorted. Raises ProviderError."""
        try:
            async with asyncio.timeout(self._endpoint.timeout_seconds), self._access.opened() as client:
                return names([model async for model in await client.aio.models.list()], "generateContent")
        except TimeoutError:
            raise too_slow(provider=self._provider, seconds=self._endpoint.timeout_seconds) from None

    async def close(self) -> None:
        """Nothing is held between two answers."""

    async def _stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        messages = render_messages(prompt)
        reading = Reading(self._endpoint, provider=self._provider, allowed=output_tokens(prompt, self._endpoint))
        async with self._access.opened() as client:
            chunks = await client.aio.models.generate_content_stream(
                model=self.model,
                contents=[
                    types.Content(role="user" if message.role == "user" else "model", parts=[types.Part(text=message.text)])
                    for message in messages
                ],
                config=_config(prompt, self._endpoint),
            )
            async for chunk in chunks:
                if text := reading.add(chunk):
                    yield Delta(text=text)
                if reading.is_full:
                    break
        yield Delta(usage=reading.finish(self.count_tokens, "\n".join([prompt.system, *(one.text for one in messages)])))


def _config(prompt: Prompt, endpoint: Endpoint) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=prompt.system or None,
        max_output_tokens=output_tokens(prompt, endpoint),
        temperature=0,
        # Either would make one question into several requests.
        automatic_continuation=False,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


class VertexGenerator(GeminiGenerator):
    """Satisfies Generator: the same models in a Google Cloud project. See `Access` for what its key may be."""

    _provider = "vertex"
