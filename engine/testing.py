"""For tests of the engine and of what is built on it: a whole workbench in a temporary folder, without a model to load."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.assembly import Assembly
from engine.monitoring.hub import Hub
from engine.protocols import Array
from engine.security.passwords import Hasher
from engine.settings import Settings, load_settings
from engine.types import Principal, Role, Space
from engine.vendors.spaces import space_of
from engine.words import terms
from engine.workbench import Workbench

ADMIN = Principal(user_id="a" * 32, name="ada", role=Role.ADMIN, session_id="s1")


class WordTokens:
    """A token is a word or a single other character that is not white space."""

    _TOKEN = re.compile(r"\w{1,12}|[^\w\s]")

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        return len(self.offsets(text))

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return the spans of the tokens."""
        return [match.span() for match in self._TOKEN.finditer(text)]


class HashedWords:
    """An embedder of hashed terms: texts that share words are near each other, and it loads in no time."""

    model_id = "hashed-words-1"
    dimension = 128
    max_tokens = 254
    tokens = WordTokens()

    def __init__(self) -> None:
        self.embedded = 0

    def discover(self) -> Space:
        """Return the space."""
        return space_of(self.model_id, self.max_tokens, self.embed_query, provider="hashed words")

    def models(self) -> list[str]:
        """There is one."""
        return []

    def close(self) -> None:
        """Nothing is held."""

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return unit rows, one a text; `embedded` counts them."""
        self.embedded += len(texts)
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> Array:
        """Return a unit vector."""
        vector = np.zeros(self.dimension, dtype=np.float32)
        for term in terms(text):
            digest = hashlib.sha256(term.encode()).digest()
            vector[digest[0] % self.dimension] += 1.0 if digest[1] % 2 else -1.0
        if not vector.any():
            vector[0] = 1.0
        normal: Array = vector / np.linalg.norm(vector)
        return normal


def offline_settings(folder: Path, **changes: Any) -> Settings:
    """Return settings with everything below `folder`; a server works on documents itself, with the embedder of the test."""
    ingestion = {"worker": "inside", **changes.pop("ingestion", {})}
    return load_settings(data_dir=folder, ingestion=ingestion, **changes)


@asynccontextmanager
async def offline_workbench(
    folder: Path,
    *,
    embedder: HashedWords | None = None,
    serve: bool = False,
    hasher: Hasher | None = None,
    **changes: Any,
) -> AsyncIterator[Workbench]:
    """Give a workbench over SQLite in `folder` with `HashedWords` as its embedder."""
    assembly = Assembly(offline_settings(folder, **changes), hasher=hasher)
    assembly.meter = Hub(strict=True, on_timed=assembly.traces.timed)  # a measurement that is wrong fails the test
    assembly.use_embedder("local", embedder or HashedWords())
    async with assembly.opened(serve=serve) as workbench:
        yield workbench
