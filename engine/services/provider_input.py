"""What admins type about a provider, checked: names, addresses, options, keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from engine import registry
from engine.errors import InputError
from engine.specs import Spec
from engine.types import Scalar

MAX_KEY_CHARS = 20_000
SHORTEST_SHOWN = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SCHEMES = ("http", "https", "postgresql")


def clean_name(name: str, kind: str) -> str:
    """Return the name of a new provider. Raises InputError."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise InputError(
            "a provider's name has 1 to 40 small letters, digits and hyphens", hint="For example openai, or llama-server-2."
        )
    if name != kind and any(name in table for table in registry.ROLES.values()):
        raise InputError(f"{name!r} is the name of another kind of provider", hint="Choose another name.")
    return name


def clean_url(url: str, specs: Mapping[str, Spec]) -> str:
    """Return the address of a provider, "" for the vendor's own. Raises InputError."""
    spec = next(iter(specs.values()))
    url = url.strip().rstrip("/")
    if not url:
        return "" if spec.url in ("", "vendor") else spec.url
    if not spec.url:
        raise InputError("this kind of provider has no address", hint="Leave the address empty.")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise InputError(
            "the address is no URL", hint="Begin with http:// or https://, then the host (for pgvector: postgresql://)."
        )
    if parts.password or (parts.username and parts.scheme != "postgresql"):
        raise InputError("the address holds a password", hint="Enter it as the key: there it is kept encrypted.")
    if (spec.url.startswith("postgresql")) != (parts.scheme == "postgresql"):
        raise InputError(f"an address of this kind begins with {spec.url.split(':')[0] if '://' in spec.url else 'https'}://")
    return url


def place(url: str) -> tuple[str, str, int | None]:
    """Return what a key belongs to: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port


def clean_key(key: str) -> str:
    """Return a key without the white space around it. Raises InputError; the message never repeats the key."""
    key = key.strip()
    if len(key) > MAX_KEY_CHARS or any(ord(one) < 32 and one not in "\r\n\t" for one in key):
        raise InputError("this is no key", hint="Copy it again from the provider's page.")
    if not key.startswith("{") and any(one.isspace() for one in key):
        raise InputError("a key has no spaces or line breaks inside", hint="Copy it again from the provider's page.")
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
    unknown = sorted(set(options) - set(fields))
    if unknown:
        raise InputError(f"unknown options: {', '.join(unknown)}", hint=f"known: {', '.join(sorted(fields)) or 'none'}")
    cleaned: dict[str, Scalar] = {}
    for name, value in options.items():
        default = fields[name].default
        try:
            typed = _typed(value, default)
        except ValueError:
            raise InputError(f"{fields[name].label}: {value!r} is not a whole number", hint="Enter a number.") from None
        if isinstance(typed, int) and typed < 0:
            raise InputError(f"{fields[name].label} cannot be negative", hint="Enter a number of 0 or more.")
        if typed != default:
            cleaned[name] = typed
    return cleaned


def _typed(value: Scalar, default: str | bool | int) -> str | bool | int:
    if isinstance(default, bool):
        return value if isinstance(value, bool) else str(value).strip().lower() in ("1", "true", "yes", "on")
    if isinstance(default, int):
        return int(str(value).strip() or default)
    return str(value).strip() if default else str(value)


def clean_timeout(seconds: float) -> float:
    """Return a time limit. Raises InputError."""
    if not 1 <= seconds <= 600:
        raise InputError("the time limit is 1 to 600 seconds", hint="Enter a number in between.")
    return float(seconds)
