"""What embedders that are somebody else's model have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import BadResponse
from engine.types import PROBE_TEXT, Space

if TYPE_CHECKING:
    from engine.protocols import Array

MOST_NUMBERS = 16_384  # no model of today gives longer vectors
UNIT = 1e-3  # a vector this near to unit length came normalised
TEST = "Test the provider."


def unit_rows(vectors: Any, *, count: int, provider: str) -> Array:
    """Return what a model gave as float32 unit rows.

    Raises BadResponse for vectors that are missing, ragged, zero, not finite, or longer than 16,384.
    """
    try:
        with np.errstate(over="ignore"):  # what becomes infinite is found below
            matrix = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise BadResponse(f"{provider} gave vectors of different lengths, or not of numbers", hint=TEST) from None
    if matrix.ndim != 2 or len(matrix) != count:
        raise BadResponse(f"{provider} gave vectors of shape {matrix.shape} for {count} texts", hint=TEST)
    if matrix.shape[1] > MOST_NUMBERS:
        raise BadResponse(f"{provider} gave vectors of {matrix.shape[1]} numbers, above {MOST_NUMBERS}", hint=TEST)
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not bool(np.all(np.isfinite(norms))) or not bool(np.all(norms > 0)):
        raise BadResponse(f"{provider} gave a vector that is zero or not a number", hint="Choose another embedding model.")
    rows: Array = matrix / norms
    return rows


def space_of(model_id: str, max_tokens: int, raw: Callable[[str], Any], *, provider: str) -> Space:
    """Return the space of a model, where `raw` gives the vector of a document as the model made it."""
    given = raw(PROBE_TEXT)
    unit = unit_rows([given], count=1, provider=provider)[0]
    return Space(
        model_id=model_id,
        dimension=len(unit),
        max_tokens=max_tokens,
        normalised=abs(float(np.linalg.norm(np.asarray(given, dtype=np.float32))) - 1) <= UNIT,
        probe=unit.astype("<f4").tobytes(),
    )


def sendable(text: str) -> str:
    """Return `text` without half surrogate pairs, which broken files hold and JSON in UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()
