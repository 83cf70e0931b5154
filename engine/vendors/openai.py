"""What the parts that speak OpenAI's API share: clients, the translation of errors, lists of models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
import openai
from openai import AsyncOpenAI, OpenAI

from engine.errors import ConfigError, EngineError, ProviderError, ProviderRejected
from engine.types import Endpoint
from engine.vendors.limits import Limits, async_settings, sync_settings
from engine.vendors.status import clean_names, from_status, not_understood, redacted, too_slow, unreachable

PROVIDER = "openai"
OWN = "https://api.openai.com/v1"
OWN_HOST = "api.openai.com"
NO_KEY = "none"  # the SDK insists on a key; servers of one's own mostly take none
Client = TypeVar("Client", OpenAI, AsyncOpenAI)

_OTHER_WORK = re.compile(r"embed|whisper|tts|dall-e|image|audio|realtime|transcribe|moderation|sora|davinci|babbage")
# Words for an error inside a stream, whose HTTP status was 200.
_STATUS_OF = {
    "authentication_error": 401,
    "content_filter": 400,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_request_error": 400,
    "rate_limit_exceeded": 429,
}


def address(endpoint: Endpoint) -> httpx2.URL:
    """Return the address below which all paths lie: "" is the vendor's, one without a path gets /v1. Raises ConfigError."""
    given = endpoint.base_url.strip().rstrip("/") or OWN
    try:
        url = httpx2.URL(given)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(
            f"{redacted(given, endpoint)!r} is no web address", hint="Give it as http://host:port or https://host."
        )
    return url if url.path.strip("/") else url.copy_with(path="/v1")


def is_own(endpoint: Endpoint) -> bool:
    """Return whether the endpoint is the vendor's own, or one of its regions; else it is a server that speaks its API."""
    return f".{address(endpoint).host}".endswith(f".{OWN_HOST}")


def async_client(endpoint: Endpoint) -> AsyncOpenAI:
    """Return a client that knows nothing but `endpoint`, and tries once. Raises ConfigError."""
    return _alone(
        AsyncOpenAI(**_arguments(endpoint), http_client=httpx2.AsyncClient(**async_settings(httpx2, _limits(endpoint))))
    )


def sync_client(endpoint: Endpoint) -> OpenAI:
    """Return a client that knows nothing but `endpoint`, and tries once. Raises ConfigError."""
    return _alone(OpenAI(**_arguments(endpoint), http_client=httpx2.Client(**sync_settings(httpx2, _limits(endpoint)))))


def _limits(endpoint: Endpoint) -> Limits:
    return Limits(PROVIDER, endpoint.timeout_seconds, guard=endpoint.guard)


def _arguments(endpoint: Endpoint) -> dict[str, Any]:
    # What is None here would come from the environment of the machine.
    empty = dict.fromkeys(("admin_api_key", "organization", "project", "webhook_secret"), "")
    return {
        **empty,
        "api_key": endpoint.api_key.strip() or NO_KEY,
        "base_url": address(endpoint),
        "timeout": endpoint.timeout_seconds,
        "max_retries": 0,
    }


def _alone(client: Client) -> Client:
    client.organization = client.project = None
    client._custom_headers = {}  # from OPENAI_CUSTOM_HEADERS, for which the constructor has no argument
    return client


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise what the SDK raises inside as ProviderError.

    The SDK's error is not chained: it repeats what the server said, the key perhaps, and logs print whole chains.
    """
    try:
        yield
    except EngineError:
        raise
    # The SDK makes objects of an answer without checking it, so one of another world ends in anything.
    except Exception as error:  # noqa: BLE001
        raise error_of(error, endpoint) from None


def error_of(error: Exception, endpoint: Endpoint) -> ProviderError:
    """Return our error for one of the SDK, of its HTTP library, or of reading JSON."""
    match error:
        case openai.APIConnectionError(__cause__=ProviderError() as ours):
            return ours
        case openai.APIConnectionError(__cause__=httpx2.DecodingError()) | httpx2.DecodingError():
            return not_understood(error, provider=PROVIDER, endpoint=endpoint)
        case openai.APIResponseValidationError():
            return not_understood(error.message, provider=PROVIDER, endpoint=endpoint)
        case openai.APIStatusError():
            after = error.response.headers.get("retry-after")
            said = _said(error)
            return from_status(error.status_code, said, provider=PROVIDER, endpoint=endpoint, retry_after=after)
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return too_slow(provider=PROVIDER, seconds=endpoint.timeout_seconds)
        case openai.APIConnectionError() | httpx2.HTTPError():
            return unreachable(error.__cause__ or error, provider=PROVIDER, endpoint=endpoint)
        case openai.APIError():
            return from_status(_status_within(error), _said(error), provider=PROVIDER, endpoint=endpoint)
        case openai.ContentFilterFinishReasonError():
            return withheld("the content filter acted", endpoint)
        case _:
            return not_understood(error, provider=PROVIDER, endpoint=endpoint)


def withheld(reason: str, endpoint: Endpoint) -> ProviderRejected:
    """Return the error for an answer that the vendor keeps back, in whole or from some word on."""
    return ProviderRejected(
        f"{PROVIDER} withheld the answer: {redacted(reason, endpoint)}", hint="Ask in other words, or choose another model."
    )


def _said(error: openai.APIError) -> object:
    """Return the words of the server without the JSON around them, where they are in one of the usual places."""
    if isinstance(error.body, Mapping):
        return error.body.get("message") or error.body.get("detail") or error.message
    return error.body or error.message


def _status_within(error: openai.APIError) -> int:
    for word in (str(error.code), str(error.type)):
        if word in _STATUS_OF:
            return _STATUS_OF[word]
        if re.fullmatch("[45][0-9][0-9]", word):
            return int(word)
    return 500


def chat_models(listed: Any, endpoint: Endpoint) -> list[str]:
    """Return the names of a model list that may answer questions, sorted. Only the vendor's own list tells by name."""
    return [name for name in _names(listed) if not is_own(endpoint) or not _OTHER_WORK.search(name)]


def embedding_models(listed: Any, endpoint: Endpoint) -> list[str]:
    """Return the names of a model list that may embed, sorted. Only the vendor's own list tells by name."""
    return [name for name in _names(listed) if not is_own(endpoint) or "embed" in name]


def _names(listed: Any) -> list[str]:
    return clean_names(model.id for model in listed.data or ())
