"""What every store checks about vectors before they may touch an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.errors import DimensionMismatch, StoreError
from engine.protocols import Array
from engine.types import Entry

UNIT_TOLERANCE = 1e-2  # vectors that were kept as float16 are off by up to 1e-3


def checked_rows(entries: Sequence[Entry], vectors: Array, dimension: int) -> Array:
    """Return `vectors` as a contiguous float32 matrix (the caller's own one when it is that already).

    Raises DimensionMismatch, or StoreError when rows are missing, not finite, or not of unit length.
    """
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or (len(matrix) and matrix.shape[1] != dimension):
        raise _mismatch(f"shape {matrix.shape}", dimension)
    if len(matrix) != len(entries):
        raise StoreError(f"{len(entries)} entries came with {len(matrix)} vectors", hint="embed every chunk exactly once")
    norms = np.linalg.norm(matrix, axis=1)
    # `not (... <= ...)` also catches NaN, for which every comparison is false.
    if not bool(np.all(np.abs(norms - 1) <= UNIT_TOLERANCE)):
        raise StoreError("a vector is not finite or not of unit length", hint="check the embedder: it must return unit rows")
    return matrix


def checked_query(vector: Array, dimension: int) -> Array:
    """Return `vector` as contiguous float32 of shape (dimension,). Raises DimensionMismatch, StoreError."""
    query = np.ascontiguousarray(vector, dtype=np.float32)
    if query.shape != (dimension,):
        raise _mismatch(f"shape {query.shape}", dimension)
    if not bool(np.all(np.isfinite(query))):
        raise StoreError("the query vector is not finite", hint="check the embedder")
    return query


def known_rows(position: Mapping[str, int], ids: Sequence[str]) -> list[int]:
    """Return the row of each id. Raises StoreError that names an unknown one."""
    try:
        return [position[one] for one in ids]
    except KeyError as error:
        raise StoreError(f"the index has no entry {error.args[0]!r}", hint="build the index again from the database") from None


def _mismatch(found: str, dimension: int) -> DimensionMismatch:
    return DimensionMismatch(
        f"the index holds vectors of dimension {dimension}, but got {found}",
        hint="the collection was embedded with another model: choose that model, or embed the collection again",
    )
