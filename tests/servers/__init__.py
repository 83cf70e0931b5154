"""Real servers of stores as children of the test run, on loopback and in folders of their own.

A module here named like a registry row (with `_` for `-`) gives `server()`, a context manager of the Endpoint to test against;
a row without one runs with a folder only.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from engine.types import Endpoint


def server_of(name: str) -> AbstractContextManager[Endpoint]:
    """Return what gives the endpoint of a registry row, or of another module here."""
    module = f"tests.servers.{name.replace('-', '_')}"
    if importlib.util.find_spec(module) is None:
        return embedded()
    server: AbstractContextManager[Endpoint] = importlib.import_module(module).server()
    return server


@contextmanager
def embedded() -> Iterator[Endpoint]:
    """Give an empty folder; it is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Endpoint(folder=folder)
