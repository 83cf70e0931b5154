"""Clients of Google's current SDK for the Gemini API and for Vertex AI, and the translation of its errors."""

from __future__ import annotations

import functools
import json
import re
import ssl
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
import httpx2
from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types
from google.oauth2.service_account import Credentials

from engine.errors import ConfigError, EngineError, MissingSecret, ProviderError
from engine.types import Endpoint
from engine.vendors.google import GEMINI, address, checked_place, key_of, retry_after
from engine.vendors.limits import Limits, async_settings, sync_settings
from engine.vendors.status import clean_names, from_status, not_understood, redacted, too_slow, unreachable

# Of each value that it does not know the SDK warns in the words of the server: the key perhaps, or a megabyte.
warnings.filterwarnings("ignore", category=UserWarning, module=r"google\.genai\._common")

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
        self._limits = Limits(provider=provider, seconds=endpoint.timeout_seconds, guard=endpoint.guard)
        self._secrets: list[str] = []  # next to the key
        self._lock = threading.RLock()
        self._account: Credentials | None = None
        self._kept: genai.Client | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[genai.Client]:
        """Give a client for `client.aio` whose connections are closed at the end of the block.

        One for each use: connections belong to an event loop, and the SDK closes a stream only when garbage is collected.
        """
        with translated(self.endpoint, provider=self.provider, secrets=self._secrets):
            await anyio.to_thread.run_sync(tls)
            settings = await anyio.to_thread.run_sync(async_settings, httpx2, self._limits)
            async with httpx2.AsyncClient(**settings) as http:
                client = await anyio.to_thread.run_sync(self._client, http, abandon_on_cancel=True)
                with closing(client):
                    yield client

    @contextmanager
    def blocking(self) -> Iterator[genai.Client]:
        """Give the client for blocking calls, which is kept until `close`. Thread-safe."""
        with translated(self.endpoint, provider=self.provider, secrets=self._secrets):
            with self._lock:
                self._kept = kept = self._kept or self._client()
                if self._account:
                    self._sign_in(self._account)
            yield kept

    def listed(self, action: str) -> list[str]:
        """Return what `names` does, in the time that one answer may take; blocks."""
        end = time.monotonic() + self.endpoint.timeout_seconds
        found: list[types.Model] = []
        with self.blocking() as client:
            pager = client.models.list()
            with suppress(IndexError):  # after the last page
                while True:
                    found += pager.page
                    if time.monotonic() > end:
                        raise too_slow(provider=self.provider, seconds=self.endpoint.timeout_seconds)
                    pager.next_page()
            return names(found, action)

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
            client_args={"verify": tls(), **({} if http else sync_settings(httpx2, self._limits))},
            async_client_args={"ssl": tls()},
            httpx_async_client=http,
        )
        return genai.Client(vertexai=self.vertex, http_options=options, **who)

    def _identity(self) -> dict[str, Any]:
        options = self.endpoint.options
        project, location = checked_place(str(options.get("project") or ""), str(options.get("location") or ""))
        key = key_of(self.endpoint, provider=self.provider)
        if not self.vertex or not key.startswith("{"):
            return {"api_key": key}
        with self._lock:
            self._account = account = self._account or _account(key)
        project, _ = checked_place(project or str(account.project_id or ""), "")
        if not project:
            raise ConfigError("Vertex AI needs a Google Cloud project", hint="Enter its id on the providers page.")
        self._sign_in(account)
        return {"credentials": account, "project": project, "location": location or "global"}

    def _sign_in(self, account: Credentials) -> None:
        with self._lock:
            if not account.valid:
                # Left to itself the SDK does this, with three tries and no limit of ours on their time.
                account.refresh(self._exchanged)  # type: ignore[no-untyped-call]
                self._secrets.append(str(account.token))

    def _exchanged(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any) -> SimpleNamespace:
        """Make the one request of google.auth that exchanges a signed assertion for a token."""
        key = json.loads(self.endpoint.api_key)["private_key"]
        # Those of the former token stay, for what runs on.
        self._secrets[:] = [*self._secrets[-3:], key, *parse_qs((body or b"").decode()).get("assertion", [])]
        with httpx2.Client(verify=tls(), **sync_settings(httpx2, self._limits)) as http:
            answer = http.request(method, url, content=body, headers=headers)
        if answer.status_code != httpx2.codes.OK:
            after = answer.headers.get("retry-after")
            # Its words may be the assertion, which is as good as the token.
            code = re.search(rb'"error"\s*:\s*"([a-z_]{1,40})"', answer.content)
            said = f"no token for the service account {code[1].decode() if code else ''}"
            raise from_status(answer.status_code, said, provider=self.provider, endpoint=self.endpoint, retry_after=after)
        return SimpleNamespace(status=answer.status_code, headers=answer.headers, data=answer.content)


def _vertex(location: str) -> str:
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{'' if location == 'global' else f'{location}-'}aiplatform.googleapis.com"


def _account(key: str) -> Credentials:
    try:
        made: Credentials = Credentials.from_service_account_info(json.loads(key), scopes=[SCOPE])  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - whatever it is
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
def translated(endpoint: Endpoint, *, provider: str, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Raise whatever is raised inside as EngineError, in words without the key or `secrets`.

    The SDK's error is not chained: it repeats what the server said, the key perhaps, and logs print whole chains. The SDK
    does not check an answer of another world, which ends in any error there is.
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is
        raise error_of(error, endpoint, provider=provider, secrets=secrets) from None


def error_of(error: Exception, endpoint: Endpoint, *, provider: str, secrets: Iterable[str] = ()) -> ProviderError:
    """Return our error for one of the SDK, of its HTTP library, of google.auth, or of reading an answer."""
    said = error.message or error.details if isinstance(error, errors.APIError) else error
    said = redacted(said, endpoint, *secrets)
    match error:
        case errors.APIError():
            headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
            after = retry_after(headers.get("retry-after"), error.details)
            status = error.code if isinstance(error.code, int) else 0  # as the body tells it, within a stream
            return from_status(status, said, provider=provider, endpoint=endpoint, retry_after=after)
        case httpx2.TimeoutException():
            return too_slow(provider=provider, seconds=endpoint.timeout_seconds)
        case GoogleAuthError() if not isinstance(error, ValueError):
            # It holds the whole answer that has no token in it, or one of another name.
            said = f"no token for the service account ({type(error).__name__})"
            return from_status(503 if error.retryable else 401, said, provider=provider, endpoint=endpoint)
        case httpx2.HTTPError() | httpx2.StreamError() | errors.ContinuationInterruptedError() | OSError():
            return unreachable(said, provider=provider, endpoint=endpoint)
        case _:
            return not_understood(said, provider=provider, endpoint=endpoint)


def names(models: Iterable[types.Model], action: str) -> list[str]:
    """Return the names of models that can do `action` of the API, sorted. Vertex AI does not tell; there the name must."""
    found = {model.name.rsplit("/", 1)[-1]: model.supported_actions for model in models if model.name}
    embeds = action == "embedContent"
    return clean_names(
        name
        for name, actions in found.items()
        if (action in actions if actions else ("embedding" in name) == embeds and (embeds or name.startswith("gemini")))
    )
