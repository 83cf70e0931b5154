"""Time-based one-time codes: RFC 6238 over RFC 4226, as authenticator apps know it (SHA-1, 6 digits, 30 s)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote, urlencode

ISSUER = "RAG Workbench"
DIGITS = 6
STEP_SECONDS = 30
WINDOW = 1  # steps before and after the present one: clocks differ, and typing takes time (RFC 6238, 5.2)
SECRET_BYTES = 20  # as long as the output of SHA-1 (RFC 4226, 4)


def new_secret() -> str:
    """Return a random secret as 32 characters of base32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def uri(secret: str, *, name: str) -> str:
    """Return what the QR code holds (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    fields = {"secret": secret, "issuer": ISSUER, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{quote(f'{ISSUER}:{name}')}?{urlencode(fields, quote_via=quote)}"


def code_at(secret: str, step: int) -> str:
    """Return the code of time step `step` (RFC 4226, 5.3)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matched_step(secret: str, code: str, *, at: float, after: int = -1) -> int | None:
    """Return the time step whose code this is, or None.

    `at` is in seconds since 1970. Only steps later than `after` (the last one that was accepted) count: no code works twice
    (RFC 6238, 5.2). All steps of the window are compared, each in constant time.
    """
    given = "".join(code.split())
    if len(given) != DIGITS or not given.isascii() or not given.isdigit():
        return None
    present = int(at // STEP_SECONDS)
    found = None
    for step in range(max(0, present - WINDOW), present + WINDOW + 1):
        if hmac.compare_digest(code_at(secret, step), given) and step > after:
            found = step
    return found
