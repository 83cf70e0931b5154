"""Any model of `sentence-transformers` in this process: a folder, or a name of the hub."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.embedding.local import batches
from engine.embedding.windows import embed_windows, prefix_of, readable, with_prefixes
from engine.types import Endpoint, Space
from engine.vendors.huggingface import folder_of, translated
from engine.vendors.spaces import space_of, unit_rows

if TYPE_CHECKING:
    from engine.protocols import Array

PROVIDER = "sentence-transformers"
FALLBACK_TOKENS = 512  # read by a model that does not tell
LEAST_TOKENS = 16
# What decides about the vectors of a folder.
DECIDING = ("*.safetensors", "modules.json", "config.json", "sentence_bert_config.json", "config_sentence_transformers.json",
            "tokenizer.json")  # fmt: skip


class FastTokens:
    """Satisfies TokenCounter, by a copy of a model's tokenizer: the model's own is set to cut and pad while it embeds."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """Return the number of tokens without special tokens."""
        return len(self._tokenizer.encode(readable(text), add_special_tokens=False))

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return the spans of the tokens."""
        spans: list[tuple[int, int]] = self._tokenizer.encode(readable(text), add_special_tokens=False).offsets
        return spans


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Any
    tokens: FastTokens
    max_tokens: int
    dimension: int


class SentenceTransformersEmbedder:
    """Satisfies Embedder. The first use loads the model (seconds), and downloads a name that is not here (longer).

    The model's own prompts for questions and passages are used, unless `options` has prefixes, which replace them. A text of
    more than `max_tokens` tokens is read in windows. One thread does all the work, as torch keeps workers and memory for
    every thread that calls it; it takes small batches in turn, so that a question waits for one of them at most.
    """

    def __init__(self, endpoint: Endpoint, *, threads: int = 0) -> None:
        self._endpoint = endpoint
        self._threads = threads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._lock = threading.Lock()
        self._all: _Loaded | None = None
        self._id = ""

    @property
    def model_id(self) -> str:
        """The name, the start of a SHA-256 of its files, and of the prefixes if there are any. Raises ProviderError."""
        with self._lock:
            if not self._id:
                with translated(PROVIDER, self._endpoint):
                    checksum = _checksum(folder_of(self._endpoint, provider=PROVIDER))
                name = Path(self._endpoint.model).name if Path(self._endpoint.model).is_dir() else self._endpoint.model
                self._id = with_prefixes(f"{PROVIDER}:{name}@{checksum[:8]}", self._endpoint)
            return self._id

    @property
    def dimension(self) -> int:
        """Length of a vector. Raises ProviderError."""
        return self._loaded().dimension

    @property
    def max_tokens(self) -> int:
        """What the model was set up to read, less special tokens and the longest prompt. Raises ProviderError."""
        return self._loaded().max_tokens

    @property
    def tokens(self) -> FastTokens:
        """The model's own tokenizer. Raises ProviderError."""
        return self._loaded().tokens

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return float32 of shape (len(texts), dimension), unit rows, in input order. Raises ProviderError."""
        return self._embed(texts, query=False)

    def embed_query(self, text: str) -> Array:
        """Return float32 of shape (dimension,), unit length. Raises ProviderError."""
        vector: Array = self._embed([text], query=True)[0]
        return vector

    def discover(self) -> Space:
        """Return the space, found by embedding now. Raises ProviderError."""
        return space_of(self.model_id, self.max_tokens, lambda text: self._raw([text], query=False)[0], provider=PROVIDER)

    def models(self) -> list[str]:
        """Nobody can list the folders of a server, or all of the hub."""
        return []

    def close(self) -> None:
        """Let go of the model; a later use would load it again."""
        with self._lock:
            self._all = None

    def _embed(self, texts: Sequence[str], *, query: bool) -> Array:
        loaded = self._loaded()
        if not texts:
            return np.zeros((0, loaded.dimension), dtype=np.float32)
        return embed_windows(texts, loaded.tokens, loaded.max_tokens, partial(self._units, query=query))

    def _units(self, cut: list[tuple[str, int]], *, query: bool) -> Array:
        rows = np.zeros((len(cut), self._loaded().dimension), dtype=np.float32)
        for batch in batches([tokens for _, tokens in cut]):
            raw = self._raw([cut[i][0] for i in batch], query=query)
            rows[batch] = unit_rows(raw, count=len(batch), provider=PROVIDER)
        return rows

    def _raw(self, texts: list[str], *, query: bool) -> Array:
        """Return the vectors as the model gives them."""
        model = self._loaded().model
        encode = model.encode_query if query else model.encode_document
        prompt = prefix_of(self._endpoint, "query_prefix" if query else "document_prefix") or None
        with translated(PROVIDER, self._endpoint):
            future = self._thread.submit(encode, texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False)
            return np.asarray(future.result(), dtype=np.float32)

    def _loaded(self) -> _Loaded:
        with self._lock:
            if self._all is None:
                with translated(PROVIDER, self._endpoint):
                    self._all = self._thread.submit(self._load).result()
            return self._all

    def _load(self) -> _Loaded:
        folder = folder_of(self._endpoint, provider=PROVIDER)
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        if self._threads:
            torch.set_num_threads(self._threads)
        # Whole precision: in half of it, a batch would not give the vectors of its texts one by one.
        settings = {"use_safetensors": True, "dtype": torch.float32}
        model = SentenceTransformer(str(folder), local_files_only=True, model_kwargs=settings).eval()
        tokens = FastTokens(model.tokenizer)
        options = (prefix_of(self._endpoint, "query_prefix"), prefix_of(self._endpoint, "document_prefix"))
        prompt = max(tokens.count(text or "") for text in (*options, *model.prompts.values()))
        room = (model.max_seq_length or FALLBACK_TOKENS) - model.tokenizer.num_special_tokens_to_add() - prompt
        probe = model.encode_document(["a"], show_progress_bar=False)
        return _Loaded(model=model, tokens=tokens, max_tokens=max(LEAST_TOKENS, room), dimension=probe.shape[1])


def _checksum(folder: Path) -> str:
    """Return the SHA-256 of the files that decide about vectors, with their places."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in DECIDING for path in folder.rglob(pattern)}):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
