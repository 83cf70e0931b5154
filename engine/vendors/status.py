"""HTTP statuses and connection failures of vendors -> our error tree, in words that never repeat a secret."""

from __future__ import annotations

import base64
import email.utils
import html
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from engine.errors import BadResponse, ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable, RateLimited
from engine.types import Endpoint

MESSAGE_CHARS = 300
HIDDEN = "[key]"
LONGEST_WAIT = 3_600.0  # seconds; no header makes us wait longer
MOST_TOKENS = 2**53
MOST_NAMES = 1_000
NAME_CHARS = 200
# What keys of the known vendors look like, for a message that repeats another key than the one it was called with.
KEYLIKE = re.compile(r"\b(?:sk|pk|pcsk|AIza|ya29|hf|gsk|xai)[-_.][\w.*-]{6,}|\bAIza[\w-]{10,}|(?i:bearer)\s+[\w.~+/=-]{8,}")

HINTS = {
    401: "The key is missing or wrong: enter it again on the providers page.",
    403: "The key may not use this model: choose another one, or another key.",
    404: "The address or the model does not exist: choose one from the list of models.",
    413: "The request is too long for this model: ask for fewer passages, or choose a model that reads more.",
    429: "Wait, or raise the limit at the provider.",
}


def redacted(text: object, endpoint: Endpoint, *more: str) -> str:
    """Return `text` as one line of at most 300 characters, without secrets: the key, `more`, what looks like a key.

    A dict or list becomes JSON first. Secrets are found as they are, and as JSON, Python, HTML, URLs and base64 write them.
    """
    line = _one_line(_words(text))
    forms = {form for secret in (endpoint.api_key, *more) for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        line = line.replace(form, HIDDEN)
    return without_keys(line[: 20 * MESSAGE_CHARS])[:MESSAGE_CHARS]


def without_keys(text: str) -> str:
    """Return `text` without what looks like a key of a known vendor, or a bearer."""
    return KEYLIKE.sub(HIDDEN, text)


def _words(text: object) -> str:
    try:
        return json.dumps(text, ensure_ascii=False, default=str) if isinstance(text, dict | list) else str(text)
    except Exception:  # noqa: BLE001 - a cycle, a number of too many digits, an error that cannot be printed
        return type(text).__name__


def _one_line(text: str) -> str:
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


def _forms(secret: str) -> set[str]:
    """Return the ways in which a message may repeat `secret`, in one line as it is."""
    secret = secret.strip()
    if not secret:
        return set()
    raw = secret.encode("utf-8", "replace")
    quoted = [quote(raw, safe=safe) for safe in ("", "/")]
    forms = [
        secret,
        *(json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)),
        repr(secret)[1:-1],
        *(html.escape(secret, quote=marks) for marks in (True, False)),
        *(encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)),
        *_inside_base64(raw),
        *quoted,
        *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in quoted),
        *(form.lower() for form in quoted),
    ]
    return {_one_line(form) for form in forms} - {""}


def _inside_base64(raw: bytes) -> Iterator[str]:
    """Yield what of `raw` is the same wherever it begins inside longer base64, as that of a name and a password."""
    for before in range(3 if len(raw) >= 8 else 0):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + raw).decode().rstrip("=")[before and before + 1 : -1]


def from_status(
    status: int, message: object, *, provider: str, endpoint: Endpoint, retry_after: str | None = None
) -> ProviderError:
    """Return the error for an HTTP status; `message` is what the vendor said, `retry_after` its header if it sent one."""
    text = f"{provider} answered {status}: {redacted(message, endpoint)}"
    hint = HINTS.get(status, "")
    if status == 429:
        return RateLimited(text, hint=hint, retry_after_seconds=retry_seconds(retry_after))
    if status in (408, 504):
        return ProviderTimeout(text, hint="Try again in a moment.")
    if status in (409, 425) or status >= 500:
        return ProviderUnavailable(text, hint="The provider has trouble; try again in a moment.")
    if 300 <= status < 400:
        elsewhere = "It points to another address, which is not followed: enter that one, if it is right."
        return ProviderRejected(text, hint=elsewhere, status=status)
    if 400 <= status < 500:
        return ProviderRejected(text, hint=hint or "The provider refuses the request; its answer says why.", status=status)
    return BadResponse(text, hint="The address may not be one of this provider's.")


def waiting_helps(status: int) -> bool:
    """Return whether the same request may be answered a moment later."""
    return status in (408, 409, 425, 429) or status >= 500


def unreachable(message: object, *, provider: str, endpoint: Endpoint) -> ProviderUnavailable:
    """Return the error for a connection that could not be made, or broke."""
    return ProviderUnavailable(
        f"{provider} cannot be reached: {redacted(message, endpoint)}", hint="Check that it runs, and its address."
    )


def too_slow(*, provider: str, seconds: float) -> ProviderTimeout:
    """Return the error for an answer that did not come in time."""
    return ProviderTimeout(f"{provider} gave no answer within {seconds:.0f} s", hint="Try again, or raise its time limit.")


def not_understood(message: object, *, provider: str, endpoint: Endpoint) -> BadResponse:
    """Return the error for an answer that cannot be read."""
    return BadResponse(
        f"{provider} answered something that cannot be understood: {redacted(message, endpoint)}",
        hint="The address may not be one of this provider's.",
    )


def retry_seconds(header: str | None) -> float | None:
    """Return what a Retry-After header asks for, in seconds from now, at most an hour (RFC 9110 section 10.2.3).

    None when it is unreadable.
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = email.utils.parsedate_to_datetime(header)
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return None if seconds != seconds else min(max(0.0, seconds), LONGEST_WAIT)


def tokens(value: object) -> int:
    """Return a number of tokens as a vendor tells it; 0 for what is no such number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0


def clean_text(text: str) -> str:
    """Return `text` without NUL and half surrogate pairs, which no database and no UTF-8 carries."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def clean_names(names: Iterable[object]) -> list[str]:
    """Return the first 1,000 of the sorted names, each once, without what is no printable text of 1 to 200 characters."""
    texts = {name.strip() for name in names if isinstance(name, str)}
    return sorted(name for name in texts if 0 < len(name) <= NAME_CHARS and name.isprintable())[:MOST_NAMES]
