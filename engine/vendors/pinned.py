"""Connections only to addresses that were checked: the name is looked up once, and that very address is connected to.

So a name that answers with another address a moment later (DNS rebinding) leads nowhere. TLS still names the host and checks
its certificate, for only the place where a connection is opened is replaced.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from engine.errors import AddressDenied, ProviderDenied, ProviderUnavailable
from engine.types import Guard

_CORE = {"httpx": "httpcore", "httpx2": "httpcore2"}


def pinned(transport: Any, library: ModuleType, guard: Guard) -> Any:
    """Return `transport`, one of `library` (httpx or httpx2), which from now on asks `guard` at each new connection.

    Raises, when used, what the guard raises.
    """
    pool = transport._pool  # there is no argument for it
    part = _AsyncPinned if hasattr(transport, "handle_async_request") else _Pinned
    pool._network_backend = part(pool._network_backend, importlib.import_module(_CORE[library.__name__]), guard)
    return transport


@dataclass(frozen=True, slots=True)
class ProviderGuard:
    """Satisfies Guard: `inner`, with its refusals as errors of a provider, ProviderDenied and ProviderUnavailable."""

    inner: Guard
    provider: str

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return what the inner guard does."""
        try:
            return self.inner.addresses(host, port)
        except AddressDenied as error:
            if not error.by_rule:
                raise ProviderUnavailable(
                    f"the host of {self.provider} cannot be found", hint="Check its address on the providers page."
                ) from None
            raise ProviderDenied(
                f"{self.provider} has an address that this server may not connect to",
                hint="Which ones it may is in the setting `egress.providers`, an operator's.",
            ) from None


class _Base:
    def __init__(self, inner: Any, core: ModuleType, guard: Guard) -> None:
        self._inner, self._core, self._guard = inner, core, guard
        self._failures = (core.ConnectError, core.ConnectTimeout)

    def _each(self, addresses: Sequence[str], timeout: float | None) -> list[tuple[str, float | None]]:
        """Return the addresses with the time for each: one that does not answer must not take it all."""
        return [(one, timeout and timeout / len(addresses)) for one in addresses]


class _Pinned(_Base):
    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        failure: Exception | None = None
        for address, seconds in self._each(self._guard.addresses(host, port), timeout):
            try:
                return self._inner.connect_tcp(address, port, timeout=seconds, **options)
            except self._failures as error:
                failure = error
        raise failure or self._core.ConnectError("no address")

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _AsyncPinned(_Base):
    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        failure: Exception | None = None
        addresses = await asyncio.to_thread(self._guard.addresses, host, port)
        for address, seconds in self._each(addresses, timeout):
            try:
                return await self._inner.connect_tcp(address, port, timeout=seconds, **options)
            except self._failures as error:
                failure = error
        raise failure or self._core.ConnectError("no address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
