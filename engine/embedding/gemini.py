"""Vectors by the embedding models of Google, over the Gemini API or over Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from google.genai import types

from engine import registry
from engine.errors import BadResponse
from engine.tokens import ApproximateTokens
from engine.types import Endpoint, Space
from engine.vendors.google_client import Access
from engine.vendors.spaces import sendable, space_of, unit_rows

if TYPE_CHECKING:
    from engine.protocols import Array

MAX_TOKENS = 2_048
DOCUMENT, QUERY = "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"
# These models have no task types: they are told the task in words, which are those of Google's guide to embeddings.
IN_WORDS = "gemini-embedding-2"
WORDS = {DOCUMENT: "title: none | text: ", QUERY: "task: search result | query: "}


class GeminiEmbedder:
    """Satisfies Embedder. Passages and questions are told apart by the task that is asked for. Nothing is tried twice.

    A text of more than `max_tokens` tokens is never cut: it is read in windows of equal length, and its vector is the mean
    of theirs weighted by tokens, scaled to unit length.
    Raises MissingSecret and ConfigError at the first request, next to what the protocol names.
    """

    _provider = "gemini"
    _batch = 100
    """Texts that one request may hold."""

    def __init__(self, endpoint: Endpoint, *, threads: int = 0) -> None:
        self._access = Access(endpoint, provider=self._provider)
        self._model = endpoint.model or registry.EMBEDDERS[self._provider].model
        self._length = int(endpoint.options.get("dimensions") or 0)
        self._tokens = ApproximateTokens()
        self._dimension = 0

    @property
    def model_id(self) -> str:
        """The way to the model, its name, and the length asked for."""
        return f"{self._provider}:{self._model.removeprefix('models/')}" + (f"@{self._length}" if self._length else "")

    @property
    def dimension(self) -> int:
        """Length of a vector; the first time, an embedding is asked for. Raises ProviderError."""
        if not self._dimension:
            self.embed_query("length")
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """What the models read of a text."""
        return MAX_TOKENS

    @property
    def tokens(self) -> ApproximateTokens:
        """An over-estimate: the API counts tokens only by request."""
        return self._tokens

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return float32 of shape (len(texts), dimension), unit rows, in input order. Raises ProviderError."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return self._embed(texts, DOCUMENT)

    def embed_query(self, text: str) -> Array:
        """Return float32 of shape (dimension,), unit length. Raises ProviderError."""
        vector: Array = self._embed([text], QUERY)[0]
        return vector

    def discover(self) -> Space:
        """Return the space, found by one request. Raises ProviderError."""
        return space_of(self.model_id, self.max_tokens, lambda text: self._asked([text], DOCUMENT)[0], provider=self._provider)

    def models(self) -> list[str]:
        """Return the names of the models that embed, sorted. Raises ProviderError."""
        return self._access.listed("embedContent")

    def close(self) -> None:
        """Close the connections."""
        self._access.close()

    def _embed(self, texts: Sequence[str], task: str) -> Array:
        windows = [(row, window, tokens) for row, text in enumerate(texts) for window, tokens in self._windows(text)]
        made = [
            vector
            for start in range(0, len(windows), self._batch)
            for vector in self._asked([text for _, text, _ in windows[start : start + self._batch]], task)
        ]
        units = unit_rows(made, count=len(windows), provider=self._provider)
        self._dimension = units.shape[1]
        rows = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for (row, _, tokens), unit in zip(windows, units, strict=True):
            rows[row] += unit * tokens
        return unit_rows(rows, count=len(texts), provider=self._provider)

    def _windows(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield what to send of a text, and its tokens. The API refuses an empty text."""
        spans = self._tokens.offsets(text)
        count = -(-len(spans) // MAX_TOKENS)
        if count <= 1:
            yield (sendable(text) if text.strip() else " "), len(spans) + 1
            return
        edges = [len(spans) * n // count for n in range(count + 1)]
        for start, end in zip(edges, edges[1:], strict=False):
            yield sendable(text[spans[start][0] : spans[end - 1][1]]), end - start

    def _asked(self, texts: Sequence[str], task: str) -> list[Any]:
        """Return the vectors as the model made them, in the order of `texts`."""
        words = WORDS[task] if self._model.rpartition("/")[2].startswith(IN_WORDS) else ""
        with self._access.blocking() as client:
            answer = client.models.embed_content(
                model=self._model,
                # One content each: for some models the SDK makes one content, and one vector, of a list of strings.
                contents=[types.Content(parts=[types.Part(text=words + text)]) for text in texts],
                config=types.EmbedContentConfig(task_type=None if words else task, output_dimensionality=self._length or None),
            )
            made = [embedding.values for embedding in answer.embeddings or ()]
        if len(made) != len(texts) or not all(made):
            raise BadResponse(f"{self._provider} gave {len(made)} vectors for {len(texts)} texts", hint="Test the provider.")
        if self._length and any(len(vector or ()) != self._length for vector in made):
            raise BadResponse(
                f"{self._provider} gave vectors of another length than {self._length}, which was asked for",
                hint="This model cannot shorten its vectors: set their length to 0.",
            )
        return made


class VertexEmbedder(GeminiEmbedder):
    """Satisfies Embedder: the same models in a Google Cloud project, which read one text for each request."""

    _provider = "vertex"
    _batch = 1
