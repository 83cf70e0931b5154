"""Vectors by an embedding model of OpenAI, or of any server that speaks its embeddings API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from engine import registry
from engine.embedding.windows import embed_windows, prefix_of, with_prefixes
from engine.errors import BadResponse
from engine.tokens import ApproximateTokens
from engine.types import Endpoint, Space
from engine.vendors.openai import PROVIDER, address, embedding_models, is_own, sync_client, translated
from engine.vendors.spaces import sendable, space_of, unit_rows
from engine.vendors.status import not_understood

if TYPE_CHECKING:
    from engine.protocols import Array

# What the API takes in one request; it allows 300,000 tokens.
REQUEST_TEXTS = 2_048
REQUEST_TOKENS = 250_000
DEFAULTS = {option.name: option.default for option in registry.EMBEDDERS[PROVIDER].fields}
Window: TypeAlias = tuple[str, int]
"""What to send, and its tokens."""


class OpenAIEmbedder:
    """Satisfies Embedder. `base_url` without a path gets /v1; "" is the vendor's own address. Nothing is tried twice.

    A text of more than `max_tokens` tokens is never cut: it is read in windows of like length, and its vector is the mean
    of theirs weighted by tokens, scaled to unit length.
    """

    def __init__(self, endpoint: Endpoint, *, threads: int = 0) -> None:
        self._endpoint = endpoint
        self._client = sync_client(endpoint)
        self._options = {**DEFAULTS, **endpoint.options}
        self._model = endpoint.model or registry.EMBEDDERS[PROVIDER].model
        self._tokens = ApproximateTokens()
        self._dimension = 0

    @property
    def model_id(self) -> str:
        """The server unless it is the vendor's, the model, the length asked for, and a mark of the prefixes."""
        url = address(self._endpoint)
        where = "" if is_own(self._endpoint) else f"({url.host}{f':{url.port}' if url.port else ''})"
        length = f"@{self._options['dimensions']}" if self._options["dimensions"] else ""
        return with_prefixes(f"{PROVIDER}{where}:{self._model}{length}", self._endpoint)

    @property
    def dimension(self) -> int:
        """Length of a vector; the first time, an embedding is asked for. Raises ProviderError."""
        if not self._dimension:
            self.embed_query("length")
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """As the admin set it: the API does not tell."""
        return int(self._options["max_tokens"])

    @property
    def tokens(self) -> ApproximateTokens:
        """An over-estimate: the API has no tokenizer."""
        return self._tokens

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return float32 of shape (len(texts), dimension), unit rows, in input order. Raises ProviderError."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return self._embed(texts, prefix_of(self._endpoint, "document_prefix"))

    def embed_query(self, text: str) -> Array:
        """Return float32 of shape (dimension,), unit length. Raises ProviderError."""
        vector: Array = self._embed([text], prefix_of(self._endpoint, "query_prefix"))[0]
        return vector

    def discover(self) -> Space:
        """Return the space, by embedding `PROBE_TEXT` now. Raises ProviderError."""
        prefix = prefix_of(self._endpoint, "document_prefix")
        return space_of(self.model_id, self.max_tokens, lambda text: self._asked([prefix + text])[0], provider=PROVIDER)

    def models(self) -> list[str]:
        """Return the names of the models, sorted. Raises ProviderError."""
        with translated(self._endpoint):
            return embedding_models(self._client.models.list(), self._endpoint)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _embed(self, texts: Sequence[str], prefix: str) -> Array:
        before = self._tokens.count(prefix)

        def units(windows: list[Window]) -> Array:
            # The API refuses an empty text.
            sent = [(sendable(prefix + text) or " ", tokens + before) for text, tokens in windows]
            made = [vector for batch in batches(sent) for vector in self._asked([text for text, _ in batch])]
            return unit_rows(made, count=len(windows), provider=PROVIDER)

        rows = embed_windows(texts, self._tokens, max(1, self.max_tokens - before), units)
        self._dimension = rows.shape[1]
        return rows

    def _asked(self, texts: Sequence[str]) -> list[Any]:
        """Return the vectors as the model made them, as arrays in the order of `texts`."""
        length = int(self._options["dimensions"])
        options: dict[str, Any] = {"dimensions": length} if length else {}
        with translated(self._endpoint), np.errstate(over="ignore"):  # what becomes infinite is found later
            # Base64 would be shorter, but not every server knows it.
            answer = self._client.embeddings.create(model=self._model, input=list(texts), encoding_format="float", **options)
            found = {int(item.index): np.asarray(item.embedding, dtype=np.float32) for item in answer.data}
            given = len(answer.data)
        if given != len(texts) or sorted(found) != list(range(given)):
            raise not_understood(f"{given} vectors for {len(texts)} texts", provider=PROVIDER, endpoint=self._endpoint)
        if length and any(vector.shape != (length,) for vector in found.values()):
            raise BadResponse(
                f"{PROVIDER} gave vectors of another length than {length}, which was asked for",
                hint="This model cannot shorten its vectors: set their length to 0.",
            )
        return [found[index] for index in range(given)]


def batches(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Yield `windows` in order, in groups that one request may hold."""
    batch: list[Window] = []
    tokens = 0
    for window in windows:
        if batch and (len(batch) == REQUEST_TEXTS or tokens + window[1] > REQUEST_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(window)
        tokens += window[1]
    if batch:
        yield batch
