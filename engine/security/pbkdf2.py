"""Password hashes of older systems, read only: PBKDF2 with HMAC-SHA-256 (RFC 8018, 5.2) of Django, Werkzeug, passlib."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

MAX_ITERATIONS = 2_000_000  # more would be seconds of work for anybody who knows the name
PREFIXES = ("pbkdf2_sha256$", "pbkdf2:sha256:", "$pbkdf2-sha256$")
DIGEST_BYTES = 32

_DJANGO = re.compile(r"pbkdf2_sha256\$(?P<iterations>\d{1,7})\$(?P<salt>[^$]+)\$(?P<digest>[A-Za-z0-9+/]{43}=)")
_WERKZEUG = re.compile(r"pbkdf2:sha256:(?P<iterations>\d{1,7})\$(?P<salt>[^$]+)\$(?P<digest>[0-9a-fA-F]{64})")
# passlib's own base64: "." for "+", no padding.
_PASSLIB = re.compile(r"\$pbkdf2-sha256\$(?P<iterations>\d{1,7})\$(?P<salt>[A-Za-z0-9./]+)\$(?P<digest>[A-Za-z0-9./]{43})")


@dataclass(frozen=True, slots=True)
class Pbkdf2:
    """A parsed hash."""

    iterations: int
    salt: bytes
    digest: bytes


def parse(stored: str) -> Pbkdf2 | None:
    """Return what `stored` says, or None when it is no such hash or has more than `MAX_ITERATIONS`."""
    try:
        if found := _DJANGO.fullmatch(stored):
            salt, digest = found["salt"].encode(), base64.b64decode(found["digest"])
        elif found := _WERKZEUG.fullmatch(stored):
            salt, digest = found["salt"].encode(), bytes.fromhex(found["digest"])
        elif found := _PASSLIB.fullmatch(stored):
            salt, digest = _adapted(found["salt"]), _adapted(found["digest"])
        else:
            return None
    except (binascii.Error, UnicodeEncodeError):
        return None
    iterations = int(found["iterations"])
    if not 1 <= iterations <= MAX_ITERATIONS or len(digest) != DIGEST_BYTES:
        return None
    return Pbkdf2(iterations, salt, digest)


def matches(old: Pbkdf2 | None, password: str, *, iterations: int = 0) -> bool:
    """Tell whether `password` has the hash `old` (None matches nothing), in at least `iterations` iterations in any case."""
    given = password.encode("utf-8", "surrogatepass")
    done = old.iterations if old else 0
    same = old is not None and hmac.compare_digest(_derived(given, old.salt, old.iterations), old.digest)
    if iterations > done:
        _derived(given, b"nobody", iterations - done)
    return same


def _derived(password: bytes, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


def _adapted(text: str) -> bytes:
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))
