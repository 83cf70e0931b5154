"""The keys of the dictionary that `SecurityIntegration` is made from: their defaults, and what they may be."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from engine.errors import ConfigError
from engine.security.headers import API_POLICY

Lookup: TypeAlias = Mapping[str, Mapping[str, Any]] | Callable[[str], Any]

CHOICES = {
    "auth_method": ("jwt", "api_key", "jwt_or_api_key"),
    "suspicious_input": ("off", "log", "block"),
    "hsts": ("auto", "on", "off"),
}
MAY_BE_ZERO = frozenset({"rate_limit_per_minute_unauthenticated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that can be configured. Sizes in bytes, times in seconds; secrets and keys are not in the repr."""

    enable_auth: bool = True
    auth_method: str = "jwt"
    jwt_secret: str = field(default="", repr=False)
    jwt_issuer: str = "engine.security"
    jwt_audience: str = "engine.security"
    is_revoked: Callable[[str, str], Any] | None = None
    api_keys: Lookup | None = field(default=None, repr=False)
    public_paths: tuple[str, ...] = ()

    enable_rate_limiting: bool = True
    rate_limit_per_minute: int = 100
    rate_limit_per_minute_unauthenticated: int = 0
    websocket_messages_per_minute: int = 600

    trusted_proxies: tuple[str, ...] = ()
    allow_networks: tuple[str, ...] = ()
    deny_networks: tuple[str, ...] = ()

    enable_validation: bool = True
    methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    content_types: tuple[str, ...] = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    max_body_bytes: int = 10 * 1024 * 1024
    max_parsed_bytes: int = 1024 * 1024
    max_json_depth: int = 32
    max_json_values: int = 50_000
    max_headers: int = 100
    max_header_bytes: int = 16 * 1024
    max_url_bytes: int = 8 * 1024
    suspicious_input: str = "log"

    enable_security_headers: bool = True
    content_security_policy: str = API_POLICY
    hsts: str = "auto"
    hsts_seconds: int = 31_536_000

    enable_audit: bool = True
    audit: Callable[[Mapping[str, Any]], Any] | None = None
    audit_required: bool = False

    enable_circuit_breaker: bool = True
    failure_threshold: int = 5
    recovery_seconds: float = 30.0


def options_from(config: Mapping[str, Any]) -> Options:
    """Return the options that `config` sets. Raises ConfigError that names a key, what is wrong, and what is possible."""
    defaults = {one.name: one.default for one in fields(Options)}
    for name in config:
        if name not in defaults:
            near = difflib.get_close_matches(str(name), defaults, n=1)
            raise ConfigError(
                f"unknown security option {name!r}; known: {', '.join(sorted(defaults))}",
                hint=f"did you mean {near[0]!r}?" if near else "correct or remove it",
            )
    options = Options(**{name: _checked(name, value, defaults[name]) for name, value in config.items()})
    _check_together(options)
    return options


def _checked(name: str, value: Any, default: Any) -> Any:
    fits, possible = _fits(name, value, default)
    _require(fits, name, possible)
    return tuple(value) if isinstance(default, tuple) else value


def _fits(name: str, value: Any, default: Any) -> tuple[bool, str]:
    """Return whether `value` may stand where `default` stands, and what may."""
    if name in CHOICES:
        return value in CHOICES[name], " | ".join(CHOICES[name])
    if name == "api_keys":
        return value is None or callable(value) or isinstance(value, Mapping), "a mapping or something callable"
    if default is None:
        return value is None or callable(value), "something callable"
    if isinstance(default, tuple):
        return isinstance(value, list | tuple | set | frozenset) and all(
            isinstance(one, str) for one in value
        ), "a list of texts"
    if isinstance(default, bool | str):
        return type(value) is type(default), "true or false" if isinstance(default, bool) else "a text"
    kinds: tuple[type, ...] = (int,) if isinstance(default, int) else (int, float)
    positive = type(value) in kinds and math.isfinite(value) and (value > 0 or (value == 0 and name in MAY_BE_ZERO))
    return positive, "a positive whole number" if kinds == (int,) else "a positive number"


def _require(fine: bool, name: str, possible: str) -> None:
    # The value is not repeated: it may be a secret that went to the wrong key.
    if not fine:
        raise ConfigError(f"the security option {name!r} has a value it cannot have", hint=f"use {possible}")


def _check_together(options: Options) -> None:
    _require(all(path.startswith("/") for path in options.public_paths), "public_paths", "paths that begin with '/'")
    _require(bool(options.methods), "methods", "at least one method")
    if options.enable_auth and "api_key" in options.auth_method and options.api_keys is None:
        raise ConfigError("auth_method uses API keys, but there are none", hint="set api_keys to a mapping or a lookup")
    if options.audit_required and (options.audit is None or not options.enable_audit):
        # The logging module swallows what goes wrong in its handlers, so nobody would ever know.
        raise ConfigError("audit_required needs a sink that can tell of its failures", hint="set audit to a callable")
