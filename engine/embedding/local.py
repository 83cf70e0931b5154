"""The default embedder: all-MiniLM-L6-v2 on the CPU, from an installed package, without network or key.

Model: Wang et al. 2020 (MiniLM), trained for sentences by the sentence-transformers project; Apache-2.0.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.embedding.checksum import PACKAGE, check
from engine.embedding.wordpiece import WordPieceTokens
from engine.errors import MissingDependency
from engine.types import Endpoint, Space
from engine.vendors.spaces import space_of

if TYPE_CHECKING:
    from engine.protocols import Array

SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
DIMENSION = 384
MODEL_TOKENS = 256
CLS, SEP, PAD = 101, 102, 0
BATCH_TOKENS = 4_096
BATCH_TEXTS = 64
SHORT_TEXTS = 24
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, KEPT_BYTES = -1, -3, 4 << 20  # parameters of mallopt(3)


class LocalEmbedder:
    """Satisfies Embedder. The constructor reads nothing; the first embedding checks and loads the model (seconds).

    A text of more than `max_tokens` tokens is never cut: it is read in windows of equal length, and its vector is the mean
    of theirs weighted by tokens, scaled to unit length.
    Raises MissingDependency when the model's package is not installed, CorruptModel when a file is not the original's.
    """

    def __init__(self, endpoint: Endpoint | None = None, *, threads: int = 0) -> None:
        self._threads = threads
        self._folder = model_folder()
        self._tokens = WordPieceTokens(self._folder / "tokenizer.json", sha256=SHA256["tokenizer.json"])
        self._lock = threading.Lock()
        self._model: Any = None
        # Torch keeps a pool of workers, and their memory, for every thread that ever called it. So two threads do all the
        # work: one for bulk, and one for questions, which then never wait behind a batch of documents.
        self._long = ThreadPoolExecutor(1, thread_name_prefix="embed-bulk")
        self._short = ThreadPoolExecutor(1, thread_name_prefix="embed-short")

    @property
    def model_id(self) -> str:
        """The model and the start of its checksum."""
        return f"all-MiniLM-L6-v2@{SHA256['model.safetensors'][:8]}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    @property
    def max_tokens(self) -> int:
        """What the model was set up to read, less [CLS] and [SEP]."""
        return MODEL_TOKENS - 2

    @property
    def tokens(self) -> WordPieceTokens:
        """The model's own tokenizer; using it does not load torch."""
        return self._tokens

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return float32 of shape (len(texts), 384), unit rows, in input order. Raises CorruptModel."""
        if not texts:
            return np.zeros((0, DIMENSION), dtype=np.float32)
        windows = [(row, window) for row, ids in enumerate(self._tokens.ids(texts)) for window in self._windows(ids)]
        rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        lane = self._short if len(windows) <= SHORT_TEXTS else self._long
        for batch in batches([len(window) for _, window in windows]):
            vectors = lane.submit(self._encode, [windows[i][1] for i in batch]).result()
            for i, vector in zip(batch, vectors, strict=True):
                row, window = windows[i]
                rows[row] += vector * len(window)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    def embed_query(self, text: str) -> Array:
        """Return float32 of shape (384,), unit length. Raises CorruptModel."""
        vector: Array = self.embed_documents([text])[0]
        return vector

    def discover(self) -> Space:
        """Return the space. Raises CorruptModel."""
        return space_of(self.model_id, self.max_tokens, lambda text: self.embed_documents([text])[0], provider="local")

    def models(self) -> list[str]:
        """There is one."""
        return []

    def close(self) -> None:
        """The model stays loaded: it serves all collections of this process."""

    def _windows(self, ids: list[int]) -> Iterator[list[int]]:
        count = max(1, -(-len(ids) // self.max_tokens))
        edges = [len(ids) * n // count for n in range(count + 1)]
        for start, end in zip(edges, edges[1:], strict=False):
            yield [CLS, *ids[start:end], SEP]

    def _encode(self, batch: list[list[int]]) -> Array:
        model = self._loaded()  # first: the libraries are imported under its lock, never by two threads at once
        import torch

        ids = np.full((len(batch), max(map(len, batch))), PAD, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(batch):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        with torch.inference_mode():
            # The modules are called without `encode`, which would tokenise again, sort again and stack row by row.
            features = model({"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)})
            return np.asarray(features["sentence_embedding"].numpy(), dtype=np.float32)

    def _loaded(self) -> Any:
        if self._model is None:
            with self._lock:
                if self._model is None:
                    self._model = self._load()
        return self._model

    def _load(self) -> Any:
        _give_memory_back()
        check(self._folder / "model.safetensors", sha256=SHA256["model.safetensors"])
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        if self._threads:
            torch.set_num_threads(self._threads)
        model = SentenceTransformer(str(self._folder), device="cpu", local_files_only=True).eval()
        gc.freeze()  # what was just imported stays for good: no later collection walks it again
        return model


def _give_memory_back() -> None:
    """Have the C library return large freed blocks to the system, as activations of ever new shapes come and go.

    glibc raises its threshold for that by itself and then keeps them: 1.7 GB resident after 10,000 texts, against 0.8 GB.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library has other habits
        return
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def model_folder() -> Path:
    """Return where the installed package keeps the model, without importing it. Raises MissingDependency."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(f"the local embedder needs the package {PACKAGE!r}", hint=f"pip install {PACKAGE}")
    return Path(spec.submodule_search_locations[0]) / "model"


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of `lengths` in groups of like length: at most BATCH_TOKENS with padding, and BATCH_TEXTS rows."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == BATCH_TEXTS or (len(batch) + 1) * lengths[position] > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
