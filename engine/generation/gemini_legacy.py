"""Answers by the Gemini models over Google's former SDK, google-generativeai, which is no longer maintained.

It is here for those who must keep it. It blocks, keeps its key for the whole process, and tries a refused key three times:
none of that gets past this module.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import anyio.to_thread
import requests
import urllib3
from requests.adapters import HTTPAdapter

from engine import registry
from engine.errors import BadResponse, EngineError, ProviderError, ProviderUnavailable
from engine.generation.prompt import output_tokens, render_messages
from engine.protocols import Embedder
from engine.tokens import ApproximateTokens
from engine.types import Delta, Endpoint, Guard, Prompt
from engine.vendors.deadline import bounded
from engine.vendors.google import CONTEXT_TOKENS, GEMINI, Reading, address, key_of, retry_after
from engine.vendors.limits import MOST_BYTES, MOST_ERROR_BYTES
from engine.vendors.pinned import ProviderGuard
from engine.vendors.status import clean_names, from_status, not_understood, too_slow, unreachable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # that support has ended, which the registry row says too
    import google.generativeai as genai
    from google.ai import generativelanguage as services
    from google.api_core import exceptions
    from google.api_core.client_options import ClientOptions

PROVIDER = "gemini-legacy"


class GeminiLegacyGenerator:
    """Satisfies Generator. The models are not asked for their thoughts, which this SDK could not tell from the answer.

    Raises MissingSecret and ConfigError at the first request, next to what the protocol names.
    """

    def __init__(self, endpoint: Endpoint, *, embedder: Embedder | None = None) -> None:
        self._endpoint = endpoint
        self._tokens = ApproximateTokens()

    @property
    def provider(self) -> str:
        """The registry name."""
        return PROVIDER

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._endpoint.model or registry.GENERATORS[PROVIDER].model

    @property
    def context_tokens(self) -> int:
        """As the admin set it."""
        return int(self._endpoint.options.get("context_tokens") or CONTEXT_TOKENS)

    def count_tokens(self, text: str) -> int:
        """Return an over-estimate of the number of tokens of `text`."""
        return self._tokens.count(text)

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer as it comes, then its usage. Raises ProviderError."""
        return bounded(self._stream(prompt), seconds=self._endpoint.timeout_seconds, provider=PROVIDER)

    async def models(self) -> list[str]:
        """Return the names of the models that answer, sorted. Raises ProviderError."""
        seconds = self._endpoint.timeout_seconds
        line = Line(seconds, self._endpoint.guard)
        try:
            async with asyncio.timeout(seconds):
                return await anyio.to_thread.run_sync(self._models, line, abandon_on_cancel=True)
        except TimeoutError:
            raise too_slow(provider=PROVIDER, seconds=seconds) from None
        finally:
            line.cut()

    async def close(self) -> None:
        """Nothing is held between two answers."""

    async def _stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        request = self._request(prompt)
        reading = Reading(self._endpoint, provider=PROVIDER, allowed=output_tokens(prompt, self._endpoint))
        line = Line(self._endpoint.timeout_seconds, self._endpoint.guard)
        try:
            with translated(self._endpoint):
                chunks = await anyio.to_thread.run_sync(self._begin, request, line, abandon_on_cancel=True)
                while (chunk := await anyio.to_thread.run_sync(next, chunks, None, abandon_on_cancel=True)) is not None:
                    if text := reading.add(chunk):
                        yield Delta(text=text)
                    if reading.is_full:
                        break
        finally:
            line.cut()
        sent = [prompt.system, *(message.text for message in render_messages(prompt))]
        yield Delta(usage=reading.finish(self.count_tokens, "\n".join(sent)))

    def _request(self, prompt: Prompt) -> Any:
        contents = [
            services.Content(role="user" if message.role == "user" else "model", parts=[services.Part(text=message.text)])
            for message in render_messages(prompt)
        ]
        system = prompt.system
        return services.GenerateContentRequest(
            model=self.model if "/" in self.model else f"models/{self.model}",
            contents=contents,
            system_instruction=services.Content(parts=[services.Part(text=system)]) if system else None,
            generation_config=services.GenerationConfig(max_output_tokens=output_tokens(prompt, self._endpoint), temperature=0),
        )

    def _begin(self, request: Any, line: Line) -> Iterator[Any]:
        # GenerativeModel would do, but holds back each chunk until the next one is there.
        client = self._client(services.GenerativeServiceClient, line)
        return iter(client.stream_generate_content(request, retry=None, timeout=self._endpoint.timeout_seconds))

    def _models(self, line: Line) -> list[str]:
        with translated(self._endpoint):
            client = self._client(services.ModelServiceClient, line)
            once: Any = {"retry": None, "timeout": self._endpoint.timeout_seconds}
            listed = genai.list_models(client=client, request_options=once)  # type: ignore[attr-defined]
            able = [model for model in listed if "generateContent" in model.supported_generation_methods]
            return clean_names(model.name.rsplit("/", 1)[-1] for model in able)

    def _client(self, kind: Any, line: Line) -> Any:
        """Return a client of one service with a key of its own: genai.configure() would set it for the whole process."""
        options = ClientOptions(api_key=key_of(self._endpoint, provider=PROVIDER), api_endpoint=address(self._endpoint, GEMINI))
        client = kind(transport="rest", client_options=options)
        session = client.transport._session  # no argument leads there
        session._max_refresh_attempts = 0  # after a 401 it would get itself a fresh key, that is the same one, and ask again
        session.max_redirects = 0  # the key would go along
        session.trust_env = False  # .netrc would replace the key, a proxy read it
        session.headers["Accept-Encoding"] = "identity"
        session.mount("https://", line)
        session.mount("http://", line)
        return client


class _Remembered:
    """Marks the connections of a `Line`."""


class Line(HTTPAdapter):
    """The connections of one session, which any thread can cut at any time: while an answer is read, or awaited.

    Closing a response does not do: it waits for the thread that reads, which waits for the server. No answer is read that is
    compressed, longer than others of this program may be, or not whole after `seconds` from now.
    """

    def __init__(self, seconds: float, guard: Guard | None = None) -> None:
        super().__init__(max_retries=0)
        self._seconds = seconds
        self._guarded = ProviderGuard(guard, PROVIDER) if guard else None
        self._end = time.monotonic() + seconds
        self._guard = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._answers: list[requests.Response] = []
        self._is_cut = False

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections for a request, whose connections are remembered from now on."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        plain, line = pool.ConnectionCls, self

        def connect(connection: Any) -> None:
            plain.connect(connection)
            line.remember(connection.sock)

        def new(connection: Any) -> socket.socket:
            return line.checked(connection.host, connection.port, lambda: plain._new_conn(connection))

        if not issubclass(plain, _Remembered):
            pool.ConnectionCls = type("RememberedConnection", (_Remembered, plain), {"connect": connect, "_new_conn": new})
        return pool

    def checked(self, host: str, port: int, connect: Callable[[], socket.socket]) -> socket.socket:
        """Return a connection to one of the addresses that the guard allows; on another one nothing was sent."""
        if self._guarded is None:
            return connect()
        allowed = self._guarded.addresses(host, port)
        opened = connect()  # urllib3 looks the name up again
        if ip_address(opened.getpeername()[0].partition("%")[0]) not in [ip_address(one) for one in allowed]:
            opened.close()
            raise ProviderUnavailable(f"the name of {PROVIDER}'s host changed its address", hint="Try again.")
        return opened

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Return the answer to a request; reading it raises BadResponse or ProviderTimeout, and of an error ends early."""
        response = super().send(*args, **kwargs)
        self._answers.append(response)
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise BadResponse(f"{PROVIDER} compressed its answer, which was not asked for", hint="Check its address.")
        whole = response.raw.stream

        def limited(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            left = MOST_BYTES if response.ok else MOST_ERROR_BYTES
            for piece in whole(*args, **kwargs):
                left -= len(piece)
                if time.monotonic() > self._end:
                    raise too_slow(provider=PROVIDER, seconds=self._seconds)
                if left < 0 and response.ok:
                    raise BadResponse(
                        f"{PROVIDER} gave an answer of more than {MOST_BYTES >> 20} MB", hint="Check its address."
                    )
                if left < 0:
                    return
                yield piece

        response.raw.stream = limited
        return response

    def remember(self, opened: socket.socket) -> None:
        """Take in a new connection."""
        with self._guard:
            self._sockets.append(opened)
            if self._is_cut:
                _shut(opened)

    def cut(self) -> None:
        """End all connections, and those still to come. Does not block; idempotent."""
        with self._guard:
            self._is_cut = True
            for opened in self._sockets:
                _shut(opened)
        # What nobody reads any more would stay open until garbage is collected, with a server that still has much to send.
        threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        for response in self._answers:
            with suppress(Exception):
                response.close()
        self.close()


def _shut(opened: socket.socket) -> None:
    # It may be closed already, or be a tunnel through a proxy and no socket, which its own timeout ends.
    with suppress(OSError, TypeError):
        # Not the method of a TLS socket, which takes away what the reading thread works with.
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise whatever is raised inside as EngineError; not chained, for it repeats what the server said, the key perhaps."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is
        raise error_of(error, endpoint) from None


def error_of(error: Exception, endpoint: Endpoint) -> ProviderError:
    """Return our error for one of the SDK, of its HTTP library, or of reading JSON."""
    match error:
        case exceptions.GoogleAPICallError() if error.code:
            headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
            after = retry_after(headers.get("retry-after"), error.details)
            return from_status(int(error.code), error.message, provider=PROVIDER, endpoint=endpoint, retry_after=after)
        case requests.Timeout():
            return too_slow(provider=PROVIDER, seconds=endpoint.timeout_seconds)
        case requests.JSONDecodeError() | requests.exceptions.ContentDecodingError():
            return not_understood(error, provider=PROVIDER, endpoint=endpoint)
        case exceptions.GoogleAPIError() | requests.RequestException() | urllib3.exceptions.HTTPError() | OSError():
            return unreachable(error, provider=PROVIDER, endpoint=endpoint)
        case ValueError() if str(error).startswith("Unfinished stream"):
            return unreachable("it broke off its answer", provider=PROVIDER, endpoint=endpoint)
        case _:
            return not_understood(error, provider=PROVIDER, endpoint=endpoint)
