"""What admins type about a provider, checked: names, addresses, options, keys. No message repeats an address or a key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

from engine import registry
from engine.errors import InputError, MissingSecret
from engine.specs import Field, Spec
from engine.types import Scalar

MAX_KEY_CHARS = 20_000
MAX_URL_CHARS = 500
MAX_OPTION_CHARS = 500
MAX_NUMBER = 10**9
SHORTEST_SHOWN = 12
PORTS = {"http": 80, "https": 443, "postgresql": 5432}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_WRITTEN = re.compile(r"[!-\[\]-~]*")  # printable ASCII without white space and backslash
_KEY = re.compile(r"[!-~]*")
_SEVERAL_LINES = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]*")
_HOST = re.compile(r"(?:(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])(?::[0-9]{1,5})?")
_POSTGRES_QUERY = re.compile(r"(?:sslmode=(?:disable|allow|prefer|require|verify-ca|verify-full))?")
_AS_KEY = "Take it out. A password or key is entered as the key: there it is kept encrypted."
# These become part of the address that the key is sent to.
_PLACES = {"location": re.compile(r"[a-z0-9-]{1,40}"), "project": re.compile(r"[a-z0-9:.-]{1,64}")}


def refuse_built_in(kind: str) -> None:
    """Refuse a kind of provider that cannot be added: it is there already. Raises InputError, UnknownComponent."""
    if not isinstance(kind, str):
        raise InputError("the kind of a provider is a text", hint="Choose one from the list.")
    if all(spec.built_in for spec in registry.roles(kind).values()):
        raise InputError(f"{kind!r} is built in: there is nothing to add", hint="Choose it on the providers page.")


def clean_name(name: str, kind: str) -> str:
    """Return the name of a new provider. Raises InputError."""
    name = name.strip().lower() if isinstance(name, str) else ""
    if not _NAME.fullmatch(name):
        raise InputError(
            "a provider's name has 1 to 40 small letters, digits and hyphens", hint="For example openai, or llama-server-2."
        )
    if name != kind and any(name in table for table in registry.ROLES.values()):
        raise InputError(f"{name!r} is the name of another kind of provider", hint="Choose another name.")
    return name


def clean_url(url: str, specs: Mapping[str, Spec]) -> str:
    """Return the address of a provider, "" for the vendor's own. It never holds a password. Raises InputError."""
    spec = next(iter(specs.values()))
    if not isinstance(url, str):
        raise InputError("the address is a text", hint="Leave it empty for the usual one.")
    url = url.strip().rstrip("/")
    if not url:
        return "" if spec.url in ("", "vendor") else spec.url
    if not spec.url:
        raise InputError("this kind of provider has no address", hint="Leave the address empty.")
    parts = _split(url)
    if parts is None or parts.scheme not in PORTS:
        raise InputError(
            f"the address is no URL of at most {MAX_URL_CHARS} plain characters",
            hint="Begin with http:// or https://, then the host (for pgvector: postgresql://user@host/database)."
            if url.isascii()
            else "A host with other letters than a-z is entered in its xn-- form, other characters of a path as %XX.",
        )
    if spec.url.startswith("postgresql") != (parts.scheme == "postgresql"):
        raise InputError(
            "an address of this kind begins with " + ("postgresql://" if spec.url.startswith("p") else "http:// or https://"),
            hint="Correct the address.",
        )
    if parts.scheme == "postgresql":
        _check_postgres(parts)
    elif "@" in url or "?" in url:
        raise InputError("the address holds a user, a password or a query", hint=_AS_KEY)
    _check_host(parts.netloc.rpartition("@")[2])
    return url


def _split(url: str) -> SplitResult | None:
    if len(url) > MAX_URL_CHARS or not _WRITTEN.fullmatch(url) or "#" in url or "%00" in url:
        return None
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if valid else None


def _check_postgres(parts: SplitResult) -> None:
    """Refuse an address with anything but user, host, port, database and the option sslmode."""
    user, database = unquote(parts.netloc.rpartition("@")[0]), unquote(parts.path)
    if ":" in user or any(one in user + database for one in "@#?") or not _POSTGRES_QUERY.fullmatch(parts.query):
        raise InputError("the address holds a password, or an option other than sslmode", hint=_AS_KEY)
    if not user or len(database) < 2:
        raise InputError("the address names no user or no database", hint="Enter postgresql://user@host:5432/database.")


def _check_host(text: str) -> None:
    found = _HOST.fullmatch(text)
    try:
        if found and found["v6"]:
            IPv6Address(found["v6"])
    except ValueError:
        found = None
    if not found:
        raise InputError(
            "the host of the address is written in a way that is not understood alike everywhere",
            hint="Enter letters a-z, digits, dots and hyphens, or [IPv6], and a port from 1 to 65535.",
        )


def place(url: str, options: Mapping[str, Scalar] | None = None) -> tuple[str, str, int | None, str]:
    """Return what a key belongs to: scheme, host and port, and the location that is part of a vendor's own host."""
    parts = urlsplit(url)
    location = str((options or {}).get("location") or "global")
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), parts.port or PORTS.get(parts.scheme), location


def bound(key: str, url: str, options: Mapping[str, Scalar]) -> str:
    """Return what to seal for a key: with the place that it was entered for, so that an altered row sends it nowhere else."""
    return json.dumps([*place(url, options), key])


def unbound(text: str, url: str, options: Mapping[str, Scalar]) -> str:
    """Return the key that `bound` wrapped. Raises MissingSecret when it was entered for another place."""
    *there, key = json.loads(text)
    if there != [*place(url, options)]:
        raise MissingSecret("the key was entered for another address", hint="Enter it again on the providers page.")
    return str(key)


def clean_key(key: str) -> str:
    """Return a key without the white space around it. Raises InputError; the message never repeats the key."""
    key = key.strip() if isinstance(key, str) else "\0"
    if len(key) > MAX_KEY_CHARS or not _SEVERAL_LINES.fullmatch(key):
        raise InputError("this is no key", hint="Copy it again from the provider's page.")
    if not key.startswith("{") and not _KEY.fullmatch(key):
        raise InputError(
            "a key has no spaces, line breaks or other letters than ASCII", hint="Copy it from the provider's page."
        )
    return key


def last4(key: str) -> str:
    """Return the end of a key for telling keys apart; "json" for a file of credentials, "set" for a short secret."""
    if not key:
        return ""
    if key.startswith("{"):
        return "json"
    return key[-4:] if len(key) >= SHORTEST_SHOWN else "set"


def clean_options(options: Mapping[str, Scalar], specs: Mapping[str, Spec]) -> dict[str, Scalar]:
    """Return the options in the types of their fields; what is at its default is left out. Raises InputError."""
    fields = {one.name: one for spec in specs.values() for one in spec.fields}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InputError("options are names with values", hint=f"known: {', '.join(sorted(fields)) or 'none'}")
    unknown = sorted(set(options) - set(fields))
    if unknown:
        raise InputError(
            f"unknown options: {', '.join(ascii(name) for name in unknown)[:200]}",
            hint=f"known: {', '.join(sorted(fields)) or 'none'}",
        )
    typed = {name: _typed(name, value, fields[name]) for name, value in options.items()}
    return {name: value for name, value in typed.items() if value != fields[name].default}


def _typed(name: str, value: Scalar, field: Field) -> str | bool | int:
    text = (
        str(value) if isinstance(value, (str, bool, float)) or (isinstance(value, int) and abs(value) <= MAX_NUMBER) else "\0"
    )
    if len(text) > MAX_OPTION_CHARS or not text.isprintable():
        raise InputError(
            f"{field.label}: this is no value", hint=f"One line of at most {MAX_OPTION_CHARS} characters; numbers up to 10^9."
        )
    if isinstance(field.default, bool):
        return value if isinstance(value, bool) else text.strip().lower() in ("1", "true", "yes", "on")
    if isinstance(field.default, int):
        return _number(text.strip(), field.default, field.label)
    text = text.strip() if field.default or name in _PLACES else text
    if text and name in _PLACES and not _PLACES[name].fullmatch(text):
        raise InputError(f"{field.label}: {text!r} cannot be right", hint="Small letters, digits and hyphens.")
    return text


def _number(text: str, default: int, label: str) -> int:
    try:
        number = int(text or default)
    except ValueError:
        raise InputError(f"{label}: {text[:40]!r} is not a whole number", hint="Enter a number.") from None
    if not 0 <= number <= MAX_NUMBER:
        raise InputError(f"{label} cannot be negative, or above {MAX_NUMBER}", hint="Enter a number of 0 or more.")
    return number


def clean_timeout(seconds: float) -> float:
    """Return a time limit. Raises InputError."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1 <= seconds <= 600:
        raise InputError("the time limit is 1 to 600 seconds", hint="Enter a number in between.")
    return float(seconds)
