"""The configuration of a cache, as a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import ConfigError
from engine.vendors.redis_client import RedisAddress, address_of

KEYS = ("provider", "redis", "prefix", "memory_mb", "replicas")
REDIS_KEYS = ("url", "host", "port", "username", "password", "db", "tls")
_PREFIX = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """`redis` is None for a cache in this process."""

    redis: RedisAddress | None
    prefix: str
    memory_bytes: int
    replicas: int


def cache_config(config: Mapping[str, Any]) -> CacheConfig:
    """Read {"provider": "redis" | "memory", "redis": {...}, "prefix": ..., "memory_mb": ..., "replicas": ...}.

    Raises ConfigError, which lists the known keys and never repeats a password.
    """
    _known(config, KEYS, "the cache")
    provider = config.get("provider", "memory")
    if provider not in ("redis", "memory"):
        raise ConfigError("the provider of a cache is not known", hint='Use "redis" or "memory".')
    prefix = config.get("prefix", "workbench")
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ConfigError("the prefix of a cache is 1 to 40 of a-z, 0-9 and -", hint="Correct prefix.")
    redis = config.get("redis", {})
    return CacheConfig(
        redis=_address(redis) if provider == "redis" else None,
        prefix=prefix,
        memory_bytes=_number(config, "memory_mb", 64, 1, 1 << 20) << 20,
        replicas=_number(config, "replicas", 1, 1, 100_000),
    )


def _address(config: Any) -> RedisAddress:
    if not isinstance(config, Mapping):
        raise ConfigError("redis is not a mapping", hint=f"known keys: {', '.join(REDIS_KEYS)}")
    _known(config, REDIS_KEYS, "redis")
    if url := config.get("url"):
        if len(config) > 1:
            raise ConfigError("redis has a url and other keys", hint="Put everything into the url, or nothing.")
        return address_of(str(url))
    for key in ("host", "username", "password"):
        if not isinstance(config.get(key) or "", str):  # never repeated: it may be the password
            raise ConfigError(f"{key} of redis is not a text", hint=f"Correct {key}.")
    if not isinstance(config.get("tls", False), bool):
        raise ConfigError("tls of redis is neither True nor False", hint="Correct tls.")
    return RedisAddress(
        host=str(config.get("host") or "localhost"),
        port=_number(config, "port", 6379, 1, 65535),
        db=_number(config, "db", 0, 0, 1_000_000),
        username=str(config.get("username") or ""),
        password=str(config.get("password") or ""),
        tls=bool(config.get("tls", False)),
    )


def _known(config: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = sorted(str(key) for key in config if key not in known)
    if unknown:
        raise ConfigError(f"unknown keys of {what}: {', '.join(unknown)}", hint=f"known keys: {', '.join(known)}")


def _number(config: Mapping[str, Any], key: str, default: int, lowest: int, highest: int) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ConfigError(f"{key} is not a whole number from {lowest} to {highest}", hint=f"Correct {key}.")
    return value
