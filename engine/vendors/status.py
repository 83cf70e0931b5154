"""HTTP statuses and connection failures of vendors -> our error tree, in words that never repeat a secret."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime
from urllib.parse import quote

from engine.errors import BadResponse, ProviderError, ProviderRejected, ProviderTimeout, ProviderUnavailable, RateLimited
from engine.types import Endpoint

MESSAGE_CHARS = 300
HIDDEN = "[key]"
# What keys of the known vendors look like, for a message that repeats another key than the one it was called with.
_KEYLIKE = re.compile(r"\b(?:sk|pk|pcsk|AIza|ya29|hf|gsk|xai)[-_.][\w.*-]{6,}|\bAIza[\w-]{10,}|(?i:bearer)\s+[\w.~+/=-]{8,}")

HINTS = {
    401: "The key is missing or wrong: enter it again on the providers page.",
    403: "The key may not use this model: choose another one, or another key.",
    404: "The address or the model does not exist: choose one from the list of models.",
    413: "The request is too long for this model: ask for fewer passages, or choose a model that reads more.",
    429: "Wait, or raise the limit at the provider.",
}


def redacted(text: object, endpoint: Endpoint) -> str:
    """Return `text` as one line of at most 300 characters, without the endpoint's key or anything that looks like one."""
    line = " ".join(str(text).split())
    for secret in {endpoint.api_key, quote(endpoint.api_key, safe="")} - {""}:
        line = line.replace(secret, HIDDEN)
    return _KEYLIKE.sub(HIDDEN, line)[:MESSAGE_CHARS]


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
    if 400 <= status < 500:
        return ProviderRejected(text, hint=hint or "The provider refuses the request; its answer says why.")
    return BadResponse(text, hint="The address may not be one of this provider's.")


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
    """Return what a Retry-After header asks for, in seconds from now (RFC 9110 section 10.2.3); None when it is unreadable."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        at = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
