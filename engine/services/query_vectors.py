"""Vectors of questions, kept so that a question that is asked again is not embedded (and not paid for) again."""

from __future__ import annotations

import hashlib

import numpy as np

from engine.caching.keys import keyed
from engine.database.models import Collection
from engine.protocols import Array, Meter
from engine.services.answer_cache import Keeping

PREFIX = "embeddings:"
UNIT = 1e-3  # a kept vector is as long as it was: about 1


class QueryVectors:
    """Query vectors of this installation, told apart by the embedding space."""

    def __init__(self, *, cache: Keeping, hours: float, secret: bytes, meter: Meter | None = None) -> None:
        self._cache = cache
        self._seconds = hours * 3600
        self._secret = secret
        self._meter = meter

    async def get(self, space: Collection, text: str) -> Array | None:
        """Return the vector of exactly this text in the space of a collection: float32, bit for bit; None when not kept."""
        name = self._name(space, text)
        value = await self._cache.get(name, name="")
        vector: Array | None = None
        if value is not None and len(value) == 4 * space.dimension:
            vector = np.frombuffer(value, dtype="<f4").astype(np.float32)
            length = float(np.linalg.norm(vector))
            vector = vector if abs(length - 1) <= UNIT else None  # false for what is not a number, too
        if value is not None and vector is None:
            await self._cache.delete(name)
        if self._meter is not None:
            self._meter.counted("cache_requests_total", ("embeddings", "miss" if vector is None else "hit"))
        return vector

    async def keep(self, space: Collection, text: str, vector: Array) -> None:
        """Keep a vector."""
        await self._cache.set(self._name(space, text), np.asarray(vector, dtype="<f4").tobytes(), ttl=self._seconds)

    def _name(self, space: Collection, text: str) -> str:
        # The name of a space can be given again once no collection has it; its probe vector tells the model behind it.
        probe = hashlib.sha256(space.probe or b"").hexdigest()
        return PREFIX + keyed(self._secret, space.embedder, space.embedding_model, space.model_id, space.dimension, probe, text)
