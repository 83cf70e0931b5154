"""Ollama: its clients, its errors as ours, and its list of models."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx
import ollama

from engine.errors import EngineError, ProviderError
from engine.types import Endpoint
from engine.vendors.limits import Limits, async_settings, sync_settings
from engine.vendors.status import clean_names, from_status, not_understood, redacted, too_slow, unreachable

PROVIDER = "Ollama"


class _Key(httpx.Auth):
    """Sends the endpoint's key, as a proxy before Ollama may want one, and never one of the machine's environment."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers.pop("authorization", None)
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"
        yield request


def client(endpoint: Endpoint, *, url: str) -> ollama.Client:
    """Return a client for threads; `url` is for an endpoint without one. Errors of HTTP come out as ProviderErrors."""

    def refuse(response: httpx.Response) -> None:
        if not response.is_success:
            response.read()
            _refused(response, endpoint)

    return ollama.Client(
        **_settings(endpoint, url), **sync_settings(httpx, _limits(endpoint)), event_hooks={"response": [refuse]}
    )


def async_client(endpoint: Endpoint, *, url: str) -> ollama.AsyncClient:
    """Return a client for an event loop, otherwise as `client`."""

    async def refuse(response: httpx.Response) -> None:
        if not response.is_success:
            await response.aread()
            _refused(response, endpoint)

    return ollama.AsyncClient(
        **_settings(endpoint, url), **async_settings(httpx, _limits(endpoint)), event_hooks={"response": [refuse]}
    )


def _limits(endpoint: Endpoint) -> Limits:
    return Limits(PROVIDER, endpoint.timeout_seconds, guard=endpoint.guard)


def _settings(endpoint: Endpoint, url: str) -> dict[str, Any]:
    # An empty host would be read from the environment.
    return {"host": endpoint.base_url or url, "auth": _Key(endpoint.api_key)}


def _refused(response: httpx.Response, endpoint: Endpoint) -> NoReturn:
    """Raise the error of a response, also of a redirect, which is not followed.

    The SDK would lose the headers, and with them how long to wait.
    """
    failure = from_status(
        response.status_code,
        _said(response),
        provider=PROVIDER,
        endpoint=endpoint,
        retry_after=response.headers.get("retry-after"),
    )
    if response.status_code == 404 and endpoint.model:
        failure.hint = f"On the server of Ollama: ollama pull {redacted(endpoint.model, endpoint)}"
    raise failure


def _said(response: httpx.Response) -> object:
    try:
        return response.json()["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return response.content.decode("utf-8", "replace")  # whatever encoding it claims


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise what the SDK raises inside as ProviderError, not chained: the SDK's error repeats what the server said."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer of another world ends in anything
        raise error_of(error, endpoint) from None


def error_of(error: Exception, endpoint: Endpoint) -> ProviderError:
    """Return our error for one of the SDK, of its HTTP library, of sockets, or of reading an answer."""
    if isinstance(error, ollama.ResponseError):
        # Without a status it is an error in the middle of a stream: the model runner failed.
        status = error.status_code if error.status_code >= 400 else 500
        return from_status(status, error.error, provider=PROVIDER, endpoint=endpoint)
    if isinstance(error, ollama.RequestError):
        return from_status(400, error.error, provider=PROVIDER, endpoint=endpoint)
    if isinstance(error, httpx.TimeoutException):
        return too_slow(provider=PROVIDER, seconds=endpoint.timeout_seconds)
    if isinstance(error, httpx.HTTPStatusError):
        return from_status(error.response.status_code, error, provider=PROVIDER, endpoint=endpoint)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return from_status(400, f"the address is wrong: {error}", provider=PROVIDER, endpoint=endpoint)
    # RuntimeError: a client or stream that is closed.
    if isinstance(error, httpx.TransportError | OSError | RuntimeError) and not isinstance(error, RecursionError):
        return unreachable(error, provider=PROVIDER, endpoint=endpoint)
    return not_understood(error, provider=PROVIDER, endpoint=endpoint)


def names(models: Iterable[ollama.ListResponse.Model], *, embedding: bool) -> list[str]:
    """Return the sorted names of the models for embedding, or of the others, as far as family and name tell."""
    return clean_names(one.model for one in models if _embeds(one) == embedding)


def _embeds(model: ollama.ListResponse.Model) -> bool:
    family = (model.details.family if model.details else "") or ""
    return "bert" in family or "embed" in (model.model or "")
