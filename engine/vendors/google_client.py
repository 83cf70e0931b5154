"""Clients of Google's current SDK for the Gemini API and for Vertex AI, and the translation of its errors."""

from __future__ import annotations

import functools
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from types import SimpleNamespace
from typing import Any

import anyio.to_thread
import httpx2
from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types
from google.oauth2.service_account import Credentials

from engine.errors import ConfigError, MissingSecret, ProviderError
from engine.types import Endpoint
from engine.vendors.google import GEMINI, address, key_of, retry_after
from engine.vendors.status import from_status, not_understood, too_slow, unreachable

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Access:
    """How one endpoint reaches the Gemini API, or Vertex AI where `provider` is "vertex".

    The key of Vertex AI is the JSON of a service account, else a key of its express mode, which knows no project. What the
    machine's environment says is never asked. Nothing is made before it is used. Everything raises ProviderError,
    MissingSecret or ConfigError.
    """

    def __init__(self, endpoint: Endpoint, *, provider: str) -> None:
        self.endpoint = endpoint
        self.provider = provider
        self.vertex = provider == "vertex"
        self._lock = threading.RLock()
        self._account: Credentials | None = None
        self._kept: genai.Client | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[genai.Client]:
        """Give a client for `client.aio` whose connections are closed at the end of the block.

        One for each use: connections belong to an event loop, and the SDK closes a stream only when garbage is collected.
        """
        with translated(self.endpoint, provider=self.provider):
            context = await anyio.to_thread.run_sync(tls)
            limit = self.endpoint.timeout_seconds
            async with httpx2.AsyncClient(verify=context, timeout=limit) as http:
                client = await anyio.to_thread.run_sync(self._client, http, abandon_on_cancel=True)
                with closing(client):
                    yield client

    @contextmanager
    def blocking(self) -> Iterator[genai.Client]:
        """Give the client for blocking calls, which is kept until `close`. Thread-safe."""
        with translated(self.endpoint, provider=self.provider):
            with self._lock:
                self._kept = kept = self._kept or self._client()
                if self._account:
                    self._sign_in(self._account)
            yield kept

    def close(self) -> None:
        """Close the connections of `blocking`. Idempotent."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _client(self, http: httpx2.AsyncClient | None = None) -> genai.Client:
        """Return a client that tries once; `http` carries its async calls, and stays open when it is closed."""
        who = self._identity()
        # What is not given here, the SDK takes from the environment or makes anew, certificates of authorities among it.
        options = types.HttpOptions(
            base_url=address(self.endpoint, _vertex(str(who.get("location", "global"))) if self.vertex else GEMINI),
            api_version="v1beta1" if self.vertex else "v1beta",
            timeout=max(1, round(self.endpoint.timeout_seconds * 1000)),
            retry_options=types.HttpRetryOptions(attempts=1),
            client_args={"verify": tls(), "follow_redirects": False},
            async_client_args={"ssl": tls()},
            httpx_async_client=http,
        )
        return genai.Client(vertexai=self.vertex, http_options=options, **who)

    def _identity(self) -> dict[str, Any]:
        key = key_of(self.endpoint, provider=self.provider)
        if not self.vertex or not key.startswith("{"):
            return {"api_key": key}
        with self._lock:
            self._account = account = self._account or _account(key)
        project = str(self.endpoint.options.get("project") or account.project_id or "").strip()
        if not project:
            raise ConfigError("Vertex AI needs a Google Cloud project", hint="Enter its id on the providers page.")
        self._sign_in(account)
        location = str(self.endpoint.options.get("location") or "").strip() or "global"
        return {"credentials": account, "project": project, "location": location}

    def _sign_in(self, account: Credentials) -> None:
        with self._lock:
            if not account.valid:
                # Left to itself the SDK does this, with three tries and no limit of ours on their time.
                account.refresh(self._exchanged)  # type: ignore[no-untyped-call]

    def _exchanged(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any) -> SimpleNamespace:
        """Make the one request of google.auth that exchanges a signed assertion for a token."""
        limit = self.endpoint.timeout_seconds
        answer = httpx2.request(method, url, content=body, headers=headers, timeout=limit, verify=tls())
        if answer.status_code != httpx2.codes.OK:
            after = answer.headers.get("retry-after")
            said = f"no token for the service account: {answer.text}"
            raise from_status(answer.status_code, said, provider=self.provider, endpoint=self.endpoint, retry_after=after)
        return SimpleNamespace(status=answer.status_code, headers=answer.headers, data=answer.content)


def _vertex(location: str) -> str:
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{'' if location == 'global' else f'{location}-'}aiplatform.googleapis.com"


def _account(key: str) -> Credentials:
    try:
        made: Credentials = Credentials.from_service_account_info(json.loads(key), scopes=[SCOPE])  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError, LookupError, GoogleAuthError):
        # Not chained: what could not be read is a secret.
        raise MissingSecret(
            "the JSON that is set as the key of Vertex AI is not that of a service account",
            hint='Enter the whole file that Google Cloud gave for a key of the account; it has "private_key" in it.',
        ) from None
    return made


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context of this process; reading the authorities for it takes 40 ms."""
    return httpx2.create_ssl_context()


@contextmanager
def translated(endpoint: Endpoint, *, provider: str) -> Iterator[None]:
    """Raise what the SDK raises inside as ProviderError.

    The SDK's error is not chained: it repeats what the server said, the key perhaps, and logs print whole chains.
    """
    try:
        yield
    # An answer of another world is not checked by the SDK, and ends in any of the last four.
    except (
        errors.APIError,
        errors.ContinuationInterruptedError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        httpx2.StreamError,
        GoogleAuthError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
    ) as error:
        raise error_of(error, endpoint, provider=provider) from None


def error_of(error: Exception, endpoint: Endpoint, *, provider: str) -> ProviderError:
    """Return our error for one of the SDK, of its HTTP library, of google.auth, or of reading JSON."""
    match error:
        case errors.APIError():
            headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
            after = retry_after(headers.get("retry-after"), error.details)
            said = error.message or error.details
            return from_status(int(error.code or 0), said, provider=provider, endpoint=endpoint, retry_after=after)
        case httpx2.TimeoutException():
            return too_slow(provider=provider, seconds=endpoint.timeout_seconds)
        case httpx2.HTTPError() | httpx2.StreamError() | errors.ContinuationInterruptedError():
            return unreachable(error, provider=provider, endpoint=endpoint)
        case GoogleAuthError() if not isinstance(error, ValueError):
            status = 503 if error.retryable else 401
            return from_status(status, error, provider=provider, endpoint=endpoint)
        case _:
            return not_understood(error, provider=provider, endpoint=endpoint)


def names(models: Iterable[types.Model], action: str) -> list[str]:
    """Return the names of models that can do `action` of the API, sorted. Vertex AI does not tell; there the name must."""
    found = {model.name.rsplit("/", 1)[-1]: model.supported_actions for model in models if model.name}
    embeds = action == "embedContent"
    return sorted(
        name
        for name, actions in found.items()
        if (action in actions if actions else ("embedding" in name) == embeds and (embeds or name.startswith("gemini")))
    )
