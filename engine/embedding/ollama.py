"""An embedding model of a server of Ollama."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from engine import registry
from engine.embedding.windows import embed_windows, prefix_of, with_prefixes
from engine.tokens import ApproximateTokens
from engine.types import PROBE_TEXT, Endpoint, Space
from engine.vendors.ollama import PROVIDER, client, names, translated
from engine.vendors.spaces import space_of, unit_rows
from engine.vendors.status import not_understood

if TYPE_CHECKING:
    from engine.protocols import Array

CONTEXT_TOKENS = 2_048  # of a model that does not tell
MOST_TOKENS = 8_192  # the server keeps memory for as many
SPECIAL_TOKENS = 16
BATCH = 32


@dataclass(frozen=True, slots=True)
class _Facts:
    model_id: str
    context: int
    dimension: int


class OllamaEmbedder:
    """Satisfies Embedder. The first use asks the server about the model, three requests.

    A text of more than `max_tokens` tokens is read in windows. Tokens are counted from above, and the server is told to
    refuse what is too long rather than to cut it.
    """

    def __init__(self, endpoint: Endpoint, *, threads: int = 0) -> None:
        self._endpoint = endpoint
        with translated(endpoint):
            self._client = client(endpoint, url=registry.EMBEDDERS["ollama"].url)
        self._tokens = ApproximateTokens()
        self._lock = threading.Lock()
        self._known: _Facts | None = None

    @property
    def model_id(self) -> str:
        """The name with the start of the digest of its weights, and of the prefixes if there are any. Raises ProviderError."""
        return self._facts().model_id

    @property
    def dimension(self) -> int:
        """Length of a vector. Raises ProviderError."""
        return self._facts().dimension

    @property
    def max_tokens(self) -> int:
        """What the model reads by its description, less special tokens and prefixes. Raises ProviderError."""
        return self._room(self._facts().context)

    @property
    def tokens(self) -> ApproximateTokens:
        """An over-estimate: Ollama has no way to count."""
        return self._tokens

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return float32 of shape (len(texts), dimension), unit rows, in input order. Raises ProviderError."""
        return self._embed(texts, "document_prefix")

    def embed_query(self, text: str) -> Array:
        """Return float32 of shape (dimension,), unit length. Raises ProviderError."""
        vector: Array = self._embed([text], "query_prefix")[0]
        return vector

    def discover(self) -> Space:
        """Return the space as it is now: the same name may have been pulled with other weights. Raises ProviderError."""
        with self._lock:
            self._known = None
        facts = self._facts()
        raw = partial(self._raw, prefix="document_prefix", context=facts.context)
        return space_of(facts.model_id, self.max_tokens, lambda text: raw([text])[0], provider=PROVIDER)

    def models(self) -> list[str]:
        """Return the embedding models on the server. Raises ProviderError."""
        with translated(self._endpoint):
            return names(self._client.list().models, embedding=True)

    def close(self) -> None:
        """Release connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _embed(self, texts: Sequence[str], prefix: str) -> Array:
        facts = self._facts()
        if not texts:
            return np.zeros((0, facts.dimension), dtype=np.float32)

        def units(cut: list[tuple[str, int]]) -> Array:
            parts = [[text for text, _ in cut[at : at + BATCH]] for at in range(0, len(cut), BATCH)]
            made = [vector for part in parts for vector in self._raw(part, prefix, facts.context)]
            return unit_rows(made, count=len(cut), provider=PROVIDER)

        return embed_windows(texts, self._tokens, self._room(facts.context), units)

    def _raw(self, texts: Sequence[str], prefix: str, context: int) -> Sequence[Sequence[float]]:
        """Return the vectors as the model gives them. A model may refuse a text without a token: it gets a full stop."""
        before = prefix_of(self._endpoint, prefix)
        inputs = [before + (text if text.strip() else ".") for text in texts]
        with translated(self._endpoint):
            found = self._client.embed(self._endpoint.model, inputs, truncate=False, options={"num_ctx": context}).embeddings
        if len(found) != len(texts):
            raise not_understood(f"{len(found)} vectors for {len(texts)} texts", provider=PROVIDER, endpoint=self._endpoint)
        return found

    def _room(self, context: int) -> int:
        prefixes = (prefix_of(self._endpoint, name) for name in ("query_prefix", "document_prefix"))
        return max(SPECIAL_TOKENS, context - SPECIAL_TOKENS - max(map(self._tokens.count, prefixes)))

    def _facts(self) -> _Facts:
        with self._lock:
            if self._known is None:
                digest, context = self._digest(), self._context()
                vectors = unit_rows(self._raw([PROBE_TEXT], "document_prefix", context), count=1, provider=PROVIDER)
                name = f"ollama:{self._endpoint.model}" + (f"@{digest}" if digest else "")
                self._known = _Facts(with_prefixes(name, self._endpoint), context, vectors.shape[1])
            return self._known

    def _digest(self) -> str:
        """Return the start of the digest of the weights; "" when the server does not list the model."""
        wanted = self._endpoint.model if ":" in self._endpoint.model else f"{self._endpoint.model}:latest"
        with translated(self._endpoint):
            found = [one.digest for one in self._client.list().models if one.model == wanted and one.digest]
        return found[0].removeprefix("sha256:")[:12] if found else ""

    def _context(self) -> int:
        with translated(self._endpoint):
            about = self._client.show(self._endpoint.model).modelinfo or {}
            told = [int(value) for name, value in about.items() if name.endswith(".context_length")]
        return min([*(value for value in told if value > 0), MOST_TOKENS]) if told else CONTEXT_TOKENS
