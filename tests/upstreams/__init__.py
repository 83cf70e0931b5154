"""Servers that speak the wire protocols of paid vendors on loopback, with faults on demand.

A module here named like a registry row (with `_` for `-`) gives `upstream()`, a context manager of an `Upstream`; contract
suites run a row that has no module with a plain `Endpoint()`.
"""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager

from tests.upstreams.server import Upstream


def upstream_of(name: str) -> AbstractContextManager[Upstream] | None:
    """Return the server to test a registry row against; None when it needs none."""
    module = f"tests.upstreams.{name.replace('-', '_')}"
    if importlib.util.find_spec(module) is None:
        return None
    return importlib.import_module(module).upstream()
