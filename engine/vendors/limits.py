"""HTTP transports that end an answer which grows or lasts too long, for httpx and for httpx2, which has the same shape."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from engine.errors import BadResponse
from engine.types import Guard
from engine.vendors.pinned import ProviderGuard, pinned
from engine.vendors.status import too_slow

MOST_BYTES = 64 * 2**20
MOST_ERROR_BYTES = 256 * 2**10
TOKEN_CHARS = 16
SPARE_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take: seconds from the request to its last byte, and bytes of its body; `guard` says from where."""

    provider: str
    seconds: float
    most_bytes: int = MOST_BYTES
    guard: Guard | None = None


def most_chars(output_tokens: int) -> int:
    """Return how many characters of an answer to read from a model that was allowed so many tokens; what follows is cut."""
    return TOKEN_CHARS * output_tokens + SPARE_CHARS


def sync_settings(library: ModuleType, limits: Limits) -> dict[str, Any]:
    """Return arguments for `library.Client`, where `library` is httpx or httpx2.

    Such a client asks for answers that are not compressed, follows no redirect and reads nothing of the environment. Its
    requests raise BadResponse for an answer that is compressed or too long, ProviderTimeout for one that takes too long,
    ProviderDenied for an address that the guard refuses. The body of an error is cut instead.
    """
    return _settings(_guarded(_limited(_Sync, library.HTTPTransport, library.SyncByteStream, limits), library, limits), limits)


def async_settings(library: ModuleType, limits: Limits) -> dict[str, Any]:
    """Return arguments for `library.AsyncClient`, otherwise as `sync_settings`."""
    transport = _limited(_Async, library.AsyncHTTPTransport, library.AsyncByteStream, limits)
    return _settings(_guarded(transport, library, limits), limits)


def _settings(transport: Any, limits: Limits) -> dict[str, Any]:
    return {"transport": transport, "follow_redirects": False, "trust_env": False, "timeout": limits.seconds}


def _guarded(transport: Any, library: ModuleType, limits: Limits) -> Any:
    return pinned(transport, library, ProviderGuard(limits.guard, limits.provider)) if limits.guard else transport


def _limited(part: type, transport: type, stream: type, limits: Limits) -> Any:
    made: Any = type("Limited", (part, transport), {"limits": limits, "body": type("LimitedBody", (_Body, stream), {})})
    return made(trust_env=False)


class _Limited:
    limits: Limits
    body: Any

    def _asking(self, request: Any) -> float:
        """Return when the time of `request` ends."""
        # Bytes are counted as they come, before anything is unpacked: a small answer must not unpack to a large one.
        request.headers["Accept-Encoding"] = "identity"
        return time.monotonic() + self.limits.seconds

    def _checked(self, response: Any, end: float) -> Any:
        response.stream = self.body(response.stream, self.limits, response.status_code, end)
        return response

    def _refused(self, response: Any) -> BadResponse | None:
        if response.headers.get("content-encoding", "identity").strip().lower() in ("", "identity"):
            return None
        return BadResponse(
            f"{self.limits.provider} compressed its answer, which was not asked for",
            hint="The address may not be one of this provider's, or a proxy before it changes its answers.",
        )


class _TimeLeft:
    """A timeout for sockets, which ask for it again at each read: without it a server could drip headers for ever."""

    def __init__(self, limits: Limits, end: float) -> None:
        self._limits, self._end = limits, end

    def __index__(self) -> int:
        if (left := self._end - time.monotonic()) <= 0:
            raise too_slow(provider=self._limits.provider, seconds=self._limits.seconds)
        return math.ceil(left)  # a socket takes a float as it is, but asks any other number for an integer


class _Sync(_Limited):
    def handle_request(self, request: Any) -> Any:
        end = self._asking(request)
        left = _TimeLeft(self.limits, end)
        request.extensions["timeout"] = {**request.extensions.get("timeout", {}), "read": left, "write": left}
        response = super().handle_request(request)  # type: ignore[misc]
        if error := self._refused(response):
            response.close()
            raise error
        return self._checked(response, end)


class _Async(_Limited):
    async def handle_async_request(self, request: Any) -> Any:
        end = self._asking(request)
        try:
            async with asyncio.timeout(self.limits.seconds):
                response = await super().handle_async_request(request)  # type: ignore[misc]
        except TimeoutError:
            raise too_slow(provider=self.limits.provider, seconds=self.limits.seconds) from None
        if error := self._refused(response):
            await response.aclose()
            raise error
        return self._checked(response, end)


class _Body:
    """The body of an answer, as far as it keeps to the limits."""

    def __init__(self, inner: Any, limits: Limits, status: int, end: float) -> None:
        self._inner, self._limits, self._end = inner, limits, end
        self._is_error = status >= 400
        self._left = min(MOST_ERROR_BYTES, limits.most_bytes) if self._is_error else limits.most_bytes

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            if not self._fits(chunk):
                return
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            if not self._fits(chunk):
                return
            yield chunk

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _fits(self, chunk: bytes) -> bool:
        """Return False where the body is to be cut; raise where it is not to be used."""
        if time.monotonic() > self._end:
            raise too_slow(provider=self._limits.provider, seconds=self._limits.seconds)
        self._left -= len(chunk)
        if self._left < 0 and not self._is_error:  # of an error, the status says enough
            raise BadResponse(
                f"{self._limits.provider} gave an answer of more than {self._limits.most_bytes // 2**20} MB",
                hint="The address may not be one of this provider's.",
            )
        return self._left >= 0
