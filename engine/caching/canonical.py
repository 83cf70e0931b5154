"""Plain values as text, in one way only: what is equal has equal text, and what comes back is what was given."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import InputError


def plain(value: object) -> bool:
    """Whether JSON gives `value` back as it is: None, bool, int, finite float, str, list, dict with str keys."""
    if isinstance(value, float):
        return type(value) is float and math.isfinite(value)
    if type(value) is list:
        return all(map(plain, value))
    if type(value) is dict:
        return all(type(key) is str and plain(one) for key, one in value.items())
    return value is None or type(value) in (bool, int, str)


def encode(value: object) -> bytes:
    """Return `value` as canonical JSON. Raises InputError for what is not `plain`."""
    if not plain(value):
        raise InputError("only plain values can be kept", hint="None, bool, int, float, str, and lists and dicts of these.")
    # surrogatepass: a text may hold half a character, and must still have a key
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")


def decode(raw: bytes) -> Any:
    """Return what was encoded. Raises ValueError for damaged bytes."""
    return json.loads(raw.decode(errors="surrogatepass"))


class CallKey:
    """The keys of one function's calls: its qualified name and its arguments, however they were passed."""

    def __init__(self, function: Callable[..., Any], prefix: str) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._signature = inspect.signature(function)
        self._prefix = prefix

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Return the key of a call. Raises InputError for an argument that is no plain value, TypeError like the call."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = {}
        for name, value in bound.arguments.items():
            listed = list(value) if self._signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL else value
            if not plain(listed):
                raise InputError(
                    f"{self._name} cannot be cached by its argument {name!r}",
                    hint="Arguments are None, bool, int, float, str, and lists and dicts of these.",
                )
            arguments[name] = listed
        digest = hashlib.sha256(encode([self._name, arguments])).hexdigest()
        return f"{self._prefix}:{digest}"
