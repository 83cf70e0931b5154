"""Names under which vectors are kept that came from elsewhere, with an imported collection."""

from __future__ import annotations

import re

from engine.database.columns import new_id

_KEPT = 110  # characters of the model's name: with what follows it fits the column
_FOREIGN = re.compile(r"~i[0-9a-f]{8}$")


def foreign_name(model_id: str) -> str:
    """Return a name for vectors that came from elsewhere: no other collection ever takes its vectors from there.

    Vectors are found by the SHA-256 of their text, and nobody can tell whether they belong to it without embedding it.
    """
    return f"{model_id[:_KEPT]}~i{new_id()[:8]}"


def is_foreign(model_id: str) -> bool:
    """Whether vectors of this name came from elsewhere; the probe, not the name, then tells which embedder makes them."""
    return _FOREIGN.search(model_id) is not None
