"""The client of redis-py: where Redis is, how it is spoken to, and scripts. `engine.vendors.redis` stands in front of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from engine.errors import ConfigError

SOCKET_SECONDS = 0.1
"""For connecting, and for an answer."""
CONNECTIONS = 16
IDLE_CHECK_SECONDS = 30

Client: TypeAlias = Any  # redis.asyncio.Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is. `str()` never shows the password."""

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.db}"


def address_of(url: str) -> RedisAddress:
    """Return the parts of redis://[[user]:password@]host[:port][/db] (rediss:// for TLS).

    Options behind a "?" are refused: they could take back time limits and the check of certificates. Raises ConfigError, which
    never repeats the address.
    """
    hint = "Write it as redis://:password@host:6379/0 (rediss:// for TLS), with special characters of the password as %XX."
    try:
        parts = urlsplit(url)
        port, db = parts.port or 6379, int(parts.path.strip("/") or 0)
    except ValueError:  # its text may repeat the password
        raise ConfigError("the address of Redis cannot be read", hint=hint) from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.query or parts.fragment or db < 0:
        raise ConfigError("the address of Redis cannot be read", hint=hint)
    return RedisAddress(
        host=parts.hostname,
        port=port,
        db=db,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
    )


def client_of(address: RedisAddress, name: str) -> Client:
    """Return a client that tries once and gives up soon. Offline."""
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.connection import Connection, SSLConnection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = ConnectionPool(
        connection_class=SSLConnection if address.tls else Connection,
        max_connections=2 * CONNECTIONS,
        host=address.host,
        port=address.port,
        db=address.db,
        username=address.username or None,
        password=address.password or None,
        client_name=name,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=IDLE_CHECK_SECONDS,
        protocol=2,  # no HELLO and no notices of maintenance: fewer round trips before the first answer
        driver_info=None,
    )
    return Redis.from_pool(pool)


class Script:
    """A script of one key that the server keeps by its SHA-1; the text is only sent to a server that does not have it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, key: str, *arguments: float | str) -> Any:
        """Return what the script returns."""
        from redis.exceptions import NoScriptError

        try:
            return await client.evalsha(self._sha, 1, key, *arguments)
        except NoScriptError:  # a new server, or one that was restarted
            return await client.eval(self._text, 1, key, *arguments)
