"""A fresh, empty account of Pinecone, played by tests.upstreams.pinecone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.types import Endpoint
from tests.upstreams.pinecone import upstream


@contextmanager
def server() -> Iterator[Endpoint]:
    """Give an account without an index, whose reads trail its writes."""
    with upstream() as running:
        yield running.endpoint
