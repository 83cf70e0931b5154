"""Answers by a chat model of OpenAI, or of any server that speaks its chat completions API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from engine import registry
from engine.errors import NoAnswer, ProviderUnavailable
from engine.generation.prompt import output_tokens, render_messages
from engine.protocols import Embedder
from engine.tokens import ApproximateTokens
from engine.types import Delta, Endpoint, Prompt, Usage
from engine.vendors.deadline import bounded
from engine.vendors.limits import most_chars
from engine.vendors.openai import PROVIDER, async_client, chat_models, is_own, translated, withheld
from engine.vendors.status import clean_text, not_understood, tokens

DEFAULTS = {option.name: option.default for option in registry.GENERATORS[PROVIDER].fields}


class OpenAIGenerator:
    """Satisfies Generator. `base_url` without a path gets /v1; "" is the vendor's own address.

    The tokens of an answer include those that a model thinks in: one that thinks through all of them raises NoAnswer.
    """

    def __init__(self, endpoint: Endpoint, *, embedder: Embedder | None = None) -> None:
        self._endpoint = endpoint
        self._client = async_client(endpoint)
        self._options = {**DEFAULTS, **endpoint.options}
        self._tokens = ApproximateTokens()

    @property
    def provider(self) -> str:
        """The registry name."""
        return PROVIDER

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._endpoint.model or registry.GENERATORS[PROVIDER].model

    @property
    def context_tokens(self) -> int:
        """As the admin set it: the API does not tell."""
        return int(self._options["context_tokens"])

    def count_tokens(self, text: str) -> int:
        """Return an over-estimate of the number of tokens of `text`."""
        return self._tokens.count(text)

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer as it comes, then its usage. Raises ProviderError."""
        return bounded(self._stream(prompt), seconds=self._endpoint.timeout_seconds, provider=PROVIDER)

    async def models(self) -> list[str]:
        """Return the names of the models, sorted. Raises ProviderError."""
        with translated(self._endpoint):
            return chat_models(await self._client.models.list(), self._endpoint)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        request = self._request(prompt)
        answer = _Answer(room=most_chars(output_tokens(prompt, self._endpoint)))
        with translated(self._endpoint):
            async with await self._client.chat.completions.create(**request) as chunks:
                async for chunk in chunks:
                    if text := answer.add(chunk):
                        yield Delta(text=text)
                    if not answer.room:
                        break
        self._check(answer)
        yield Delta(usage=self._usage(request, answer))

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        system = [("system", prompt.system)] if prompt.system else []
        turns = [(message.role, message.text) for message in render_messages(prompt)]
        # The vendor's newer models refuse the older name, most other servers know only that.
        limit = "max_completion_tokens" if is_own(self._endpoint) else "max_tokens"
        effort = self._options["reasoning_effort"]
        return {
            "model": self.model,
            "messages": [{"role": role, "content": text} for role, text in [*system, *turns]],
            "stream": True,
            "stream_options": {"include_usage": True},
            limit: output_tokens(prompt, self._endpoint),
            **({"reasoning_effort": effort} if effort else {}),
        }

    def _check(self, answer: _Answer) -> None:
        """Raise unless the answer is whole, or was ended by its limit of tokens."""
        if not answer.chunks:
            raise not_understood("no stream of events", provider=PROVIDER, endpoint=self._endpoint)
        if answer.refusal or answer.finish == "content_filter":
            raise withheld("".join(answer.refusal) or "its content filter acted", self._endpoint)
        if not answer.finish:
            raise ProviderUnavailable(f"{PROVIDER} broke off its answer", hint="Try again in a moment.")
        if answer.finish == "length" and not "".join(answer.written).strip():
            raise NoAnswer(
                f"{PROVIDER} used up the tokens of the answer before its first word",
                hint="Set a lower reasoning effort, or choose a model that answers without thinking first.",
            )

    def _usage(self, request: dict[str, Any], answer: _Answer) -> Usage:
        """Return the tokens as the server tells, else as they are counted here."""
        return Usage(
            input_tokens=tokens(getattr(answer.counts, "prompt_tokens", None))
            or sum(self.count_tokens(message["content"]) for message in request["messages"]),
            output_tokens=tokens(getattr(answer.counts, "completion_tokens", None))
            or self.count_tokens("".join(answer.written)),
        )


@dataclass
class _Answer:
    """What has come so far. The SDK does not check types, so nothing is taken for what it should be."""

    room: int
    """How many characters it may still grow by; the one that uses it up is cut, as if by its limit of tokens."""
    chunks: int = 0
    finish: str = ""
    counts: Any = None
    written: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)

    def add(self, chunk: Any) -> str:
        """Take in one chunk; return its text."""
        self.chunks += 1
        self.counts = getattr(chunk, "usage", None) or self.counts
        choice = next(iter(getattr(chunk, "choices", None) or ()), None)
        delta = getattr(choice, "delta", None)
        self.finish = getattr(choice, "finish_reason", None) or self.finish
        if refusal := getattr(delta, "refusal", None):
            self.refusal.append(str(refusal))
        text = clean_text(str(getattr(delta, "content", None) or "")[: self.room])
        self.written.append(text)
        self.room -= len(text)
        if not self.room:
            self.finish = "length"
        return text
