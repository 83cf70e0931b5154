"""Names that people give to things, in the one form in which they are kept."""

from __future__ import annotations

import unicodedata

from engine.errors import InputError


def clean_name(name: str, of: str, *, most: int, hint: str = "Choose another name.") -> str:
    """Return a name in Unicode NFC with single spaces, 1 to `most` printable characters. `of` is "a key", for the error.

    Raises InputError.
    """
    shown = " ".join(unicodedata.normalize("NFC", name).split()) if isinstance(name, str) else ""
    if not 1 <= len(shown) <= most or not shown.isprintable():
        raise InputError(f"{of}'s name has 1 to {most} printable characters", hint=hint)
    return shown
