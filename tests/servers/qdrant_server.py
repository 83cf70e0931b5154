"""A server that speaks Qdrant's protocol: a real one is no Python package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.types import Endpoint
from tests.upstreams.qdrant import upstream


@contextmanager
def server() -> Iterator[Endpoint]:
    """Give its address and key."""
    with upstream() as running:
        yield running.endpoint
