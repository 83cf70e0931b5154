"""Functions whose results are kept."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from engine.caching import canonical
from engine.caching.canonical import CallKey
from engine.caching.vectors import decode_vectors, encode_vectors
from engine.errors import ConfigError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Made:
    """What a function returned, and the bytes to keep of it; None to keep nothing."""

    raw: bytes | None
    value: Any


class Keeper(Protocol):
    """What the decorators need of a cache."""

    async def share(self, key: str, make: Callable[[], Awaitable[Made]], *, ttl: float, name: str) -> Made | bytes:
        """Return the kept bytes of `key`, or what `make` gives to everybody who asks at the same time."""
        ...


Decorator = Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]


def cache_embeddings(cache: Keeper, ttl: float = 86_400.0, *, key_prefix: str = "embeddings") -> Any:
    """Decorate an async function whose result is vectors: they come back exactly, numpy as numpy, lists as lists.

    See `kept` for keys, None and errors. A result that is no array of float32 or float64 and no list of floats is returned
    and not kept. Put the model into the arguments, or into `key_prefix`: another model has other vectors.
    """
    return kept(cache, ttl, key_prefix, encode=encode_vectors, decode=decode_vectors, name="embeddings")


def cached_values(cache: Keeper, ttl: float, key_prefix: str) -> Any:
    """Decorate an async function whose result is plain values; see `kept`."""
    return kept(cache, ttl, key_prefix, encode=_json, decode=_from_json, name="responses")


def kept(
    cache: Keeper,
    ttl: float,
    key_prefix: str,
    *,
    encode: Callable[[Any], bytes | None],
    decode: Callable[[bytes], Any],
    name: str,
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Return a decorator for async functions. Raises ConfigError for any other function.

    The key is the function's qualified name and its arguments, which must be plain values (InputError at the call otherwise).
    Calls with equal arguments at the same time are one. What raises is not kept, nor is None: there is nothing to keep. A
    result that `encode` does not know is returned, not kept, and said once in the log.
    """

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        if not inspect.iscoroutinefunction(function):
            raise ConfigError(
                f"{getattr(function, '__qualname__', function)!s} is no async function, so its results cannot be kept",
                hint="Make it `async def`; run what blocks in a thread (asyncio.to_thread).",
            )
        keys = CallKey(function, key_prefix)
        told: list[bool] = []

        @functools.wraps(function)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            async def make() -> Made:
                value = await function(*args, **kwargs)
                raw = None if value is None else encode(value)
                if raw is None and value is not None and not told:
                    told.append(True)
                    logger.warning("results of %s are not kept: %s is not a type for it", function.__qualname__, type(value))
                return Made(raw, value)

            key = keys.of(args, kwargs)
            found = await cache.share(key, make, ttl=ttl, name=name)
            if isinstance(found, bytes):
                value = decode(found)
                if value is None:  # damaged, or of another version
                    return cast("T", (await make()).value)
                return cast("T", value)
            return cast("T", found.value)

        return wrapper

    return decorate


def _json(value: object) -> bytes | None:
    return canonical.encode(value) if canonical.plain(value) else None


def _from_json(raw: bytes) -> Any:
    try:
        return canonical.decode(raw)
    except ValueError:
        return None
