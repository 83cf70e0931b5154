"""Empty databases of the servers that the workbench can keep its tables in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.servers import mariadb, pgvector
from tests.servers.postgres import PASSWORD

SERVERS = ("postgresql", "mariadb")


@contextmanager
def database(server: str) -> Iterator[tuple[str, str]]:
    """Give the address of an empty database for the workbench, and its name; it is dropped afterwards."""
    if server == "mariadb":
        with mariadb.database() as found:
            yield found
        return
    with pgvector.server() as endpoint:
        parts = urlsplit(endpoint.base_url)
        name = parts.path.lstrip("/")
        yield f"postgresql+asyncpg://{parts.username}:{PASSWORD}@{parts.hostname}:{parts.port}/{name}", name
