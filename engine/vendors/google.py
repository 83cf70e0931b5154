"""What the parts for Google's models share whichever of its two SDKs they use: addresses, words, how an answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.errors import ConfigError, MissingSecret, NoAnswer, ProviderRejected, ProviderUnavailable
from engine.types import Endpoint, Usage
from engine.vendors.status import clean_text, redacted, tokens

GEMINI = "https://generativelanguage.googleapis.com"
CONTEXT_TOKENS = 32_000  # of a prompt, where the admin set nothing

LONGEST_TOKEN = 16  # characters of an answer for each token that it may have, and the rest
LONGEST_REST = 2_000
REASON_CHARS = 60

# Reasons to stop by their names in the API. One that is not here, now or in years to come, is a filter that acted.
_WHOLE = frozenset({"STOP", "MAX_TOKENS", "CONTINUATION"})
_FAILED = frozenset({"OTHER", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})


class Reading:
    """One streamed answer so far. The chunks of both SDKs have the same attributes, which may be None, absent or zero."""

    def __init__(self, endpoint: Endpoint, *, provider: str, allowed: int) -> None:
        """`allowed`: tokens that the model was allowed to write."""
        self._endpoint = endpoint
        self._provider = provider
        self._reason = ""
        self._usage: Usage | None = None
        self._written: list[str] = []
        self._room = LONGEST_TOKEN * allowed + LONGEST_REST

    @property
    def is_full(self) -> bool:
        """Whether the answer is longer than any of so many tokens, and is cut here: there is no need to read on."""
        return self._room <= 0

    def add(self, chunk: Any) -> str:
        """Take in one chunk; return the text in it, thoughts left out. Raises ProviderRejected when a filter acted."""
        feedback = chunk.prompt_feedback
        if blocked := _name(getattr(feedback, "block_reason", None)):
            raise self._withheld("the prompt", blocked, getattr(feedback, "block_reason_message", None))
        if counts := chunk.usage_metadata:
            self._usage = _usage(counts) or self._usage
        candidate = next(iter(chunk.candidates or ()), None)
        self._reason = _name(getattr(candidate, "finish_reason", None)) or self._reason
        parts = getattr(getattr(candidate, "content", None), "parts", None) or ()
        text = clean_text("".join(part.text or "" for part in parts if not getattr(part, "thought", None)))[: self._room]
        if self._reason and self._reason not in _WHOLE | _FAILED:
            raise self._withheld("the answer", self._reason)
        self._written.append(text)
        self._room -= len(text)
        if self.is_full:
            self._reason = "MAX_TOKENS"
        return text

    def finish(self, count: Callable[[str], int], sent: str) -> Usage:
        """Return the tokens used, counted where the vendor does not tell.

        Raises ProviderUnavailable when the answer broke off, NoAnswer when it went wrong or has no text.
        """
        written = "".join(self._written)
        if not self._reason:
            raise ProviderUnavailable(f"{self._provider} broke off its answer", hint="Try again in a moment.")
        if self._reason in _FAILED:
            raise NoAnswer(f"{self._provider} failed to write an answer ({self._reason})", hint="Ask in other words.")
        if not written.strip():
            raise NoAnswer(
                f"{self._provider} wrote nothing before it stopped ({self._reason})",
                hint="The model may have used up its tokens on thoughts: choose one that thinks less.",
            )
        return self._usage or Usage(input_tokens=count(sent), output_tokens=count(written))

    def _withheld(self, what: str, reason: str, words: object = None) -> ProviderRejected:
        said = f": {redacted(words, self._endpoint)}" if words else ""
        return ProviderRejected(
            f"{self._provider} refused {what} because of its content ({redacted(reason, self._endpoint)[:REASON_CHARS]}){said}",
            hint="Ask in other words, or choose another model.",
        )


def _name(reason: Any) -> str:
    """Return the name of an enum value; "" for none or for the one that means none."""
    name = str(getattr(reason, "name", reason) or "")
    return "" if name.endswith("REASON_UNSPECIFIED") else name


def _usage(counts: Any) -> Usage | None:
    """Return the tokens that are paid for: those of thoughts are part of the total, but in neither of the other two counts."""
    sent, total = tokens(counts.prompt_token_count), tokens(counts.total_token_count)
    written = max(tokens(counts.candidates_token_count), total - sent)
    return Usage(input_tokens=sent, output_tokens=written) if sent or written else None


def key_of(endpoint: Endpoint, *, provider: str) -> str:
    """Return the key. Raises MissingSecret where it is empty, or holds what no HTTP header can."""
    key = endpoint.api_key.strip()
    if not key:
        raise MissingSecret(f"{provider} needs a key", hint="Enter it on the providers page.")
    if not key.startswith("{") and not (key.isascii() and key.isprintable()):
        raise MissingSecret(f"what is set as the key of {provider} is none", hint="Enter it again on the providers page.")
    return key


def address(endpoint: Endpoint, own: str) -> str:
    """Return the address below which all paths lie; `own` is the vendor's. Raises ConfigError."""
    given = endpoint.base_url.strip().rstrip("/") or own
    try:
        parts = urlsplit(given)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise ConfigError(
            f"{redacted(given, endpoint)!r} is no web address", hint="Give it as http://host:port or https://host."
        )
    return given


def checked_place(project: str, location: str) -> tuple[str, str]:
    """Return project and location of Vertex AI without blanks around; either may be empty. Raises ConfigError.

    The location is part of the name of the host that gets the token, so it must not hold another host.
    """
    project, location = project.strip(), location.strip()
    if not re.fullmatch("[a-z0-9:.-]{0,64}", project):
        raise ConfigError("this is no id of a Google Cloud project", hint="Give it as in my-project-7.")
    if not re.fullmatch("[a-z0-9-]{0,40}", location):
        raise ConfigError("this is no location of Vertex AI", hint="Give it as in europe-west4, or leave it empty.")
    return project, location


def retry_after(header: str | None, body: Any) -> str | None:
    """Return how long to wait: the header, or the seconds of google.rpc.RetryInfo in the body of the error."""
    if header:
        return header
    error = body.get("error", body) if isinstance(body, Mapping) else body
    details = error.get("details") if isinstance(error, Mapping) else error
    for detail in details if isinstance(details, list | tuple) else ():
        if isinstance(detail, Mapping) and str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            return str(detail.get("retryDelay", "")).removesuffix("s")
    return None
