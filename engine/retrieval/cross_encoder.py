"""A cross-encoder in this process reads question and passage together: slower than comparing vectors, and a better judge.

Nogueira and Cho (2019), Passage Re-ranking with BERT.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine.errors import ProviderRejected
from engine.types import Endpoint, Hit
from engine.vendors.huggingface import folder_of, translated

PROVIDER = "cross-encoder"
BATCH = 16


class CrossEncoderReranker:
    """Satisfies Reranker. `endpoint.model` is a folder or a name of the hub; the first use loads it (seconds).

    A passage that is longer than the model reads is judged by its beginning. One thread does all the work, as torch keeps
    workers and memory for every thread that calls it.
    """

    def __init__(self, endpoint: Endpoint, *, threads: int = 0) -> None:
        self._endpoint = endpoint
        self._threads = threads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rerank")
        self._lock = threading.Lock()
        self._model: Any = None

    @property
    def model(self) -> str:
        """The folder or the name."""
        return self._endpoint.model

    def score(self, question: str, hits: Sequence[Hit]) -> list[float]:
        """Return a relevance for each hit in 0..1, in input order. Raises ProviderError."""
        if not hits:
            return []
        passages = ["\n".join(part for part in (hit.chunk.context, hit.chunk.text) if part) for hit in hits]
        # A tokenizer takes no half surrogate pairs.
        pairs = [(_whole(question), _whole(passage)) for passage in passages]
        with translated(PROVIDER, self._endpoint):
            return self._thread.submit(self._score, pairs).result()

    def close(self) -> None:
        """Let go of the model; a later use would load it again."""
        with self._lock:
            self._model = None

    def _score(self, pairs: list[tuple[str, str]]) -> list[float]:
        from torch.nn import Sigmoid

        scores = self._loaded().predict(pairs, batch_size=BATCH, activation_fn=Sigmoid(), show_progress_bar=False)
        return [float(score) for score in scores]

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    def _load(self) -> Any:
        folder = folder_of(self._endpoint, provider=PROVIDER)
        import torch
        from sentence_transformers import CrossEncoder
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        if self._threads:
            torch.set_num_threads(self._threads)
        settings = {"use_safetensors": True, "dtype": torch.float32}
        model = CrossEncoder(str(folder), local_files_only=True, model_kwargs=settings)
        if model.num_labels != 1:
            raise ProviderRejected(
                f"{self.model!r} gives {model.num_labels} values for a pair, not one relevance",
                hint="Choose a model for ranking.",
            )
        return model.eval()


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
