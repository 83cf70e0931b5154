"""A chat model of a server of Ollama."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from ollama import ChatResponse

from engine import registry
from engine.errors import NoAnswer, ProviderUnavailable
from engine.generation.prompt import render_messages
from engine.protocols import Embedder
from engine.tokens import ApproximateTokens
from engine.types import Delta, Endpoint, Prompt, Usage
from engine.vendors.deadline import bounded
from engine.vendors.limits import most_chars
from engine.vendors.ollama import PROVIDER, async_client, names, translated
from engine.vendors.status import clean_text, tokens

CONTEXT_TOKENS = 8_192


class OllamaGenerator:
    """Satisfies Generator. The model has to be pulled on the server before."""

    def __init__(self, endpoint: Endpoint, *, embedder: Embedder | None = None) -> None:
        self._endpoint = endpoint
        with translated(endpoint):
            self._client = async_client(endpoint, url=registry.GENERATORS["ollama"].url)
        self._tokens = ApproximateTokens()

    @property
    def provider(self) -> str:
        """The registry name."""
        return "ollama"

    @property
    def model(self) -> str:
        """The name of the model, with its tag."""
        return self._endpoint.model

    @property
    def context_tokens(self) -> int:
        """As set; the server is asked to keep memory for as many."""
        return int(self._endpoint.options.get("context_tokens") or CONTEXT_TOKENS)

    def count_tokens(self, text: str) -> int:
        """Return an over-estimate: Ollama has no way to count."""
        return self._tokens.count(text)

    async def models(self) -> list[str]:
        """Return the models on the server that are not for embedding. Raises ProviderError."""
        with translated(self._endpoint):
            return names((await self._client.list()).models, embedding=False)

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer as it comes; what a model thinks before is left out. Raises ProviderError."""
        return bounded(self._stream(prompt), seconds=self._endpoint.timeout_seconds, provider=PROVIDER)

    async def _stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
        messages += [{"role": one.role, "content": one.text} for one in render_messages(prompt)]
        # The context holds question and answer; without its size the server would take its own, and cut the prompt silently.
        options = {"num_ctx": self.context_tokens, "num_predict": prompt.answer_tokens, "temperature": 0}
        said, room = 0, most_chars(prompt.answer_tokens)
        with translated(self._endpoint):
            # Models that think would spend the tokens of the answer on it.
            parts = await self._client.chat(self.model, messages, stream=True, options=options, think=False)
            async with aclosing(parts) as stream:  # type: ignore[type-var]
                async for part in stream:
                    text = clean_text((part.message.content or "")[:room])
                    said += self.count_tokens(text)
                    room -= len(text)
                    if text:
                        yield Delta(text=text)
                    if part.done or not room:
                        yield Delta(usage=self._usage(part, prompt, said))
                        return
        raise ProviderUnavailable("Ollama broke off in the middle of the answer", hint="Try again in a moment.")

    def _usage(self, last: ChatResponse, prompt: Prompt, said: int) -> Usage:
        if not said:
            raise NoAnswer(f"{self.model!r} gave no text", hint="Try again, or choose a model that answers without thinking.")
        return Usage(
            input_tokens=tokens(last.prompt_eval_count) or prompt.tokens, output_tokens=tokens(last.eval_count) or said
        )
