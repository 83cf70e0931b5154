"""A fresh database in the PostgreSQL of this test process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from engine.types import Endpoint
from tests.servers.postgres import PASSWORD, running


@contextmanager
def server() -> Iterator[Endpoint]:
    """Give an empty database without the extension; it is dropped afterwards."""
    postgres = running()
    name = f"test_{uuid.uuid4().hex}"
    postgres.sql(f"CREATE DATABASE {name}")
    try:
        yield Endpoint(base_url=postgres.url(name), api_key=PASSWORD, timeout_seconds=30)
    finally:
        postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")
