"""The content of JSON and form bodies: unambiguous, bounded, and its texts for the tripwire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from engine.security.options import Options
from engine.security.refusals import Refused
from engine.security.request import Request
from engine.security.validation import media_type

_HINT = "Send unambiguous JSON in UTF-8 (RFC 8259)."


def texts_of_body(request: Request, body: bytes, options: Options) -> list[str]:
    """Return all texts of a JSON or form body, names included. Raises Refused (400) for what is malformed or over a limit."""
    if not body:
        return []
    if media_type(request) == "application/x-www-form-urlencoded":
        return texts_of_form(body, options)
    return list(_texts(parse_json(body), options))


def texts_of_form(encoded: bytes, options: Options) -> list[str]:
    """Return names and values of an encoded form or query."""
    try:
        pairs = parse_qsl(
            encoded.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=options.max_json_values,
        )
    except ValueError:
        raise Refused(400, "the form is malformed or has too many fields", hint="Encode it as UTF-8.") from None
    return [text for pair in pairs for text in pair]


def parse_json(body: bytes) -> Any:
    """Return the value of `body`. Raises Refused (400): malformed, a name twice, not a number, not UTF-8, or far too deep."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the JSON is malformed", hint=_HINT) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of a name that is there twice, one parser takes the first value and the next one the last.
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused(400, "the JSON has a name twice in one object", hint=_HINT)
    return found


def _no_constant(name: str) -> Any:
    raise Refused(400, f"the JSON has {name}, which is no JSON", hint=_HINT)


def _texts(value: Any, options: Options) -> Iterator[str]:
    # A stack, not recursion: the depth is the sender's.
    waiting, seen = [(value, 1)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if seen > options.max_json_values:
            raise Refused(400, "the JSON has too many values", hint=f"Send at most {options.max_json_values}.")
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            if depth > options.max_json_depth:
                raise Refused(400, "the JSON is nested too deeply", hint=f"Nest at most {options.max_json_depth} levels.")
            if isinstance(value, dict):
                yield from value
            waiting += [(inner, depth + 1) for inner in (value.values() if isinstance(value, dict) else value)]
