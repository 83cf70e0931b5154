"""A vector index whose failure costs the dense half of a search, not the answer."""

from __future__ import annotations

from engine.errors import CallNotPermitted, StoreError
from engine.protocols import Array, VectorSearch
from engine.types import Filter, Match


class Tolerant:
    """What an index finds, or nothing when there is none or it fails; the failure is kept in `error`."""

    def __init__(self, index: VectorSearch | None) -> None:
        self._index = index
        self.error: StoreError | CallNotPermitted | None = None

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore."""
        if self._index is None:
            return []
        try:
            return self._index.search(vector, k=k, where=where)
        except (StoreError, CallNotPermitted) as error:
            self.error = error
            return []
