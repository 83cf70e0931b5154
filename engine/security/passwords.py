"""Passwords: bcrypt, with its limit stated instead of silently cut, and equal work for unknown users.

Every call costs about a quarter of a second of one core: callers run it in a thread.
"""

from __future__ import annotations

import bcrypt

from engine.errors import InputError

MIN_CHARS = 10
MAX_BYTES = 72  # bcrypt reads no further (Provos and Mazieres, 1999)
ROUNDS = 12
# The hash of a random value nobody kept, with the same number of rounds as real ones.
_NOBODY = b"$2b$12$LXGNIH4ChOD0zm9X15jiJuVeMv7LURI8Be2g5CskuVv2ueE9cVl8y"


def check_password(password: str) -> None:
    """Raise InputError when `password` is too short or longer than bcrypt reads."""
    if len(password) < MIN_CHARS:
        raise InputError(
            f"the password has fewer than {MIN_CHARS} characters", hint="a few unrelated words are easy to remember"
        )
    if len(password.encode()) > MAX_BYTES:
        raise InputError(
            f"the password is longer than {MAX_BYTES} bytes", hint="choose a shorter one; nothing is cut off silently"
        )
    if "\0" in password:
        raise InputError("the password contains a NUL character", hint="choose another one")


def hash_password(password: str) -> str:
    """Return the bcrypt hash of `password`. Raises InputError (see `check_password`)."""
    check_password(password)
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode("ascii")


def verify_password(password: str, stored: str | None) -> bool:
    """Tell whether `password` has the hash `stored`; None (no such user) costs the same and is False."""
    given = password.encode("utf-8", "surrogatepass")
    fits = len(given) <= MAX_BYTES and b"\0" not in given
    try:
        same = bcrypt.checkpw(given if fits else b"", stored.encode() if stored else _NOBODY)
    except ValueError:  # the stored text is no bcrypt hash, so nothing matches it
        return False
    return same and fits and stored is not None
