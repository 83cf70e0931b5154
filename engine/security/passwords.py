"""Passwords: bcrypt, with its limit stated instead of silently cut; hashes of older systems; equal work for everybody.

Every call costs about a quarter of a second of one core: callers run it in a thread.
"""

from __future__ import annotations

import re
from typing import Protocol

import bcrypt

from engine.errors import InputError
from engine.security import pbkdf2

MIN_CHARS = 10
MAX_BYTES = 72  # bcrypt reads no further (Provos and Mazieres, 1999)
ROUNDS = 12
COMMONEST = frozenset({
    "1234567890", "0123456789", "0987654321", "1234567891", "12345678910", "123456789a", "1q2w3e4r5t", "1q2w3e4r5t6y",
    "1qaz2wsx3edc", "q1w2e3r4t5", "qwertyuiop", "qwerty1234", "qwerty12345", "qwerty123456", "asdfghjkl1",
    "zxcvbnm123", "1111111111", "0000000000", "password12", "password123", "password1234", "passwordpassword",
    "passw0rd123", "p@ssw0rd123", "p@ssword123", "administrator", "admin12345", "admin123456", "changeme123",
    "letmein123", "welcome123", "welcome1234", "iloveyou123", "football123", "baseball123", "sunshine123",
    "princess123", "abcdefghij", "abcd123456", "abc1234567", "a123456789", "trustno1trustno1",
    "correcthorsebatterystaple",
})  # fmt: skip
"""What is tried first everywhere and is long enough to pass otherwise; compared in lower case."""

# $2a$, $2b$ and $2y$ hash alike. More than 16 rounds would be seconds of work for anybody who knows the name.
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")
# Salt and hash of a random value nobody kept.
_NOBODY = "LXGNIH4ChOD0zm9X15jiJuVeMv7LURI8Be2g5CskuVv2ueE9cVl8y"


class Hasher(Protocol):
    """Makes and checks bcrypt hashes. `rounds` is the binary logarithm of their work."""

    @property
    def rounds(self) -> int:
        """How much work a new hash is."""

    def hash(self, password: str) -> str:
        """Return a bcrypt hash of `password`, which has at most 72 bytes and no NUL."""

    def check(self, password: str, stored: str) -> bool:
        """Tell whether `password` has the bcrypt hash `stored`. May raise ValueError for what is no hash."""


class BcryptHasher:
    """The package bcrypt itself."""

    def __init__(self, rounds: int = ROUNDS) -> None:
        self.rounds = rounds

    def hash(self, password: str) -> str:
        """Return a new hash."""
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self.rounds)).decode("ascii")

    def check(self, password: str, stored: str) -> bool:
        """Tell whether `password` has this hash."""
        return bcrypt.checkpw(password.encode(), stored.encode())


def check_password(password: str, *, name: str = "") -> None:
    """Raise InputError unless `password` may become the one of the user `name` (OWASP ASVS 5.0, 6.2)."""
    if len(password) < MIN_CHARS:
        raise InputError(
            f"the password has fewer than {MIN_CHARS} characters", hint="a few unrelated words are easy to remember"
        )
    if not _is_text(password):
        raise InputError("the password contains a NUL or a broken character", hint="choose another one")
    if len(password.encode()) > MAX_BYTES:
        raise InputError(
            f"the password is longer than {MAX_BYTES} bytes", hint="choose a shorter one; nothing is cut off silently"
        )
    if password.lower() in COMMONEST:
        raise InputError("this is one of the commonest passwords", hint="a few unrelated words are easy to remember")
    if password.casefold() == name.strip().casefold():
        raise InputError("the password is the user's name", hint="choose another one")


class Passwords:
    """Hashes and checks over a `Hasher`. All methods are slow on purpose."""

    def __init__(self, hasher: Hasher | None = None) -> None:
        self._hasher = hasher or BcryptHasher()

    def hash(self, password: str, *, name: str = "") -> str:
        """Return the bcrypt hash of `password`. Raises InputError (see `check_password`)."""
        check_password(password, name=name)
        return self._hasher.hash(password)

    def verify(self, password: str, stored: str | None, *, iterations: int = 0) -> bool:
        """Tell whether `password` has the hash `stored`, at the same cost whatever `stored` is.

        None (no such user), an empty hash (invited) and plain text match nothing. Always done: bcrypt of `rounds` rounds, and
        `iterations` iterations of PBKDF2. The caller gives the most that any stored hash has: so an account that was taken
        over from an older system takes no other time than one that does not exist.
        """
        old = pbkdf2.parse(stored or "")
        known = bool(stored and _BCRYPT.fullmatch(stored))
        fits = _is_text(password) and len(password.encode()) <= MAX_BYTES
        same = self._bcrypt(password if fits else "", stored if known and stored else self._nobody(self._hasher.rounds))
        if known and stored:
            # 2^s + (2^s + ... + 2^(r-1)) = 2^r: a hash of fewer rounds takes as long as one of r.
            for rounds in range(_rounds(stored), self._hasher.rounds):
                self._bcrypt("", self._nobody(rounds))
        matches = pbkdf2.matches(old, password, iterations=iterations)
        return (same and fits and known) or matches

    def renewed(self, password: str, stored: str) -> str:
        """Return a hash to store instead of `stored`, or "" when it is up to date; `password` is known to be right."""
        if _BCRYPT.fullmatch(stored) and _rounds(stored) >= self._hasher.rounds:
            return ""
        if len(password.encode()) > MAX_BYTES:  # the older system read more than bcrypt does: its hash stays
            return ""
        return self._hasher.hash(password)

    def _bcrypt(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.check(password, stored)
        except ValueError:  # the stored text is no bcrypt hash, so nothing matches it
            return False

    @staticmethod
    def _nobody(rounds: int) -> str:
        return f"$2b${rounds:02d}${_NOBODY}"


def _rounds(stored: str) -> int:
    return int(stored[4:6])


def _is_text(password: str) -> bool:
    return "\0" not in password and not any("\ud800" <= character <= "\udfff" for character in password)
