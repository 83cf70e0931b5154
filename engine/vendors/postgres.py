"""PostgreSQL for blocking callers: one event loop thread, a few shared connections per database, errors in our words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg  # type: ignore[import-untyped]

from engine.errors import (
    CollectionMissing,
    ConfigError,
    DimensionMismatch,
    EngineError,
    ProviderError,
    StoreError,
    StoreUnavailable,
)
from engine.types import Endpoint
from engine.vendors.pinned import ProviderGuard
from engine.vendors.status import redacted

MAX_CONNECTIONS = 8
"""Per database and process, shared by all spaces; one that was idle for five minutes is closed."""
EXTENSION_LOCK = 7_302_114_590_218
"""Advisory lock under which the extension and the tables are made: two CREATE ... IF NOT EXISTS at once can fail."""
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

T = TypeVar("T")
Connection: TypeAlias = Any  # asyncpg.Connection, or the pool's proxy of one

_guard = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []
_pools: dict[tuple[str, str, float], Any] = {}


def address(endpoint: Endpoint) -> dict[str, Any]:
    """Return the arguments of a connection for `postgresql://user@host:port/database`. Offline; the key is the password.

    Every part is named, so that nothing is taken from the environment. Raises ConfigError, which never repeats the address
    when it holds a password.
    """
    hint = "Enter it as postgresql://user@host:5432/database."
    try:
        parts = urlsplit(endpoint.base_url)
        options, port = dict(parse_qsl(parts.query)), parts.port or 5432
    except ValueError:  # its text may repeat a password
        raise ConfigError("the address of the database cannot be read", hint=hint) from None
    if parts.password is not None or "password" in options or ":" in unquote(parts.username or "") or "@" in parts.path:
        raise ConfigError(
            "the address of the database holds a password", hint="Take it out of the address and enter it as the key."
        )
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgres", "postgresql") or not (parts.hostname and parts.username and database):
        raise ConfigError("the address of the database is not one of PostgreSQL", hint=hint)
    mode = options.pop("sslmode", "prefer")
    if options or mode not in _SSL_MODES:
        raise ConfigError(
            "the address of the database has an option that is not known", hint=f"Only sslmode: {', '.join(_SSL_MODES)}."
        )
    return {
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username),
        "password": endpoint.api_key,
        "database": database,
        "ssl": mode,
        "target_session_attrs": "any",
    }


class Postgres:
    """One database. Thread-safe; making it connects to nothing, and there is nothing to close."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._address = address(endpoint)

    def run(self, work: Callable[[Connection], Awaitable[T]], *, batches: int = 1) -> T:
        """Return what `work(connection)` gives; it runs in one transaction, which is undone when it raises.

        It may take the endpoint's time limit, `batches` times, with all that is around it. Raises StoreError: CollectionMissing
        for a table that does not exist, DimensionMismatch for vectors of another length than the table's.
        """
        limit = self._endpoint.timeout_seconds * batches
        with _guard:
            if not _loops:
                _loops.append(asyncio.new_event_loop())
                threading.Thread(target=_loops[0].run_forever, name="postgres", daemon=True).start()
        try:
            return asyncio.run_coroutine_threadsafe(self._bounded(work, limit), _loops[0]).result()
        except EngineError:
            raise
        except TimeoutError:
            raise StoreError(
                f"PostgreSQL gave no answer within {limit:.0f} s", hint="Try again, or raise its time limit."
            ) from None
        except Exception as error:  # noqa: BLE001 - a server may send anything, and repeat the password in it
            raise translated(error, self._endpoint) from None

    async def _bounded(self, work: Callable[[Connection], Awaitable[T]], seconds: float) -> T:
        async with asyncio.timeout(seconds):
            pool = await self._pool()
            async with pool.acquire() as connection:
                try:
                    async with _Transaction(connection):
                        return await work(connection)
                except asyncio.CancelledError:
                    connection.terminate()
                    raise

    async def _pool(self) -> Any:
        # Only the loop's thread comes here, and a pool of no connections is made without waiting for anybody.
        key = (self._endpoint.base_url, self._endpoint.api_key, self._endpoint.timeout_seconds)
        if key not in _pools:
            _pools[key] = asyncpg.create_pool(
                min_size=0,
                max_size=MAX_CONNECTIONS,
                connect=self._connected,
                init=self._greet,
                reset=_nothing,
                # Named statements would not survive a pooler in between that shares connections by transaction.
                statement_cache_size=0,
                timeout=self._endpoint.timeout_seconds,
                **self._address,
            )
            await _pools[key]
        return _pools[key]

    async def _connected(self, *args: Any, **options: Any) -> Connection:
        # The driver looks the name up once more: certificates, and poolers in between, need it to have the name.
        if guard := self._endpoint.guard:
            try:
                await asyncio.to_thread(ProviderGuard(guard, "PostgreSQL").addresses, options["host"], options["port"])
            except ProviderError as error:
                raise StoreError(str(error), hint=error.hint) from None
        return await asyncpg.connect(*args, **options)

    async def _greet(self, connection: Connection) -> None:
        await connection.execute(f"SET statement_timeout = {int(self._endpoint.timeout_seconds * 1000)}; SET jit = off")
        schema = await _schema(connection)
        if schema is None:
            schema = await _install(connection, self._endpoint)
        for name in ("vector", "halfvec"):
            await connection.set_type_codec(name, schema=schema, encoder=bytes, decoder=bytes, format="binary")


class _Transaction:
    """A transaction that sends no ROLLBACK when its time is over: a server that hangs would not answer that either."""

    def __init__(self, connection: Connection) -> None:
        self._transaction = connection.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._transaction.commit()
        elif not issubclass(kind, asyncio.CancelledError):
            await self._transaction.rollback()


async def _nothing(connection: Connection) -> None:
    """Settings are made inside transactions only, so a connection needs no cleaning before the next work."""


async def _schema(connection: Connection) -> str | None:
    """Return the schema that holds the type `vector`; None without the extension. Raises StoreError when it is too old."""
    row = await connection.fetchrow(
        "SELECT n.nspname, string_to_array(e.extversion, '.')::int[] >= '{0,8}'::int[] FROM pg_extension e"
        " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    )
    if row is not None and not row[1]:
        raise StoreError("the extension pgvector is older than 0.8", hint="Update it: ALTER EXTENSION vector UPDATE")
    return None if row is None else str(row[0])


async def _install(connection: Connection, endpoint: Endpoint) -> str:
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({EXTENSION_LOCK})")
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except asyncpg.PostgresError as error:
        said = redacted(error.args[0] if error.args else "", endpoint)
        raise StoreError(
            f"the database has no extension pgvector, and it cannot be added: {said}",
            hint="Install pgvector on the server, and let a superuser run in this database: CREATE EXTENSION vector",
        ) from None
    return await _schema(connection) or "public"


def translated(error: Exception, endpoint: Endpoint) -> StoreError:
    """Return what asyncpg, the network or the server raised as an error of ours, without the password."""
    state = str(getattr(error, "sqlstate", None) or "")
    said = redacted(getattr(error, "message", None) or error or type(error).__name__, endpoint)
    if state == "42P01":
        return CollectionMissing(f"PostgreSQL: {said}", hint="Build the index again from the database.")
    if state == "22000" and "dimensions" in said:
        return DimensionMismatch(
            f"PostgreSQL: {said}",
            hint="the collection was embedded with another model: choose that model, or embed the collection again",
        )
    down = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
    if isinstance(error, down) or state[:3] in ("57P", "533") or state[:2] == "08":
        return StoreUnavailable(
            f"PostgreSQL cannot be reached: {said}", hint="Check that it runs, and its address; then try again."
        )
    status = 401 if state[:2] == "28" else 403 if state == "42501" else None
    return StoreError(f"PostgreSQL refused{f' ({state})' if state else ''}: {said}", hint=_hint(state), status=status)


def _hint(state: str) -> str:
    hints = {
        "28": "The user or the password is wrong: the password is the key of this provider.",
        "3D": "There is no database of that name: create it, or correct the address.",
        "42501": "This user may not do that: let it own a schema of the database.",
        "53": "The server has no room left: memory, disk or connections.",
        "57014": "Try again, or raise its time limit.",
    }
    return hints.get(state) or hints.get(state[:2]) or "The server's own words say why."
