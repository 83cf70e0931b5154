"""Connections that the stores of one process share, and the lock that keeps a second process out of an embedded one."""

from __future__ import annotations

import fcntl
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from engine.errors import ConfigError, ProviderError, StoreError, StoreUnavailable
from engine.types import Endpoint
from engine.vendors.status import HINTS, redacted, waiting_helps

C = TypeVar("C")
LOCK_FILE = ".workbench.lock"
MOST_BYTES = 256 * 2**20
"""The longest answer of a server that is read; fetching all vectors of a space takes several."""
_SPACE = re.compile(r"[a-z0-9_]{1,48}")


def collection_name(space: str) -> str:
    """Return the name of the collection that holds `space`. Raises ConfigError for a name that is not [a-z0-9_]{1,48}."""
    if not _SPACE.fullmatch(space):
        raise ConfigError(f"{space!r} is no name of a space", hint="Use 1 to 48 small letters, digits and underscores.")
    return f"wb_{space}"


def failed(vendor: str, error: Exception, endpoint: Endpoint, *, status: int = 0, reachable: bool = True) -> StoreError:
    """Return the error for a call that went wrong; `status` is the server's one, if it sent one."""
    if isinstance(error, ProviderError):  # an answer beyond our limits
        return StoreError(str(error), hint=error.hint)
    what = "failed" if reachable else "cannot be reached"
    hint = HINTS.get(status, "Test the store on the providers page; its server may say more in its log.")
    if not reachable:
        hint = "Check that the server runs, and its address on the providers page."
    kind = StoreUnavailable if not reachable or waiting_helps(status) else StoreError
    said = redacted(str(error) or type(error).__name__, endpoint)
    return kind(f"{vendor} {what}: {said}", hint=hint, status=status or None)


@dataclass
class _Shared(Generic[C]):
    client: C
    lock_file: IO[str] | None
    users: int = 0


class Clients(Generic[C]):
    """One client per server and key, or per folder: two embedded clients on one folder would not see each other's changes.

    The last user that gives a client back closes it and lets other processes at the folder.
    """

    def __init__(self, vendor: str, *, make: Callable[[Endpoint], C], close: Callable[[C], None]) -> None:
        self._vendor, self._make, self._close = vendor, make, close
        self._open: dict[tuple[str, ...], _Shared[C]] = {}
        self._lock = threading.Lock()

    def take(self, endpoint: Endpoint) -> C:
        """Return the client of this endpoint. Raises ConfigError, StoreError (another process uses the folder)."""
        with self._lock:
            key = _key(endpoint)
            if key not in self._open:
                self._open[key] = self._opened(endpoint)
            self._open[key].users += 1
            return self._open[key].client

    def give_back(self, endpoint: Endpoint) -> None:
        """Say that one user needs the client no longer."""
        with self._lock:
            shared = self._open[_key(endpoint)]
            shared.users -= 1
            if shared.users:
                return
            del self._open[_key(endpoint)]
            try:
                self._close(shared.client)
            finally:
                if shared.lock_file:
                    shared.lock_file.close()

    def _opened(self, endpoint: Endpoint) -> _Shared[C]:
        lock_file = None if endpoint.base_url else self._locked(endpoint.folder)
        try:
            return _Shared(self._make(endpoint), lock_file)
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            if lock_file:
                lock_file.close()
            raise failed(self._vendor, error, endpoint) from (None if endpoint.api_key else error)

    def _locked(self, folder: str) -> IO[str]:
        if not folder:
            raise ConfigError(f"{self._vendor} has neither a folder nor a server", hint="Enter the address of its server.")
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            file = (Path(folder) / LOCK_FILE).open("w")
        except OSError as error:
            raise StoreError(
                f"the folder of {self._vendor} cannot be opened: {error.strerror}", hint="Check space and permissions."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise StoreError(
                f"the folder of {self._vendor} is in use by another process",
                hint=f"Stop the server first, or run {self._vendor} as a server and enter its address.",
            ) from None
        return file


class Lease(Generic[C]):
    """The client that one store holds: taken at the first use, given back by `close`, taken again by a later use."""

    def __init__(self, clients: Clients[C], endpoint: Endpoint) -> None:
        self._clients, self._endpoint = clients, endpoint
        self._client: C | None = None
        self._lock = threading.Lock()

    def client(self) -> C:
        """Return the client. Raises ConfigError, StoreError."""
        with self._lock:
            if self._client is None:
                self._client = self._clients.take(self._endpoint)
            return self._client

    def close(self) -> None:
        """Give the client back. Idempotent."""
        with self._lock:
            if self._client is not None:
                self._client = None
                self._clients.give_back(self._endpoint)


def _key(endpoint: Endpoint) -> tuple[str, ...]:
    if endpoint.base_url:
        return endpoint.base_url, endpoint.api_key, str(endpoint.timeout_seconds)
    return ("", str(Path(endpoint.folder).resolve()))
